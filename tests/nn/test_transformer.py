"""The transformer against a naive implementation, and its invariants."""

import math

import pytest
import torch
from torch import Tensor

from graphseq.nn import LearnableDropout, Transformer
from graphseq.nn.transformer import Positions

F64 = torch.float64
NORMS = ["post", "pre", "query"]


def built(seed: int = 0, **options) -> Transformer:
    """A small encoder in float64, all of whose weights are random."""
    torch.manual_seed(seed)
    given = {"dim": 6, "max_length": 8, "layers": 2, "heads": 2, "dropout": 0.0}
    made = Transformer(**(given | options)).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return made


def sequences(batch: int = 3, length: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, length, 6, dtype=F64, generator=generator)
    lengths = torch.tensor([length, *range(1, length)][:batch])
    mask = torch.arange(length) < lengths[:, None]
    return x * mask[..., None], mask


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One vector; biased variance, with eps inside the root."""
    mean = sum(float(v) for v in x) / len(x)
    variance = sum((float(v) - mean) ** 2 for v in x) / len(x)
    return torch.stack(
        [
            (x[d] - mean) / math.sqrt(variance + 1e-12) * weight[d] + bias[d]
            for d in range(len(x))
        ]
    )


def gelu(x: Tensor) -> Tensor:
    return torch.stack([v * 0.5 * (1 + math.erf(float(v) / math.sqrt(2))) for v in x])


def naive(
    model: Transformer,
    x: Tensor,
    mask: Tensor,
    norm: str,
    activation: str = "gelu",
    scale: float = 1.0,
) -> Tensor:
    """Row by row, position by position, head by head, without padding."""
    w = dict(model.named_parameters())
    heads = model.blocks[0].heads
    out = torch.zeros_like(x)
    for b in range(len(x)):
        n = int(mask[b].sum())
        offset = len(w["position"]) - n if model.positions == "end" else 0
        h = [x[b, t] * scale + w["position"][offset + t] for t in range(n)]
        if norm != "query":
            h = [layer_norm(v, w["norm.weight"], w["norm.bias"]) for v in h]
        for k in range(len(model.blocks)):
            bend = gelu if activation == "gelu" else relu
            h = naive_block(f"blocks.{k}.", w, h, heads, model.causal, norm, bend)
        for t in range(n):
            if norm != "post":
                h[t] = layer_norm(h[t], w["final.weight"], w["final.bias"])
            out[b, t] = h[t]
    return out


def relu(x: Tensor) -> Tensor:
    return torch.stack([v if v > 0 else torch.zeros_like(v) for v in x])


def naive_block(
    name: str, w: dict, h: list[Tensor], heads: int, causal: bool, where: str, bend
) -> list[Tensor]:
    def linear(part: str, v: Tensor) -> Tensor:
        return w[f"{name}{part}.weight"] @ v + w[f"{name}{part}.bias"]

    def norm(part: str, v: Tensor) -> Tensor:
        return layer_norm(v, w[f"{name}{part}.weight"], w[f"{name}{part}.bias"])

    dim = len(h[0])
    size = dim // heads
    queries = [v if where == "post" else norm("norm1", v) for v in h]
    keys = h if where == "query" else queries
    query_projections = [linear("qkv", v) for v in queries]
    projected = [linear("qkv", v) for v in keys]
    mixed = []
    for t in range(len(h)):
        parts = []
        for a in range(heads):
            at = slice(a * size, (a + 1) * size)
            q = query_projections[t][:dim][at]
            seen = range(t + 1) if causal else range(len(h))
            logits = [
                float(q @ projected[s][dim : 2 * dim][at]) / math.sqrt(size)
                for s in seen
            ]
            mass = sum(math.exp(v) for v in logits)
            part = torch.zeros(size, dtype=F64)
            for s, logit in zip(seen, logits, strict=True):
                part += math.exp(logit) / mass * projected[s][2 * dim :][at]
            parts.append(part)
        mixed.append(linear("out", torch.cat(parts)))
    result = []
    for v, q, o in zip(h, queries, mixed, strict=True):
        if where == "pre":
            v = v + o
            result.append(v + linear("down", bend(linear("up", norm("norm2", v)))))
        elif where == "query":
            v = norm("norm2", q + o)
            result.append(v + linear("down", bend(linear("up", v))))
        else:
            v = norm("norm1", o + v)
            result.append(norm("norm2", linear("down", bend(linear("up", v))) + v))
    return result


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", ["start", "end"])
def test_states_equal_the_specification_as_loops(
    norm: str, causal: bool, positions: str
) -> None:
    model = built(norm=norm, causal=causal, positions=positions)
    x, mask = sequences()
    with torch.no_grad():
        expected = naive(model, x, mask, norm)
        torch.testing.assert_close(model(x, mask), expected)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_scale_and_activation_follow_the_options(
    norm: str, scale: bool, activation: str
) -> None:
    model = built(norm=norm, scale=scale, activation=activation)
    x, mask = sequences()
    factor = math.sqrt(6) if scale else 1.0
    with torch.no_grad():
        expected = naive(model, x, mask, norm, activation, factor)
        torch.testing.assert_close(model(x, mask), expected)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("causal", [True, False])
def test_the_training_path_of_attention_gives_the_same_states(
    norm: str, causal: bool
) -> None:
    """In training the weights are computed explicitly; here none is dropped."""
    model = built(norm=norm, causal=causal, attention_dropout=1e-9)
    x, mask = sequences()
    expected = model(x, mask)
    torch.testing.assert_close(model.train()(x, mask), expected)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("training", [False, True])
def test_a_causal_state_does_not_depend_on_later_items(
    norm: str, training: bool
) -> None:
    model = built(norm=norm, attention_dropout=1e-9).train(training)
    x, mask = sequences(batch=1)
    for t in range(5):
        changed = x.clone()
        changed[:, t] = -changed[:, t].roll(1)
        before, after = model(x, mask), model(changed, mask)
        torch.testing.assert_close(after[:, :t], before[:, :t])
        assert ((after - before)[:, t:].abs().amax(-1) > 1e-6).all(), "later ones do"


def test_a_bidirectional_state_depends_on_every_item() -> None:
    model = built(causal=False)
    x, mask = sequences(batch=1)
    for t in range(5):
        changed = x.clone()
        changed[:, t] = -changed[:, t].roll(1)
        moved = (model(changed, mask) - model(x, mask)).abs().amax(-1)
        assert (moved > 1e-6).all()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", ["start", "end"])
@pytest.mark.parametrize("norm", NORMS)
def test_padding_changes_nothing_and_has_zero_states(
    causal: bool, positions: str, norm: str
) -> None:
    model = built(causal=causal, positions=positions, norm=norm)
    x, mask = sequences()
    expected = model(x, mask)
    longer = torch.nn.functional.pad(x, (0, 0, 0, 3), value=1e4)
    longer[:, :5][~mask] = -1e4
    found = model(longer, torch.nn.functional.pad(mask, (0, 3)))
    torch.testing.assert_close(found[:, :5], expected)
    assert not expected[~mask].any() and not found[:, 5:].any()


@pytest.mark.parametrize("causal", [True, False])
def test_a_row_without_items_gives_zeros_and_finite_gradients(causal: bool) -> None:
    """U-18: a row without visible items must not become NaN."""
    model = built(causal=causal, attention_dropout=0.1)
    for training in (False, True):
        x, mask = sequences(batch=2)
        mask[1] = False
        states = model.train(training)(x.requires_grad_(), mask)
        assert not states[1].any()
        states.square().sum().backward()
        assert x.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", ["start", "end"])
@pytest.mark.parametrize("layers", [1, 2])
def test_last_equals_forward_for_each_norm_and_depth(
    norm: str, causal: bool, positions: str, layers: int
) -> None:
    options = {"norm": norm, "causal": causal, "positions": positions}
    model = built(layers=layers, **options)
    x, mask = sequences(batch=4)
    mask[3] = False
    lengths = mask.sum(dim=1)
    everywhere = model(x, mask)
    last = model.last(x, mask)
    expected = everywhere[torch.arange(4), (lengths - 1).clamp(min=0)]
    torch.testing.assert_close(last, expected)
    assert last[:3].any(dim=1).all() and not last[3].any()


def test_positions_from_the_start_give_a_prefix_the_same_states() -> None:
    model = built(positions="start")
    x, mask = sequences(batch=1)
    torch.testing.assert_close(model(x[:, :3], mask[:, :3]), model(x, mask)[:, :3])


def test_positions_from_the_end_put_the_last_item_at_the_last_row() -> None:
    """3 items use only the last 3 rows of the table, with any padding."""
    model = built(positions="end")
    x, _ = sequences(batch=1)
    mask = torch.tensor([[True, True, True, False, False]])
    expected = model(x, mask)
    with torch.no_grad():
        model.position[:5] += 1.0
    torch.testing.assert_close(model(x, mask), expected)
    with torch.no_grad():
        model.position[5] += torch.randn(6)
    assert not torch.allclose(model(x, mask), expected)


def test_the_longest_sequence_uses_every_position_from_either_end() -> None:
    x, mask = torch.randn(1, 8, 6, dtype=F64), torch.ones(1, 8, dtype=torch.bool)
    torch.testing.assert_close(
        built(positions="end")(x, mask), built(positions="start")(x, mask)
    )


def test_rows_of_a_batch_do_not_mix() -> None:
    for causal in (True, False):
        model = built(causal=causal)
        x, mask = sequences()
        whole = model(x, mask)
        for b in range(3):
            one = slice(b, b + 1)
            torch.testing.assert_close(model(x[one], mask[one]), whole[one])


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_are_those_of_the_specification() -> None:
    """U-16, without the item table's rows for padding and the mask token."""
    model = Transformer(64, 50, layers=2)
    assert [count(block) for block in model.blocks] == [49_984, 49_984]
    table = 12_101 * 64
    assert count(model) + table == 877_760
    assert count(model) + table + 2 * 64 == 877_888
    assert count(Transformer(64, 50, layers=1)) + table + 2 * 64 == 827_904
    assert count(Transformer(64, 50, norm="pre")) == count(model) + 2 * 64
    assert count(Transformer(64, 50, norm="query")) == count(model)
    assert count(Transformer(8, 5, layers=1, inner=3)) == (
        5 * 8 + 2 * 8 + (8 * 24 + 24) + (8 * 8 + 8) + 4 * 8 + (8 * 3 + 3) + (3 * 8 + 8)
    )


def test_weights_start_as_specified() -> None:
    torch.manual_seed(0)
    model = Transformer(64, 50)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert torch.all(parameter == (1 if name.endswith("weight") else 0))
        elif name.endswith("bias"):
            assert not parameter.any()
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05)


def test_dropout_acts_in_training_only() -> None:
    model = Transformer(6, 8, dropout=0.5).double()
    x, mask = sequences()
    assert not torch.equal(model(x, mask), model(x, mask))
    model.eval()
    assert torch.equal(model(x, mask), model(x, mask))


def test_attention_dropout_defaults_to_dropout() -> None:
    assert Transformer(6, 8, dropout=0.3).blocks[0].attention_dropout == 0.3
    model = Transformer(6, 8, dropout=0.0, attention_dropout=0.5).double().train()
    x, mask = sequences()
    assert not torch.equal(model(x, mask), model(x, mask))


def test_gradients_are_exact() -> None:
    for causal in (True, False):
        model = built(causal=causal, layers=1)
        x, mask = sequences(batch=2, length=3)
        x.requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x, m=model, k=mask: m(x, k), x, fast_mode=True
        )


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="heads: expected a divisor of dim=6, found 4"):
        Transformer(6, 8, heads=4)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", ["start", "end"])
def test_last_is_the_state_of_the_last_item(
    norm: str, causal: bool, positions: str
) -> None:
    model = built(norm=norm, causal=causal, positions=positions).eval()
    x = torch.randn(4, 5, 6)
    lengths = torch.tensor([5, 1, 3, 0])
    mask = torch.arange(5) < lengths[:, None]
    states = model(x, mask)
    expected = states[torch.arange(4), (lengths - 1).clamp(min=0)]
    torch.testing.assert_close(model.last(x, mask), expected)
    assert not model.last(x, mask)[3].any()


def test_each_block_gets_its_own_learnable_dropout() -> None:
    learnable = LearnableDropout(6, logit=0.4)
    plain, model = (built(learnable=each) for each in (None, learnable))
    assert plain.learnable_dropouts() == []
    copies = model.learnable_dropouts()
    assert len({id(each) for each in (learnable, *copies)}) == 3
    with torch.no_grad():
        learnable.logit.zero_()
    assert copies[0].logit.any()  # no parameter is shared
    x, mask = sequences()
    logits = {f"blocks.{k}.dropout.logit": copies[k].logit for k in range(2)}
    model.load_state_dict(plain.state_dict() | logits)
    torch.testing.assert_close(model(x, mask), plain(x, mask))
    block = model.blocks[0].train()
    found = block.dropout(torch.ones(4, 5, 6, dtype=F64), None)
    assert len(found.unique()) > 2 and (found == 0).any()


def test_learnable_dropout_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"learnable: .* dim=6, found 8"):
        Transformer(6, 8, learnable=LearnableDropout(8))


def test_learnable_dropout_changes_no_other_initial_weight() -> None:
    torch.manual_seed(0)
    plain = Transformer(6, 8).state_dict()
    torch.manual_seed(0)
    found = Transformer(6, 8, learnable=LearnableDropout()).state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in plain.items())


def test_options_out_of_their_range_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match="5 problems") as raised:
        Transformer(6, 0, layers=0, heads=-1, inner=0, dropout=1.5)
    assert str(raised.value).splitlines()[1:] == [
        "  max_length  expected a whole number of 1 or more, found 0",
        "  layers      expected a whole number of 1 or more, found 0",
        "  heads       expected a whole number of 1 or more, found -1",
        "  inner       expected a whole number of 1 or more, or None, found 0",
        "  dropout     expected a number from 0 to below 1, found 1.5",
    ]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_hidden_items_are_as_if_cut_out_of_the_row(
    norm: str, causal: bool, training: bool
) -> None:
    """Without positions, a visible state is that of the row of visible items."""
    model = built(norm=norm, causal=causal, attention_dropout=1e-12).train(training)
    with torch.no_grad():
        model.position.zero_()
    x, mask = sequences(batch=4)
    hidden = torch.zeros_like(mask)
    hidden[0, [0, 2]] = hidden[1, 0] = hidden[3, 2] = True
    states = model(x, mask, hidden=hidden)
    for b in range(4):
        seen = mask[b] & ~hidden[b]
        if seen.any():
            alone = model(x[b : b + 1, seen], mask[b : b + 1, seen])[0]
            torch.testing.assert_close(states[b, seen], alone)
    torch.testing.assert_close(
        model.last(x, mask, hidden=hidden),
        states[torch.arange(4), mask.sum(dim=1) - 1],
    )


@pytest.mark.parametrize("causal", [True, False])
def test_a_hidden_item_reads_what_it_is_hidden_from(causal: bool) -> None:
    model = built(layers=1, causal=causal)
    x, mask = sequences(batch=1)
    x.requires_grad_()
    hidden = torch.tensor([[True, False, False, False, True]])
    last = model(x, mask, hidden=hidden)[0, 4].pow(2).sum()
    reads = torch.autograd.grad(last, x)[0][0].abs().sum(dim=1) > 0
    assert reads.tolist() == [False, True, True, True, True], "its own by the residual"
    first = model(x, mask, hidden=hidden)[0, 0].pow(2).sum()
    reads = torch.autograd.grad(first, x)[0][0].abs().sum(dim=1) > 0
    assert reads.tolist() == [True, *[not causal] * 3, False]


def test_a_row_of_hidden_items_attends_to_itself() -> None:
    model = built(layers=1)
    x, mask = sequences(batch=2)
    states = model(x, mask, hidden=mask)
    for t in range(5):
        seen = torch.zeros(1, 5, dtype=torch.bool)
        seen[0, t] = True
        alone = model(x[:1], mask[:1], hidden=~seen)
        torch.testing.assert_close(states[0, t], alone[0, t])
    torch.testing.assert_close(model.last(x, mask, hidden=mask)[0], states[0, 4])


@pytest.mark.parametrize("causal", [True, False])
def test_causality_can_be_overridden_for_one_call(causal: bool) -> None:
    x, mask = sequences()
    own, other = built(causal=causal), built(causal=not causal)
    assert not torch.allclose(own(x, mask), other(x, mask))
    assert torch.equal(own(x, mask, causal=not causal), other(x, mask))
    assert torch.equal(own.last(x, mask, causal=not causal), other.last(x, mask))
    assert own.causal is causal


@pytest.mark.parametrize("positions", ["start", "end"])
def test_rows_longer_than_the_positions_are_refused(positions: Positions) -> None:
    encoder = Transformer(8, 3, positions=positions)
    with pytest.raises(ValueError, match=r"rows of 4 items .* max_length=3"):
        encoder(torch.ones(2, 4, 8), torch.ones(2, 4, dtype=torch.bool))
