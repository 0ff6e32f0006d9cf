"""Users and items that are propagated together are two parameters."""

from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.errors import RunError
from graphseq.models import Model, create
from graphseq.training.checkpoint import (
    load_state,
    read_tensors,
    save_state,
    write_tensors,
)

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


def test_runs_of_version_0_2_are_used_and_not_resumed(
    cycle: HeteroData, tmp_path: Path
) -> None:
    sizes = cycle["user"].num_nodes, cycle["item"].num_nodes

    def made() -> Model:
        return create({"LightGCN": {"dim": 3}}, *sizes)

    model, folder = made(), tmp_path / "run"
    options = {"folder": folder, "progress": False, "monitor": None}
    run = gs.fit(model, cycle, max_epochs=1, **options)
    weights, header = read_tensors(run.weights_file)
    both = torch.cat([weights["users"], weights["items"]])
    write_tensors(run.weights_file, {"nodes": both}, header)
    assert torch.equal(gs.training.load_run(folder).model(cycle).nodes, both)
    started = made()
    gs.fit(started, cycle, start=folder, max_epochs=0, monitor=None, progress=False)
    assert torch.equal(started.nodes, both)
    path = folder / "checkpoint.safetensors"
    state = load_state(path)
    state["state_dict"] = {"model.nodes": both}
    save_state(state, path)
    with pytest.raises(RunError, match="an earlier version of graphseq began it"):
        gs.fit(made(), cycle, max_epochs=2, resume=True, **options)
