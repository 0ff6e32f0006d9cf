"""WEARec: its loss as a loop over the rows, its size, its options."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import Backbone, WEARec
from graphseq.nn import WaveletFilter


def small(cycle: HeteroData, **options: object) -> WEARec:
    torch.manual_seed(0)
    encoder = WaveletFilter(4, 8, dropout=0.0)
    given = {"encoder": encoder, "sampler": "prefix", "max_length": 8}
    sizes = cycle["user"].num_nodes, cycle["item"].num_nodes
    return WEARec(sizes[0], Backbone(sizes[1], **(given | options))).double()


@pytest.mark.parametrize("empty_history", [False, True])
def test_the_loss_is_the_softmax_over_all_items_of_every_row(
    lab, cycle: HeteroData, empty_history: bool
) -> None:
    model = small(cycle, empty_history=empty_history)
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
