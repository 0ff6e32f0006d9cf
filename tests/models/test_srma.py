"""SRMA: its three changes of the model, each by itself; its stages and loss."""

from typing import Any

import pytest
import torch
from graphseq.sequences.views import join, random_views
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import SRMA
from graphseq.nn import GRU, Transformer
from graphseq.nn.pooling import pool
from graphseq.objectives import nt_xent
from graphseq.sequences import Batch


def small(**options: Any) -> SRMA:
    torch.manual_seed(0)
    given = {"dim": 8, "max_length": 6, "pretrain_epochs": 1}
    return SRMA(48, 12, **(given | options))


@pytest.fixture
def batch(lab, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=9)[0]


@pytest.mark.parametrize("pooling", ["flatten", "mean", "last"])
@torch.no_grad()
def test_the_losses_are_their_equation(
    cycle: HeteroData, batch: Batch, pooling: str
) -> None:
    """Without dropout; in evaluation, no layer is left out."""
    options = {"contrast_weight": 0.3, "complement_weight": 0.4, "temperature": 0.8}
    model = small(pooling=pooling, **options).double().eval()
    for parameter in model.complement.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    torch.manual_seed(4)
    terms = model.losses(batch, cycle)
    torch.manual_seed(4)
    views = random_views(batch, model.operators, distinct=False)
    table, width = model.item_vectors(cycle), batch.items.shape[1]

    def vectors(view: Batch) -> torch.Tensor:
        states = model.appended(model.backbone.states(table, view))
        return pool(states, view.mask, pooling, length=width)

    first, second = map(vectors, views)
    theirs = model.complement.states(model.complement.items(cycle), batch)
    whole = pool(theirs, batch.mask, pooling, length=width)
    contrast = nt_xent(first, second, temperature=0.8)
    torch.testing.assert_close(terms["contrast"], 0.3 * contrast)
    pulled = sum(nt_xent(v, whole, temperature=0.8) for v in (first, second))
    torch.testing.assert_close(terms["complement"], 0.3 * 0.4 * pulled)
    states = model.appended(model.backbone.states_at_targets(table, batch))
    expected = model.backbone.next_item(states, table, batch)
    torch.testing.assert_close(terms["next_item"], expected)


def state(model: SRMA) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def test_the_complement_is_trained_first_and_then_stands_still(
    cycle: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(loss="bce", dropped=0)
    first, second = model.stages()
    assert first.epochs == 1 and second.epochs is None
    parts = ("complement.", "backbone.", "appended.")
    for stage, moving in ((first, parts[:1]), (second, parts[1:])):
        (step,) = stage.steps
        for name, _ in model.named_parameters():
            assert step.moves(name) == name.startswith(moving), name
    states = [state(model)]
    monkeypatch.setattr(
        SRMA, "refresh", lambda self, graph, epoch: states.append(state(self))
    )
    fit(model, cycle, max_epochs=2, batch_size=16, progress=False, accelerator="cpu")
    start, first_epoch, second_epoch, end = *states, state(model)
    assert start.keys() == end.keys()
    for name in start:
        assert torch.equal(start[name], first_epoch[name]), name
        learnt_first = not torch.equal(first_epoch[name], second_epoch[name])
        learnt_second = not torch.equal(second_epoch[name], end[name])
        assert learnt_first == name.startswith("complement."), name
        assert learnt_second != learnt_first, name


def test_the_complement_reads_without_dropout_and_gets_no_gradient(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small().train()
    twice = [model.complemented(batch, cycle, 6) for _ in range(2)]
    assert torch.equal(*twice) and not twice[0].requires_grad
    losses = model.losses(batch, cycle)
    torch.stack([*losses.values()]).sum().backward()
    assert all(p.grad is None for p in model.complement.parameters())
    model.train()
    first = model.complement_losses(batch, cycle)["complement_next_item"]
    second = model.complement_losses(batch, cycle)["complement_next_item"]
    assert first != second  # while it is trained, it has dropout


def encoded(model: SRMA, cycle: HeteroData, batch: Batch) -> tuple[torch.Tensor, ...]:
    both = join(batch, batch)
    return model.encode(model.item_vectors(cycle), both, 6)


def no_dropout() -> Transformer:
    return Transformer(8, 6, dropout=0.0)


@pytest.mark.parametrize("drops", ["distinct", "same"])
def test_views_lose_distinct_layers_or_the_same(
    cycle: HeteroData, batch: Batch, drops: str
) -> None:
    options = {"appended": 3, "dropped": 1, "neuron_masking": False}
    model = small(drops=drops, encoder=no_dropout(), **options).train()
    for linear in model.appended.linears:
        torch.nn.init.normal_(linear.weight)
    equal = [torch.equal(*encoded(model, cycle, batch)) for _ in range(60)]
    if drops == "same":
        assert all(equal)
    else:
        assert 8 < sum(equal) < 34  # a third of 60, within 4 sigma


@pytest.mark.parametrize("masking", [True, False])
def test_neuron_masking_is_dropout_of_the_views(
    cycle: HeteroData, batch: Batch, masking: bool
) -> None:
    model = small(neuron_masking=masking, appended=1, dropped=0).train()
    assert torch.equal(*encoded(model, cycle, batch)) != masking
    assert model.backbone.training and model.backbone.encoder.blocks[0].training


def test_without_appended_layers_and_complement_states_are_the_encoders(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small(appended=0, dropped=0, complement_weight=0.0).eval()
    assert len(model.stages()) == 1
    expected = model.backbone.last(model.item_vectors(cycle), batch)
    torch.testing.assert_close(model.represent(batch, cycle), expected)
    assert set(model.losses(batch, cycle)) == {"next_item", "contrast"}


@pytest.mark.parametrize("serve", [True, False])
def test_ranking_looks_behind_the_appended_layers_if_training_does(
    cycle: HeteroData, batch: Batch, serve: bool
) -> None:
    model = small(appended_serve=serve).eval()
    state = model.backbone.last(model.item_vectors(cycle), batch)
    expected = model.appended(state) if serve else state
    torch.testing.assert_close(model.represent(batch, cycle), expected)
    assert not torch.equal(model.appended(state), state)


def test_a_second_encoder_needs_training() -> None:
    with pytest.raises(ConfigError, match="pretrain_epochs=0"):
        small(pretrain_epochs=0)
    assert small(pretrain_epochs=0, complement_weight=0.0).complement is None


def test_any_encoder_will_do(cycle: HeteroData, batch: Batch) -> None:
    model = small(encoder=GRU(8), dropped=0).train()
    terms = model.losses(batch, cycle) | model.complement_losses(batch, cycle)
    torch.stack([*terms.values()]).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_released_recipe_has_no_second_encoder() -> None:
    assert SRMA.preset("s3", 5, 9).complement is not None
    assert SRMA.preset("code", 5, 9).complement is None
