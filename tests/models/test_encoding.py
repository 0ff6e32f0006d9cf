"""An encoded batch: the states at every position, and those of prefixes."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.models import Backbone
from graphseq.sequences import SequenceLoader


def test_prefixes_and_all_positions_have_the_same_states(
    cycle: HeteroData,
) -> None:
    torch.manual_seed(0)
    items = cycle["item"].num_nodes
    backbone = Backbone(items, dim=8, sampler="prefix").eval()
    batch = SequenceLoader(cycle, "prefix", 16, 50)[0]
    table = backbone.items(cycle)
    every = backbone.states(table, batch)[batch.target_positions()[0]]
    only_last = backbone.encode(table, batch, cycle)
    torch.testing.assert_close(only_last.at_targets, every)
    torch.testing.assert_close(only_last.last, every)
    all_states = backbone.encode(table, batch, cycle, every_position=True)
    torch.testing.assert_close(all_states.at_targets, every)
    torch.testing.assert_close(all_states.last, every)
    with pytest.raises(RuntimeError, match="every_position = True"):
        _ = only_last.states
