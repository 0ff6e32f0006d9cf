"""Dimensions of tensors that grow with the users or items."""

import pytest
import torch
from torch import nn
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM, USER
from graphseq.errors import ConfigError
from graphseq.models import BPRMF, axes
from graphseq.models.axes import growing_axes, with_sizes


class Joint(BPRMF):
    """A model with one tensor for users and items."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__(num_users, num_items)
        self.nodes = nn.Parameter(torch.zeros(num_users + num_items, 2))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BPRMF", {"users": {0: USER}, "items": {0: ITEM}}),
        ("LightGCN", {"users": {0: USER}, "items": {0: ITEM}}),
        ("XSimGCL", {"users": {0: USER}, "items": {0: ITEM}}),
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


def test_rows_of_users_and_items_in_one_tensor_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(axes, "with_sizes", lambda _, *sizes: Joint(*sizes))
    with pytest.raises(ConfigError, match=r"Joint\.nodes has rows of users and items"):
        growing_axes(Joint(3, 4))
