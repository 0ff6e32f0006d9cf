"""BERT4Rec: the masks, the states at them, the bias as one more dimension."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models import Backbone, BERT4Rec
from graphseq.nn import Propagated, Transformer
from graphseq.schema import OptionError
from graphseq.sequences import Batch
from graphseq.sequences.masking import hide

V, L = 12, 5


def built(seed: int = 0, **options) -> BERT4Rec:
    """A small model in float64, all of whose weights are random."""
    torch.manual_seed(seed)
    rates = {"dropout": 0.0, "attention_dropout": 0.0}
    encoder = Transformer(6, L, layers=2, heads=2, causal=False, **rates)
    sizes = {"max_length": L, "mask_token": True}
    features = options.pop("features", None)
    backbone = Backbone(V, encoder=encoder, features=features, **sizes)
    made = BERT4Rec(4, backbone, **options)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return made.double().eval()


def batch_of(rows: list[list[int]], targets: list[int] | None = None) -> Batch:
    width = max(1, max(map(len, rows)))
    items = torch.tensor([row + [V] * (width - len(row)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    wanted = None
    if targets is not None:
        wanted = torch.full_like(items, V)
        wanted[torch.arange(len(rows)), lengths - 1] = torch.tensor(targets)
    return Batch(torch.arange(len(rows)), items, lengths, V, wanted)


def naive_head(model: BERT4Rec, h: Tensor) -> Tensor:
    """LN(gelu(W h + b)) of one state, written out."""
    z = model.map.weight @ h + model.map.bias
    z = torch.stack([v * 0.5 * (1 + torch.erf(v / math.sqrt(2))) for v in z])
    spread = ((z - z.mean()) ** 2).mean() + model.norm.eps
    return (z - z.mean()) / spread**0.5 * model.norm.weight + model.norm.bias


def states_of(model: BERT4Rec, row: list[int]) -> Tensor:
    """States of one row without padding; V is the masked item."""
    table, token = model.backbone.features.weight, model.backbone.token
    x = torch.stack([token if item == V else table[item] for item in row])[None]
    return model.backbone.encoder(x, torch.ones(1, len(row), dtype=torch.bool))[0]


def test_an_item_scores_by_inner_product_and_bias(cycle: HeteroData) -> None:
    model = built()
    scores = model.score(batch_of([[1, 2], [7]]), cycle)
    for b, row in enumerate([[1, 2, V], [7, V]]):
        output = naive_head(model, states_of(model, row)[-1])
        for v in range(V):
            expected = output @ model.backbone.features.weight[v] + model.bias[v]
            torch.testing.assert_close(scores[b, v], expected.detach())


def test_the_mask_replaces_the_oldest_item_of_a_full_history(
    cycle: HeteroData,
) -> None:
    model = built()
    full = model.score(batch_of([[0, 1, 2, 3, 4]]), cycle)
    assert torch.equal(full, model.score(batch_of([[9, 1, 2, 3, 4]]), cycle))
    output = naive_head(model, states_of(model, [1, 2, 3, 4, V])[-1])
    table = model.backbone.features.weight
    torch.testing.assert_close(full[0], (table @ output + model.bias).detach())
    assert not torch.equal(full, model.score(batch_of([[1, 2, 3, 9]]), cycle))


def test_the_loss_is_the_cross_entropy_at_the_masked_positions(
    cycle: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = built(), batch_of([[1, 2, 3], [7]], [4, 8])
    hidden = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0]]).bool()
    monkeypatch.setattr(BERT4Rec, "draw_mask", lambda *_: hidden)
    expected = []
    for row, masked in [([1, 2, 3, 4], [0, 2]), ([7, 8], [1])]:
        seen = [V if t in masked else item for t, item in enumerate(row)]
        states = states_of(model, seen)
        for t in masked:
            logits = model.backbone.features.weight @ naive_head(model, states[t])
            logits = logits + model.bias
            expected.append(logits.logsumexp(dim=0) - logits[row[t]])
    [loss] = model.losses(batch, cycle).values()
    torch.testing.assert_close(loss, torch.stack(expected).mean())


def test_a_masked_position_reads_both_sides_and_not_its_item(
    cycle: HeteroData,
) -> None:
    model = built()
    table = model.backbone.items(cycle)
    masked = torch.tensor([[0, 1, 0]]).bool()

    def state(row: list[int]) -> Tensor:
        return model.backbone.states(table, hide(batch_of([row]), masked))[0, 1]

    same, before, after = state([1, 9, 3]), state([5, 2, 3]), state([1, 2, 5])
    assert torch.equal(state([1, 2, 3]), same)
    assert not torch.allclose(before, same) and not torch.allclose(after, same)


@pytest.mark.parametrize("mask_by", ["count", "chance"])
def test_every_row_has_a_masked_item(mask_by: str) -> None:
    torch.manual_seed(0)
    rows = [[*range(n)] for n in range(1, 6)]
    model = built(mask_by=mask_by, mask_rate=0.05, last_only_rate=0.0)
    for _ in range(20):
        batch = batch_of(rows)
        masked = model.draw_mask(batch)
        assert masked.any(dim=1).all() and not (masked & ~batch.mask).any()


def test_rows_in_which_only_the_last_item_is_masked() -> None:
    torch.manual_seed(0)
    batch = batch_of([[0, 1, 2, 3, 4]] * 4000)
    masked = built(mask_rate=0.6, last_only_rate=0.25).draw_mask(batch)
    only_last = masked.int().eq(torch.tensor([0, 0, 0, 0, 1])).all(dim=1)
    assert set(masked.sum(dim=1).tolist()) == {1, 3}
    assert abs(int(only_last.sum()) - 1000) < 5 * (4000 * 0.1875) ** 0.5


def test_max_masked_limits_the_count() -> None:
    batch = batch_of([[0, 1, 2, 3, 4]] * 9)
    model = built(mask_rate=1.0, max_masked=2, last_only_rate=0.0)
    assert model.draw_mask(batch).sum(dim=1).tolist() == [2] * 9


def test_the_batch_is_unchanged(cycle: HeteroData) -> None:
    batch = batch_of([[1, 2, 3], [7]], [4, 8])
    items, targets = batch.items.clone(), batch.targets.clone()
    built().losses(batch, cycle)
    assert torch.equal(batch.items, items) and torch.equal(batch.targets, targets)


def test_propagated_features_are_encoded_and_scored(cycle: HeteroData) -> None:
    features = Propagated(V, dim=6)
    model = built(features=features)
    table = model.item_vectors(cycle)
    assert torch.equal(table[:, :-1], features(cycle))
    assert torch.equal(table[:, -1], model.bias)
    assert model.requires == features.requires


def test_an_encoder_of_one_direction_is_refused() -> None:
    with pytest.raises(OptionError, match=r"needs .* Transformer\(causal=False"):
        BERT4Rec(4, Backbone(V, dim=8))
    assert BERT4Rec(4, V).backbone.encoder.options["causal"] is False


def test_a_longer_padding_changes_no_state(cycle: HeteroData) -> None:
    model, batch = built(), batch_of([[1, 2], [7]])
    longer = replace(batch, items=F.pad(batch.items, (0, 2), value=V))
    torch.testing.assert_close(model.score(longer, cycle), model.score(batch, cycle))
