"""Dimensions of tensors that grow with the users or items."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM, USER
from graphseq.models.axes import growing_axes, with_sizes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BPRMF", {"users": {0: USER}, "items": {0: ITEM}}),
        ("SASRec", {"backbone.features.weight": {0: ITEM}}),
    ],
)
def test_tables_grow_with_their_nodes(
    lab, cycle: HeteroData, name: str, expected: dict[str, dict[int, str]]
) -> None:
    model = lab.build(name, cycle)
    state = torch.get_rng_state()
    found = {name: dims for name, dims in growing_axes(model).items() if dims}
    assert found == expected
    larger = with_sizes(model, 48, 15)
    for tensor_name, tensor in larger.state_dict().items():
        own = model.state_dict()[tensor_name]
        grows = ITEM in found.get(tensor_name, {}).values()
        assert (tensor.shape == own.shape) is not grows
    assert torch.equal(torch.get_rng_state(), state)
