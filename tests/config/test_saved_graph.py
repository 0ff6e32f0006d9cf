"""Experiments on a saved graph, and what they say otherwise than the graph."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphseq.cli import main
from graphseq.config import Experiment, check
from graphseq.config.fingerprint import fingerprint
from graphseq.data import by_time, leave_one_out, synthetic
from graphseq.errors import GraphError
from graphseq.graphs import EdgeDropout, build_graph, graph_hash, load_graph, save_graph
from graphseq.schema import OptionError

ROOT = Path(__file__).resolve().parents[2] / "datasets"
OPTIONS: dict[str, Any] = {
    "data": {"path": "tiny.csv"},
    "filters": [{"min_length": {"n": 3}}],
    "split": {"by_user": {"seed": 2}},
    "graph": [{"CoOccurrence": {"kind": "item", "top_k": 5}}],
    "model": {"SASRec": {"backbone": {"dim": 8, "features": "Propagated"}}},
    "train": {"max_epochs": 1, "progress": False},
}
BUILD = [
    *("build", str(ROOT / "tiny.csv"), "--min-length", "3", "--split", "by_user"),
    *("--seed", "2", "--item-item", "count:5", "--output"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "graph"
    assert main([*BUILD, str(folder)]) == 0
    return folder


def test_a_file_that_fits_the_graph_trains_on_it_and_is_repeated(
    folder: Path, tmp_path: Path
) -> None:
    experiment = check(OPTIONS).on_graph(folder, ROOT)
    graph = experiment.graph()
    assert graph_hash(graph) == graph_hash(load_graph(folder))
    assert experiment.data_name == "graph"
    model = experiment.model(graph)
    run = experiment.fit(model, graph, folder=tmp_path / "run")
    written = yaml.safe_load((tmp_path / "run" / "experiment.yaml").read_text())
    again = check(written)
    rerun = again.fit(again.model(graph), again.graph(), folder=tmp_path / "again")
    assert rerun.history == run.history
    assert [*written["split"]] == ["by_user"]
    assert len(written["graph"]) == 2, "user-user edges, which the file lacks, too"


def test_the_graph_alone_is_enough(folder: Path, tmp_path: Path) -> None:
    sections = {name: OPTIONS[name] for name in ("model", "train")}
    experiment = check({"data": {"graph": str(folder)}, **sections})
    graph = experiment.graph()
    run = experiment.fit(experiment.model(graph), graph, folder=tmp_path)
    assert check(yaml.safe_load((tmp_path / "experiment.yaml").read_text())).graph()
    assert run.experiment["split"] == {
        "by_user": {"fractions": [0.8, 0.1, 0.1], "history": 0.8, "seed": 2}
    }
    assert len(experiment.read()) == 55, "the log, before any filter"


def test_a_run_on_a_graph_split_by_time_is_repeated(tmp_path: Path) -> None:
    split = by_time(synthetic.cycle(20, 4, length=6, seed=0))
    save_graph(build_graph(split), tmp_path / "g")
    experiment = check({"data": {"graph": str(tmp_path / "g")}, "model": {"POP": {}}})
    graph = experiment.graph()
    experiment.fit(experiment.model(graph), graph, folder=tmp_path / "run")
    written = yaml.safe_load((tmp_path / "run" / "experiment.yaml").read_text())
    assert [*written["split"]["by_time"]] == ["fractions"]
    assert graph_hash(check(written).graph()) == graph_hash(graph)


def found(experiment: Experiment, folder: Path, root: Path | None = ROOT) -> list[str]:
    with pytest.raises(OptionError) as error:
        experiment.on_graph(folder, root)
    return [f"{each.name}: {each.message}" for each in error.value.invalid]


def test_every_difference_is_reported_at_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.csv").write_text("user,item\na,b\n")
    options = copy.deepcopy(OPTIONS)
    options["filters"] = [{"k_core": {"user": 2, "item": 2}}]
    options["split"] = {"by_user": {"seed": 3}}
    options["graph"] = [{"CoOccurrence": {"kind": "item"}}, "Transitions"]
    options["model"]["SASRec"]["backbone"]["features"] = {
        "Propagated": {"relation": "precedes"}
    }
    lines = found(check(options), folder, tmp_path)
    file, source = tmp_path / "tiny.csv", ROOT / "tiny.csv"
    part = "model.SASRec.backbone.features.Propagated"
    assert lines == [
        f"data.path: {file}; the graph was built from {source}",
        "filters: {'k_core': {'user': 2, 'item': 2}}; the graph was built with "
        "{'min_length': {'n': 3}}",
        "split.by_user.seed: 3; the graph was built with 2",
        "graph[0].CoOccurrence.top_k: 50; the graph was built with 5",
        "graph[1].Transitions: the graph was built without it",
        f"{part}: reads the relation item–precedes–item, which the graph lacks; add "
        "it when the graph is built",
    ]
    assert found(check(OPTIONS | {"split": "by_time"}), folder) == [
        "split: by_time; the graph was split by by_user"
    ]
    for data, name in (
        ({"cycle": {}}, "data: cycle, a synthetic log"),
        ({"dataset": "amazon-beauty"}, "data.dataset: amazon-beauty"),
        ({"path": "small.csv"}, f"data.path: {ROOT / 'small.csv'}"),
    ):
        assert found(check(OPTIONS | {"data": data}), folder) == [
            f"{name}; the graph was built from {source}"
        ]


def test_dropout_that_only_the_graph_has_is_a_difference(
    folder: Path, tmp_path: Path
) -> None:
    split = leave_one_out(synthetic.cycle(8, 4, length=5, seed=0))
    save_graph(build_graph(split, [EdgeDropout(0.1, seed=0)]), tmp_path / "g")
    sections = {"model": {"POP": {}}, "data": {"cycle": {}}, "split": "leave_one_out"}
    dropout = {"graph": [{"CoOccurrence": {"kind": "item"}}]}
    assert found(check(sections | dropout), tmp_path / "g")[1:] == [
        "graph: the graph was built with EdgeDropout, which the file lacks"
    ]


def test_the_hash_distinguishes_graphs_in_one_folder(
    folder: Path, tmp_path: Path
) -> None:
    experiment = check(OPTIONS).on_graph(folder)
    digest = experiment.options["data"]["hash"]
    assert digest == graph_hash(load_graph(folder, hash=digest[:8]))
    data = {"graph": str(folder), "hash": "c0ffee"}
    with pytest.raises(GraphError, match=r"holds the graph .*, and c0ffee is expected"):
        check(OPTIONS | {"data": data}).graph()
    with pytest.raises(GraphError, match="is not a saved graph"):
        check(OPTIONS).on_graph(tmp_path)
    metadata = json.loads((folder / "graph.json").read_text())
    assert metadata["hashes"]["graph_hash"] == digest
    assert fingerprint(experiment.options) != fingerprint(OPTIONS)
