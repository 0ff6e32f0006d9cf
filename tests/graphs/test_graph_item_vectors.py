"""Vectors of items in a graph, in files of graphs and in experiments."""

from pathlib import Path

import polars as pl
import pytest
import torch

from graphseq.config import check
from graphseq.data import Interactions, leave_one_out
from graphseq.errors import GraphError
from graphseq.graphs import (
    CoOccurrence,
    ItemVectors,
    build_graph,
    graph_hash,
    load_graph,
    save_graph,
    update_graph,
)
from graphseq.schema import OptionError

VECTORS = {"c": [5.0, 6.0], "a": [1.0, 2.0], "lost": [9.0, 9.0], "b": [3.0, 4.0]}


def log() -> Interactions:
    frame = {"user": [*"uuuuvvv"], "item": [*"dabcabd"], "time": [1, 2, 3, 4, 1, 2, 3]}
    return Interactions.from_frame(pl.DataFrame(frame))


def table(**more: list[float]) -> pl.DataFrame:
    rows = VECTORS | more
    return pl.DataFrame({"item": [*rows], "vector": [*rows.values()]})


def test_rows_follow_the_items_of_the_graph() -> None:
    graph = build_graph(leave_one_out(log()), [ItemVectors(table(d=[7.0, 8.0]))])
    assert graph["item"].vocabulary.ids.to_list() == [*"abcd"]
    assert graph["item"].x.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert graph["item"].x.dtype == torch.float32


@pytest.mark.parametrize(("missing", "row"), [("mean", [3, 4]), ("zero", [0, 0])])
def test_items_without_a_vector_follow_the_rule(missing: str, row: list[int]) -> None:
    """The mean is that of the graph's items: ``lost`` does not count."""
    step = ItemVectors(table(), missing=missing)
    graph = build_graph(leave_one_out(log()), [step])
    assert graph["item"].x[3].tolist() == row


def test_items_without_a_vector_are_refused_by_default() -> None:
    with pytest.raises(GraphError, match=r"1 of 4 items have no vector .*: 'd'. Add"):
        build_graph(leave_one_out(log()), [ItemVectors(table())])
    other = pl.DataFrame({"item": ["x"], "vector": [[1.0]]})
    with pytest.raises(GraphError, match="none of the 1 vectors"):
        build_graph(leave_one_out(log()), [ItemVectors(other)])


def test_vectors_are_in_the_hash_and_survive_a_folder_and_an_update(
    tmp_path: Path,
) -> None:
    steps = [CoOccurrence("item"), ItemVectors(table(d=[7.0, 8.0]))]
    graph = build_graph(leave_one_out(log()), steps)
    stored = load_graph(save_graph(graph, tmp_path / "graph"))
    assert torch.equal(stored["item"].x, graph["item"].x)
    others = [steps[0], ItemVectors(table(d=[7.0, 8.5]))]
    assert graph_hash(build_graph(leave_one_out(log()), others)) != graph_hash(graph)
    updated = update_graph(graph, leave_one_out(log()), steps)
    assert updated.updates[0].rows == 0, "edges of other steps are computed again"
    assert graph_hash(updated.graph) == graph_hash(graph)


def test_an_experiment_names_the_file_and_its_model_needs_it(tmp_path: Path) -> None:
    table(**{f"item-{n}": [float(n), 1.0] for n in range(6)}).write_parquet(
        tmp_path / "v.parquet"
    )
    features = {"Pretrained": {"size": 2}}
    options = {
        "data": {"cycle": {"num_users": 6, "num_items": 6, "length": 5}},
        "split": {"leave_one_out": {}},
        "graph": [{"ItemVectors": {"source": "v.parquet"}}],
        "model": {"SASRec": {"backbone": {"features": features, "dim": 8}}},
    }
    experiment = check(options)
    graph = experiment.graph(tmp_path)
    model = experiment.model(graph)
    model.check(graph)
    assert model.backbone.features(graph).shape == (6, 8)
    with pytest.raises(OptionError, match="add to graph: ItemVectors"):
        check({**options, "graph": []})
