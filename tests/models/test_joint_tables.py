"""Users and items that are propagated together are two parameters."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.models import create

NAMES = ["LightGCN", "SimGCL", "XSimGCL"]


@pytest.mark.parametrize("name", NAMES)
def test_nodes_are_the_users_and_then_the_items(name: str) -> None:
    model = create({name: {"dim": 3}}, 4, 5)
    assert [*model.state_dict()] == ["users", "items"]
    assert torch.equal(model.nodes[:4], model.users)
    assert torch.equal(model.nodes[4:], model.items)


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_version_0_2_are_loaded(name: str, cycle: HeteroData) -> None:
    sizes = cycle["user"].num_nodes, cycle["item"].num_nodes
    one, other = (create({name: {"dim": 3}}, *sizes) for _ in range(2))
    state = {"nodes": one.nodes.detach()}
    other.load_state_dict(state)
    assert [*state] == ["nodes"], "the weights of the caller are left as they are"
    found = other.item_vectors(cycle)
    torch.testing.assert_close(found, one.item_vectors(cycle), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="size mismatch for items"):
        other.load_state_dict({"nodes": one.nodes[:-1].detach()})
