"""An exported folder gives the lists of the model, and describes itself."""

import json
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.errors import ConfigError, GraphError, RunError
from graphseq.export import export_model
from graphseq.export.folder import _check_graph, _item_table
from graphseq.exported import ExportedModel, checksum
from graphseq.graphs.part import part_of
from graphseq.models import SASRec


def as_table(found: pl.DataFrame, users: int, k: int) -> list[list[object]]:
    """The lists of a recommender, one a user."""
    items = found["item"].to_list()
    assert len(items) == users * k
    return [items[at : at + k] for at in range(0, len(items), k)]


def names(model: ExportedModel, rows: np.ndarray) -> list[list[object]]:
    return [[model.items[row] for row in line] for line in rows]


@pytest.mark.parametrize("history_items", ["exclude", "keep"])
def test_the_lists_are_those_of_the_recommender(
    model: SASRec,
    graph: HeteroData,
    folder: Path,
    history_items: Literal["exclude", "keep"],
) -> None:
    exported, recommender = ExportedModel(folder), gs.Recommender(model, graph)
    users = graph["user"].vocabulary.ids.to_list()
    wanted = recommender.recommend(users, k=8, history_items=history_items)
    found = exported.recommend(users, k=8, history_items=history_items)
    assert names(exported, found.items) == as_table(wanted, len(users), 8)
    scores = wanted["score"].to_numpy().reshape(-1, 8)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5, atol=1e-5)


def test_lists_of_histories_are_those_of_the_recommender(
    model: SASRec, graph: HeteroData, folder: Path
) -> None:
    exported, recommender = ExportedModel(folder), gs.Recommender(model, graph)
    raw = graph["item"].vocabulary.ids.to_list()
    histories = [raw[:1], raw[5:40], raw[3:6]]  # one is longer than the window
    wanted = recommender.recommend(histories=histories, k=5)
    rows = [exported.find_items(history) for history in histories]
    found = exported.recommend(histories=rows, k=5)
    assert names(exported, found.items) == as_table(wanted, 3, 5)


def test_the_vectors_are_those_after_propagation(
    model: SASRec, graph: HeteroData, folder: Path
) -> None:
    found = ExportedModel(folder)._tables.vectors
    np.testing.assert_array_equal(found, model.item_vectors(graph).detach().numpy())
    assert np.abs(found - model.backbone.features.weight.detach().numpy()).max() > 0.1


def test_the_index_finds_the_same_items(folder: Path) -> None:
    import faiss

    exported = ExportedModel(folder)
    history = [exported.find_items(exported.items[:4])]
    index = faiss.read_index(str(folder / "index.faiss"))
    _, items = index.search(exported.encode(history), 6)
    found = exported.recommend(histories=history, k=6, history_items="keep")
    assert items.tolist() == found.items.tolist()


def test_the_card_describes_the_model_and_the_files(
    model: SASRec, graph: HeteroData, folder: Path
) -> None:
    card = json.loads((folder / "card.json").read_text("utf-8"))
    assert card["model_name"] == "SASRec"
    assert card["window"] == 10
    assert card["license"] == "CC0-1.0"
    assert card["graph"]["hash"] == gs.graphs.graph_hash(graph)
    assert card["metrics"] is None
    files = {path.name for path in folder.iterdir()} - {"card.json"}
    assert set(card["files"]) == files
    assert all(checksum(folder / n) == known for n, known in card["files"].items())


def test_titles_are_those_of_their_items(folder: Path) -> None:
    titles = ExportedModel(folder).titles
    assert titles is not None
    assert titles[0] == "The first item"
    assert set(titles[1:]) == {None}


def test_an_export_is_replaced_only_on_request(
    model: SASRec, graph: HeteroData, folder: Path
) -> None:
    before = (folder / "card.json").read_bytes()
    with pytest.raises(RunError, match="--overwrite"):
        export_model(model, graph, folder)
    assert (folder / "card.json").read_bytes() == before


def test_another_folder_is_never_replaced(
    model: SASRec, graph: HeteroData, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(GraphError, match="will not be overwritten"):
        export_model(model, graph, tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_files_of_ones_own_in_an_export_are_not_lost(
    model: SASRec, graph: HeteroData, folder: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    (copied / "data").mkdir()
    with pytest.raises(RunError, match=r"and also data, which would be lost"):
        export_model(model, graph, copied, overwrite=True)
    (copied / "data").rmdir()
    export_model(model, graph, copied, overwrite=True)
    own = '{"graphseq": "0.2", "model_name": "SASRec", "files": 5}'
    for card in ('{"name": "of a business"}', own):
        (copied / "card.json").write_text(card)
        with pytest.raises(GraphError, match="will not be overwritten"):
            export_model(model, graph, copied, overwrite=True)


def test_models_that_cannot_be_exported_are_refused_in_words(
    graph: HeteroData, tmp_path: Path
) -> None:
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    with pytest.raises(ConfigError, match=r"ItemKNN .* scores items directly"):
        export_model(gs.models.ItemKNN(*sizes), graph, tmp_path / "a")
    caser = gs.models.Caser(*sizes, user_vector=True)
    with pytest.raises(ConfigError, match=r"Caser .* history and a vector of its user"):
        export_model(caser, graph, tmp_path / "b")
    users = gs.models.UserContext(sizes[0], dim=8, source="graph")
    sasrec = gs.models.SASRec(sizes[0], gs.Backbone(sizes[1], users=users))
    with pytest.raises(ConfigError, match=r"SASRec .* history and a vector of its use"):
        export_model(sasrec, graph, tmp_path / "b")
    with pytest.raises(GraphError, match="does not fit this graph"):
        export_model(gs.models.SASRec(5, 7), graph, tmp_path / "c")
    assert not [*tmp_path.iterdir()]


def test_a_model_of_user_vectors_needs_no_encoder(
    graph: HeteroData, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    model = gs.models.LightGCN(*sizes, dim=8)
    run = gs.fit(model, graph, folder=tmp_path / "run", max_epochs=1, progress=False)
    gs.evaluate(model, graph, folder=tmp_path / "run", ks=(5,))
    made = export_model(model, graph, tmp_path / "model", run=run, index="hnsw")
    exported = ExportedModel(made)
    assert not (made / "encoder.onnx").exists()
    assert exported.card["metrics"]["means"].keys() == {"kept", "excluded"}
    users = graph["user"].vocabulary.ids.to_list()
    wanted = gs.Recommender(model, graph).recommend(users, k=5)
    found = exported.recommend(users, k=5)
    assert names(exported, found.items) == as_table(wanted, len(users), 5)
    with pytest.raises(ConfigError, match="a vector for each user"):
        exported.recommend(histories=[exported.find_items(exported.items[:2])])


def test_histories_can_be_left_out(graph: HeteroData, tmp_path: Path) -> None:
    """But not of a model that answers users only: it could exclude nothing."""
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    model = gs.models.SASRec(*sizes)
    made = export_model(model, graph, tmp_path / "model", histories=False)
    assert not (made / "users.parquet").exists()
    assert ExportedModel(made).users is None
    with pytest.raises(ConfigError, match="BPRMF has a vector of each user"):
        export_model(
            gs.models.BPRMF(*sizes, dim=4), graph, tmp_path / "b", histories=False
        )
    assert not (tmp_path / "b").exists()


def test_a_run_without_users_gives_lists_for_histories(graph: HeteroData) -> None:
    whole, part = _item_table(graph, None), part_of(graph, (), users=False)
    assert "events" in whole.columns
    assert _item_table(part, None).columns == ["item"]
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    _check_graph(gs.models.SASRec(*sizes), part)
    with pytest.raises(GraphError, match="interacts"):
        _check_graph(gs.models.POP(*sizes), part)


@pytest.mark.slow
def test_the_lists_of_all_users_of_beauty_are_those_of_the_recommender(
    shared: Path, tmp_path: Path, unchecked_shapes: None
) -> None:
    """Items change places only where their scores are equal to six digits."""
    log = gs.read_log(shared / "data" / "amazon-beauty" / "Beauty.txt")
    graph = gs.build_graph(gs.leave_one_out(log))
    torch.manual_seed(0)
    model = SASRec(log.num_users, log.num_items)
    gs.fit(model, graph, max_epochs=1, batch_size=384, threads=1, progress=False)
    exported = ExportedModel(export_model(model, graph, tmp_path / "model"))
    users = graph["user"].vocabulary.ids.to_list()
    found = exported.recommend(users, k=20)
    wanted = gs.Recommender(model, graph).recommend(users, k=21)  # one beyond the list
    scores = wanted["score"].to_numpy().reshape(-1, 21)
    items = graph["item"].vocabulary.encode(wanted["item"]).reshape(-1, 21)[:, :20]
    assert len(users) == 22_363
    assert np.abs(found.scores - scores[:, :20]).max() < 1e-5
    moved = found.items != items
    close = np.abs(np.diff(scores, prepend=np.inf))
    near = np.minimum(close[:, 1:], close[:, :-1]) < 1e-6
    assert not (moved & ~near).any()
    assert moved.any(axis=1).sum() < 20


@pytest.mark.parametrize("table", ["users", "items"])
def test_a_model_that_diverged_is_refused(
    graph: HeteroData, tmp_path: Path, table: str
) -> None:
    model = gs.models.BPRMF(graph["user"].num_nodes, graph["item"].num_nodes)
    with torch.no_grad():
        getattr(model, table)[3] = float("nan")
    with pytest.raises(GraphError, match="BPRMF has vectors with NaN"):
        export_model(model, graph, tmp_path / "model")
    assert not [*tmp_path.iterdir()]
