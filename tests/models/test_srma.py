"""SRMA: its three augmentations of the model, one by one; stages and losses."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import SRMA, ModelAugmentation, UserContext
from graphseq.sequences import Batch
from graphseq.sequences.operators import join


def small(
    backbone: dict[str, Any] | None = None, serve: bool = True, **options: Any
) -> SRMA:
    torch.manual_seed(0)
    sizes = {"dim": 8, "max_length": 6} | (backbone or {})
    objective = ModelAugmentation(**{"pretrain_epochs": 1} | options)
    part = SRMA.default_backbone(12, **sizes)
    return SRMA(48, part, objective=objective, appended_serve=serve)


@pytest.fixture
def batch(lab: Any, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=9)[0]


@pytest.mark.parametrize("pooling", ["flatten", "mean", "last"])
@pytest.mark.parametrize("serve", [True, False])
def test_terms_are_their_equations(
    loops: Any, noise: HeteroData, serve: bool, pooling: Any
) -> None:
    """Without dropout; in evaluation mode, no layer is skipped."""
    objective = ModelAugmentation(
        weight=0.3, complement_weight=0.4, temperature=0.7, pooling=pooling
    )
    model = loops.build(SRMA, noise, objective=objective, appended_serve=serve)
    views = loops.record_views(model)
    batch, items = loops.batch(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    appended, complement = objective.appended, objective.complement

    def vectors(rows: Batch, **options: Any) -> Tensor:
        return loops.vectors(model.backbone, items, rows, **options)

    first, second = vectors(views[0], pooling=pooling, head=appended).chunk(2)
    own = loops.vectors(complement, complement.items(noise), batch, pooling)
    with_own = loops.nt_xent(first, own, 0.7) + loops.nt_xent(second, own, 0.7)
    loops.check(terms["contrast"], 0.3 * loops.nt_xent(first, second, 0.7))
    loops.check(terms["complement"], 0.3 * 0.4 * with_own)
    head = {"head": appended} if serve else {}
    torch.testing.assert_close(model.represent(batch, noise), vectors(batch, **head))
    losses = []  # at every position of every row
    for row, targets, n in zip(batch.items, batch.targets, batch.lengths, strict=True):
        for length in range(1, int(n) + 1):
            prefix = Batch(batch.user[:1], row[None], torch.tensor([length]), 20)
            scores = vectors(prefix, **head)[0] @ items.T
            losses.append(-scores.log_softmax(dim=0)[targets[length - 1]].item())
    loops.check(terms["next_item"], sum(losses) / len(losses))


def test_the_complement_equals_the_backbone_at_first_and_reads_no_masks(
    cycle: HeteroData,
) -> None:
    model = small({"mask_token": True, "features": {"Propagated": {}}})
    complement = model.objectives[0].complement
    theirs, own = complement.state_dict(), model.backbone.state_dict()
    assert own.keys() - theirs.keys() == {"token"}
    for name, weight in theirs.items():
        assert torch.equal(weight, own[name])
        assert weight.data_ptr() != own[name].data_ptr()
    assert complement.sampler == model.backbone.sampler
    assert torch.equal(complement.items(cycle), model.item_vectors(cycle))


def state(model: SRMA) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def test_the_complement_is_trained_first_and_then_frozen(
    cycle: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small({"loss": "bce"}, skipped=0)
    first, second = model.stages()
    assert (first.epochs, second.epochs) == (1, None)
    states, refresh = [state(model)], SRMA.refresh

    def watched(self: SRMA, graph: HeteroData, epoch: int) -> None:
        states.append(state(self))
        refresh(self, graph, epoch)

    monkeypatch.setattr(SRMA, "refresh", watched)
    fit(model, cycle, max_epochs=2, batch_size=16, progress=False, accelerator="cpu")
    start, first_epoch, second_epoch, end = *states, state(model)
    for name in start:
        assert torch.equal(start[name], first_epoch[name]), name
        trained_first = not torch.equal(first_epoch[name], second_epoch[name])
        trained_second = not torch.equal(second_epoch[name], end[name])
        assert trained_first == (".complement." in name), name
        assert trained_second != trained_first, name


def test_the_complement_encodes_without_dropout_and_gradient(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small().train()
    objective = model.objectives[0]
    vectors = [objective.complement_vectors(batch, cycle, 6) for _ in range(2)]
    assert torch.equal(*vectors) and not vectors[0].requires_grad
    torch.stack([*model.losses(batch, cycle).values()]).sum().backward()
    assert all(p.grad is None for p in objective.complement.parameters())
    first, second = (
        objective.complement_losses(batch, cycle)["complement_next_item"]
        for _ in range(2)
    )
    assert first != second  # while it is trained, it has dropout


def encoded(model: SRMA, cycle: HeteroData, batch: Batch) -> tuple[Tensor, ...]:
    """The vectors of two equal views."""
    [objective] = model.objectives
    both, items = join(batch, batch), model.item_vectors(cycle)
    return objective.encode(model.backbone, items, both, 6)


@pytest.mark.parametrize("skips", ["distinct", "same"])
def test_views_skip_distinct_layers_or_the_same(
    cycle: HeteroData, batch: Batch, skips: Any
) -> None:
    encoder = {"Transformer": {"dropout": 0.0, "attention_dropout": 0.0}}
    options = {"appended": 3, "skipped": 1, "neuron_masking": False}
    model = small({"encoder": encoder}, skips=skips, **options).train()
    for linear in model.objectives[0].appended.linears:
        torch.nn.init.normal_(linear.weight)
    equal = [torch.equal(*encoded(model, cycle, batch)) for _ in range(60)]
    if skips == "same":
        assert all(equal)
    else:
        assert 8 < sum(equal) < 34  # a third of 60, within 4 sigma


@pytest.mark.parametrize("masking", [True, False])
def test_neuron_masking_is_dropout_of_the_views(
    cycle: HeteroData, batch: Batch, masking: bool
) -> None:
    model = small(neuron_masking=masking, appended=1, skipped=0).train()
    assert torch.equal(*encoded(model, cycle, batch)) != masking
    assert model.backbone.training and model.backbone.encoder.blocks[0].training


def test_appended_layers_have_their_own_dropout(noise: HeteroData, loops: Any) -> None:
    objective = ModelAugmentation(appended=1, skipped=0, appended_dropout=0.8)
    loops.build(SRMA, noise, objective=objective)
    layers = objective.appended.train()
    states = torch.randn(1, 4000, 8, dtype=torch.float64)
    with torch.no_grad():
        for name, weight in layers.named_parameters():
            if "norm" not in name:
                weight.zero_()
                weight += name.endswith("bias")  # every output is gelu(1)
    found, plain = layers(states), layers(states, masking=False)
    differ = ((found - plain).abs() > 1e-6).any(dim=-1).double().mean().item()
    assert differ == pytest.approx(1 - 0.8**8 - 0.2**8, abs=0.03)  # LN undoes shifts


def test_without_appended_layers_and_complement_states_are_the_backbones(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small(appended=0, skipped=0, complement_weight=0.0).eval()
    assert len(model.stages()) == 1 and model.objectives[0].complement is None
    expected = model.backbone.last(model.item_vectors(cycle), batch)
    torch.testing.assert_close(model.represent(batch, cycle), expected)
    assert set(model.losses(batch, cycle)) == {"next_item", "contrast"}


def test_a_second_encoder_needs_training() -> None:
    with pytest.raises(ConfigError, match="pretrain_epochs: expected 1 or more"):
        ModelAugmentation(pretrain_epochs=0)
    with pytest.raises(ConfigError, match="skipped: expected at most appended=1"):
        ModelAugmentation(appended=1, skipped=2)
    assert ModelAugmentation(pretrain_epochs=0, complement_weight=0.0)


def test_the_second_encoder_has_users_of_its_own(cycle: HeteroData) -> None:
    """Its stage trains them; those of the model stay as they are."""
    model = small({"users": UserContext(48, dim=8, source="graph")})
    stage, _ = model.stages()
    own = {id(weight) for weight in model.backbone.parameters()}
    trained = {id(weight) for weight in stage.steps[0].trains(model)}
    assert trained and not own & trained
