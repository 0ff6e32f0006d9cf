"""Folders of graphs: complete, checked, and never at another's cost."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.data import HeldOut, Interactions, Vocabulary, by_user, synthetic
from graphseq.errors import GraphError
from graphseq.graphs import (
    CoOccurrence,
    build_graph,
    export_graph,
    graph_hash,
    held_out_hash,
    load_graph,
    save_graph,
)
from graphseq.nn.adjacency import operator

STEPS = [CoOccurrence("user", top_k=5), CoOccurrence("item", weight="cosine")]


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.cycle(num_users=40, num_items=12, length=9, seed=0)
    return build_graph(by_user(log), STEPS)


def tensors(graph: HeteroData) -> dict[str, Tensor]:
    found = {}
    for relation in graph.edge_types:
        for name, value in graph[relation].items():
            if isinstance(value, Tensor):
                found[f"{relation} {name}"] = value
    for part in ("validation", "test"):
        for name, value in getattr(graph, part)._asdict().items():
            found[f"{part} {name}"] = value
    return found


def test_a_graph_comes_back_as_it_was(graph: HeteroData, tmp_path: Path) -> None:
    operator(graph, ITEM_CO_OCCURS)
    back = load_graph(save_graph(graph, tmp_path / "deep" / "graph"))
    before, after = tensors(graph), tensors(back)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert value.dtype == after[name].dtype
        assert torch.equal(value, after[name])
    assert back.node_types == graph.node_types
    assert back.edge_types == graph.edge_types
    assert isinstance(back.test, HeldOut)
    assert back.provenance == graph.provenance
    assert "operator" not in back[ITEM_CO_OCCURS]
    for kind in ("user", "item"):
        assert back[kind].num_nodes == graph[kind].num_nodes
        assert back[kind].vocabulary == graph[kind].vocabulary
    assert graph_hash(back) == graph_hash(graph)
    assert held_out_hash(back) == held_out_hash(graph)


def test_the_folder_holds_nothing_that_runs(graph: HeteroData, tmp_path: Path) -> None:
    folder = save_graph(graph, tmp_path / "graph")
    names = {"graph.json", "tensors.safetensors", "user.parquet", "item.parquet"}
    assert {path.name for path in folder.iterdir()} == names
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]
    for path in folder.iterdir():
        assert b"torch._utils" not in path.read_bytes()


def test_text_ids_survive(tmp_path: Path) -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 3, 1
    graph["user"].vocabulary = Vocabulary(["ä b", 'x"\n', "007"])
    graph[INTERACTS].edge_index = torch.tensor([[2], [0]])
    back = load_graph(save_graph(graph, tmp_path / "graph"))
    assert back["user"].vocabulary.ids.to_list() == ["ä b", 'x"\n', "007"]
    assert "vocabulary" not in back["item"]


def test_ids_beyond_float32_survive(tmp_path: Path) -> None:
    graph = HeteroData()
    graph["user"].num_nodes = graph["item"].num_nodes = 2**40
    index = torch.tensor([[2**24 + 1, 2**40 - 1], [2**24 + 1, 2**33 + 1]])
    graph[INTERACTS].edge_index = index
    back = load_graph(save_graph(graph, tmp_path / "graph"))
    assert torch.equal(back[INTERACTS].edge_index, index)


def test_tensors_that_share_memory_are_stored_apart(tmp_path: Path) -> None:
    graph = HeteroData()
    graph["user"].num_nodes = graph["item"].num_nodes = 9
    both = torch.arange(8).view(2, 4)
    graph[INTERACTS].edge_index = both
    graph[INTERACTS].time = both[0]
    graph[INTERACTS].again = both
    back = load_graph(save_graph(graph, tmp_path / "graph"))
    assert torch.equal(back[INTERACTS].time, both[0])
    assert torch.equal(back[INTERACTS].again, both)


def test_saving_again_replaces_the_graph(graph: HeteroData, tmp_path: Path) -> None:
    folder = save_graph(graph, tmp_path / "graph")
    other = CoOccurrence("user", top_k=1)(graph)
    save_graph(other, folder)
    assert graph_hash(load_graph(folder)) == graph_hash(other) != graph_hash(graph)
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_failure_while_saving_leaves_the_old_graph(
    graph: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_graph(graph, tmp_path / "graph")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(GraphError, match="refused: disk full"):
        save_graph(CoOccurrence("user", top_k=1)(graph), folder)
    monkeypatch.undo()
    assert graph_hash(load_graph(folder)) == graph_hash(graph)
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_failed_rename_puts_the_old_graph_back(
    graph: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename = save_graph(graph, tmp_path / "graph"), os.replace

    def fail(source: Path, target: Path) -> None:
        if source.suffix == ".new":
            raise OSError("gone")
        rename(source, target)

    monkeypatch.setattr("graphseq.atomic._exchange_names", lambda a, b: False)
    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(GraphError, match="refused: gone"):
        save_graph(CoOccurrence("user", top_k=1)(graph), folder)
    assert graph_hash(load_graph(folder)) == graph_hash(graph)


def test_an_empty_folder_may_be_filled(graph: HeteroData, tmp_path: Path) -> None:
    (tmp_path / "graph").mkdir()
    assert load_graph(save_graph(graph, tmp_path / "graph")).node_types


@pytest.mark.parametrize("metadata", [None, "{}", "[1]", "not JSON"])
def test_other_folders_are_neither_overwritten_nor_read(
    graph: HeteroData, tmp_path: Path, metadata: str | None
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    if metadata is not None:
        (tmp_path / "graph.json").write_text(metadata)
    with pytest.raises(GraphError, match="not a saved graph and will not be overw"):
        save_graph(graph, tmp_path)
    with pytest.raises(
        GraphError, match=r"no valid graph\.json.*graphseq build LOG.*save_g"
    ):
        load_graph(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_kept(graph: HeteroData, tmp_path: Path) -> None:
    (tmp_path / "graph").write_text("mine")
    with pytest.raises(GraphError, match="will not be overwritten"):
        save_graph(graph, tmp_path / "graph")
    assert (tmp_path / "graph").read_text() == "mine"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        GraphError, match="nowhere is not a saved graph: it does not exist"
    ):
        load_graph(tmp_path / "nowhere")


def edit(**changes: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        metadata = json.loads((folder / "graph.json").read_text())
        (folder / "graph.json").write_text(json.dumps(metadata | changes))

    return apply


def flip_last_byte(folder: Path) -> None:
    path = folder / "tensors.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return apply


DAMAGE = {
    "a flipped bit": flip_last_byte,
    "cut tensors": cut("tensors.safetensors"),
    "cut vocabulary": cut("item.parquet"),
    "no tensors": lambda folder: (folder / "tensors.safetensors").unlink(),
    "no vocabulary": lambda folder: (folder / "user.parquet").unlink(),
    "other parameters": edit(provenance={"split": {"protocol": "mine"}}),
    "other sizes": edit(nodes={"user": 1, "item": 2}),
    "no relations": edit(relations=[]),
    "strange relations": edit(relations=7),
    "no hashes": edit(hashes=None),
    "other hashes": edit(hashes={"graph_hash": "ab", "held_out": "cd"}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_noticed(graph: HeteroData, tmp_path: Path, kind: str) -> None:
    folder = save_graph(graph, tmp_path / "graph")
    DAMAGE[kind](folder)
    with pytest.raises(GraphError, match=r"is damaged: .*Build the graph again"):
        load_graph(folder)


def test_exchange_names_vocabularies_are_noticed(tmp_path: Path) -> None:
    def named(prefix: str) -> Interactions:
        users = Vocabulary([f"{prefix}{n}" for n in range(9)])
        log = synthetic.cycle(num_users=9, num_items=5, length=6, seed=0)
        return Interactions.from_arrays(log.user, log.item, users=users)

    folders = [
        save_graph(
            build_graph(by_user(named(name), fractions=(0.4, 0.3, 0.3))),
            tmp_path / name,
        )
        for name in "ab"
    ]
    shutil.copy(folders[0] / "user.parquet", folders[1] / "user.parquet")
    with pytest.raises(GraphError, match="its graph_hash is"):
        load_graph(folders[1])


def test_a_later_version_is_refused(graph: HeteroData, tmp_path: Path) -> None:
    folder = save_graph(graph, tmp_path / "graph")
    edit(version=99)(folder)
    with pytest.raises(GraphError, match=r"version 99; this graphseq reads version 1"):
        load_graph(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_weights_that_are_no_numbers_from_0_are_refused(
    graph: HeteroData, tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = graph.clone()
    broken[ITEM_CO_OCCURS].edge_weight[3] = value
    for write in (save_graph, export_graph):
        with pytest.raises(GraphError, match=r"must be a finite number .* on edge 3"):
            write(broken, tmp_path / "graph")
    assert not (tmp_path / "graph").exists()
    with monkeypatch.context() as patch:  # written by a program without the check
        patch.setattr("graphseq.graphs.storage.check_content", lambda graph: None)
        save_graph(broken, tmp_path / "graph")
    with pytest.raises(GraphError, match=r"must be a finite number .* on edge 3"):
        load_graph(tmp_path / "graph")
