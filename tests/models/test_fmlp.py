"""FMLPRec: its loss as a loop over the rows, its size, its options."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import Backbone, FMLPRec
from graphseq.nn import FourierFilter


def small(cycle: HeteroData, **options: object) -> FMLPRec:
    torch.manual_seed(0)
    encoder = FourierFilter(4, 8, dropout=0.0)
    given = {"encoder": encoder, "sampler": "prefix", "max_length": 8}
    sizes = cycle["user"].num_nodes, cycle["item"].num_nodes
    return FMLPRec(sizes[0], Backbone(sizes[1], **(given | options))).double()


@pytest.mark.parametrize("empty_history", [False, True])
def test_the_loss_is_the_softmax_over_all_items_of_every_row(
    lab, cycle: HeteroData, empty_history: bool
) -> None:
    model = small(cycle, loss="ce", empty_history=empty_history)
    (batch,) = lab.load(model, cycle, batch_size=10_000)
    assert bool((batch.lengths == 0).any()) == empty_history
    terms = model.losses(batch, cycle)
    expected = lab.prefix_losses(model, cycle).mean()
    torch.testing.assert_close(terms["next_item"], expected)
    assert set(terms) == {"next_item"}


def test_samplers_that_show_later_items_are_refused(cycle: HeteroData) -> None:
    for sampler in ("targets", "user"):
        with pytest.raises(ConfigError, match="sampler='prefix'"):
            small(cycle, sampler=sampler)


def test_parameters_are_as_many_as_the_authors() -> None:
    """The log of the authors' program on Beauty, whose row 0 is the padding."""
    count = sum(p.numel() for p in FMLPRec(22_363, 12_101).parameters())
    assert count == 851_200


def test_the_loss_of_the_paper_samples_one_negative(lab, cycle: HeteroData) -> None:
    model = FMLPRec(48, cycle["item"].num_nodes).double().eval()
    (batch,) = lab.load(model, cycle, batch_size=10_000)
    states = model.represent(batch, cycle)
    items = model.item_vectors(cycle)
    rows = torch.arange(len(batch))
    last = (batch.lengths - 1).clamp(min=0)
    positive = (states * items[batch.targets[rows, last]]).sum(1)
    negative = (states * items[batch.negatives[rows, last, 0]]).sum(1)
    expected = -(positive.sigmoid().log() + (1 - negative.sigmoid()).log()).mean()
    torch.testing.assert_close(model.losses(batch, cycle)["next_item"], expected)
