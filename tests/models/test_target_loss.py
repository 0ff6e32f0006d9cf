"""The loss of the next item: a mean over the targets, with an unbiased normaliser."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.sequences import Batch, SequenceLoader

V = 12


@pytest.mark.parametrize("loss", ["ce", "bce", "gbce"])
def test_the_next_item_loss_is_a_mean_over_the_targets(
    cycle: HeteroData, loss: Any
) -> None:
    """Of the targets of two halves of a batch, it is the mean of both losses."""
    torch.manual_seed(0)
    backbone = Backbone(V, dim=8, loss=loss, num_negatives=2).eval()
    assert backbone.num_negatives == (0 if loss == "ce" else 2)
    loader = SequenceLoader(cycle, "prefix", 64, 50, num_negatives=2)
    batch, items = loader[0], backbone.items(cycle)
    assert len(batch) == 64

    def value(rows: slice) -> Tensor:
        names = ("user", "items", "lengths", "targets", "negatives", "example")
        part = replace(batch, **{name: getattr(batch, name)[rows] for name in names})
        last = backbone.encode(items, part, cycle).last
        return backbone.next_item(last, items, part)

    halves = value(slice(32)) + value(slice(32, None))
    torch.testing.assert_close(value(slice(None)), halves / 2)
    states = backbone.last(items, batch)
    if loss == "ce":
        expected = F.cross_entropy(states @ items.T, batch.target_positions()[1])
        torch.testing.assert_close(value(slice(None)), expected)


def test_a_sampled_normaliser_is_that_of_all_items_on_average(
    cycle: HeteroData,
) -> None:
    """exp(loss) is the normaliser over the target's exponential, without bias."""
    torch.manual_seed(0)
    backbone = Backbone(V, dim=8, loss="sampled", num_negatives=4).double().eval()
    assert backbone.num_negatives == 0, "the loader samples none"
    items = torch.randn(V, 8, dtype=torch.float64) / 2
    state = torch.randn(1, 8, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.long)
    batch = Batch(one, one[None], one, V, targets=torch.tensor([[2]]))
    full = F.cross_entropy(state @ items.T, torch.tensor([2])).exp()
    draws = torch.stack(
        [backbone.next_item(state, items, batch).exp() for _ in range(4_000)]
    )
    error = 4 * draws.std() / len(draws) ** 0.5
    assert (draws.mean() - full).abs() < error < 0.1 * full
    items.requires_grad_()
    backbone.next_item(state, items, batch).backward()
    assert items.grad is not None and items.grad.any()
