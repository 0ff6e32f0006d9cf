"""CoSeRec: what is similar, and when it is asked anew; its loss and presets."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS
from graphseq.models import CoSeRec
from graphseq.models.similarity import from_graph, from_table, most_similar
from graphseq.nn import GRU, Propagated
from graphseq.objectives import nt_xent


def small(**options: Any) -> CoSeRec:
    torch.manual_seed(0)
    given = {"dim": 8, "max_length": 6, "threshold": 3}
    return CoSeRec(48, 12, **(given | options)).eval()


def test_similar_items_are_asked_anew_after_the_offline_epochs(
    cycle: HeteroData,
) -> None:
    model = small(offline_epochs=2, similarity="online")
    offline = from_graph(cycle).item
    for epoch in (0, 1):
        model.refresh(cycle, epoch)
        assert torch.equal(model.epoch_state["similar"], offline)
    for epoch in (2, 3):
        with torch.no_grad():
            model.backbone.features.weight.normal_()
        model.refresh(cycle, epoch)
        online = from_table(model.item_vectors(cycle)).item
        assert torch.equal(model.epoch_state["similar"], online)
        assert not model.epoch_state["similar"].requires_grad


@pytest.mark.parametrize("similarity", ["offline", "hybrid"])
def test_other_sources_of_similarity(cycle: HeteroData, similarity: str) -> None:
    model = small(offline_epochs=0, similarity=similarity)
    with torch.no_grad():
        model.backbone.features.weight.normal_()
    model.refresh(cycle, 0)
    expected = most_similar(cycle, model.item_vectors(cycle), similarity)
    assert torch.equal(model.epoch_state["similar"], expected)


def test_without_an_epochs_start_the_graph_is_asked(lab, cycle: HeteroData) -> None:
    model = small(offline_epochs=0)
    batch = lab.load(model, cycle)[0]
    model.losses(batch, cycle)
    expected = most_similar(cycle, model.item_vectors(cycle), "hybrid")
    assert torch.equal(model.epoch_state["similar"], expected)


@pytest.mark.parametrize("pooling", ["flatten", "last"])
@torch.no_grad()
def test_the_contrast_is_of_the_views_drawn(
    lab, cycle: HeteroData, pooling: str
) -> None:
    model = small(contrast_weight=0.4, temperature=0.5, pooling=pooling)
    batch = lab.load(model, cycle, batch_size=9)[0]
    model.refresh(cycle, 0)
    torch.manual_seed(2)
    terms = model.losses(batch, cycle)
    torch.manual_seed(2)
    first, second = model.views.draw(batch, model.epoch_state["similar"])
    table = model.item_vectors(cycle)
    vectors = [model.backbone.view(table, view, pooling) for view in (first, second)]
    expected = 0.4 * nt_xent(*vectors, temperature=0.5)
    torch.testing.assert_close(terms["contrast"], expected)


@pytest.mark.parametrize(
    "options",
    [{"encoder": GRU(8)}, {"features": Propagated(12, dim=8)}],
    ids=["GRU", "Propagated"],
)
def test_any_encoder_and_features_will_do(
    lab, cycle: HeteroData, options: dict[str, Any]
) -> None:
    model = small(**options, offline_epochs=0).train()
    assert model.requires == (ITEM_CO_OCCURS,)
    with torch.no_grad():
        model.refresh(cycle, 0)
    terms = model.losses(lab.load(model, cycle)[0], cycle)
    torch.stack([*terms.values()]).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
