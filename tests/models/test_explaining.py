"""Importances of all training examples: each its own, kept ragged, as shares."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.errors import ConfigError
from graphseq.models import explaining
from graphseq.models.backbone import Backbone
from graphseq.models.explaining import (
    check_method,
    explain,
    explain_all,
    importances,
    shares,
)
from graphseq.nn import GRU, Transformer
from graphseq.nn.importance import occlusion
from graphseq.sequences.same_target import SameTarget, same_target

METHODS = ["saliency", "occlusion", "gradients", "attention", "popularity"]


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return Backbone(12, dim=8, max_length=6).double().eval()


@pytest.fixture
def index(cycle: HeteroData) -> SameTarget:
    return same_target(cycle, "prefix", 6)


@pytest.mark.parametrize("method", METHODS)
def test_every_example_is_explained_by_itself(
    backbone: Backbone,
    index: SameTarget,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is explained beside it, and wherever it is kept."""
    monkeypatch.setattr(explaining, "ROWS", 37)
    table = backbone.features.weight.detach()
    kept = explain_all(backbone, table, index, method)
    assert len(kept) == int(index.examples.length.sum())
    assert not kept.requires_grad
    count = torch.bincount(index.flat, minlength=12)
    rows = torch.tensor([3, 0, 70, len(index.target) - 1])
    batch = index.gather(rows)
    found = importances(kept, index, batch)
    assert (found[~batch.mask] == 0).all()
    for i, row in enumerate(rows.tolist()):
        alone = index.gather(torch.tensor([row]))
        expected = explain(backbone, table, alone, method, count)[0]
        torch.testing.assert_close(found[i, : len(expected)], expected.to(found))


def test_what_is_explained_is_the_best_items_score(
    backbone: Backbone, index: SameTarget
) -> None:
    table = backbone.features.weight.detach()
    batch = index.gather(torch.arange(20))

    def best(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (
            backbone.encoder(x, mask)[torch.arange(len(x)), mask.sum(1) - 1] @ table.T
        ).amax(1)

    count = torch.zeros(12).long()
    found = explain(backbone, table, batch, "occlusion", count)
    expected = occlusion(best, table[batch.items.clamp(max=11)], batch.mask)
    torch.testing.assert_close(found, expected.detach())


def test_popularity_is_of_training_events(
    backbone: Backbone, index: SameTarget, cycle: HeteroData
) -> None:
    table = backbone.features.weight.detach()
    kept = explain_all(backbone, table, index, "popularity")
    batch = index.gather(torch.tensor([5]))
    n = int(batch.lengths)
    items = cycle[INTERACTS].edge_index[1].tolist()
    expected = [items.count(item) for item in batch.items[0, :n].tolist()]
    assert importances(kept, index, batch)[0, :n].tolist() == expected


def test_shares_are_equation_5() -> None:
    """U-7(a); negative scores by size or not at all; nothing known: evenly."""
    scores = torch.tensor([[0.7, 0.1, 1.2], [-1, 3, 0], [0, 0, 0]], dtype=torch.float64)
    mask = torch.tensor([[True] * 3, [True, True, False], [True, True, False]])
    by_size = shares(scores, mask, clip=False)
    assert by_size[0].tolist() == pytest.approx([0.35, 0.05, 0.60])
    assert by_size[1].tolist() == pytest.approx([0.25, 0.75, 0])
    assert by_size[2].tolist() == pytest.approx([0.5, 0.5, 0])
    assert shares(scores, mask, clip=True)[1].tolist() == pytest.approx([0, 1, 0])


def test_attention_is_asked_of_a_transformer_only() -> None:
    check_method("attention", Transformer(8))
    check_method("saliency", GRU(8))
    with pytest.raises(ConfigError, match="GRU"):
        check_method("attention", GRU(8))
