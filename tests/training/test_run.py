"""The run folder: what it says, what can be rebuilt from it, and what it refuses."""

import json
import math
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError, RunError
from graphseq.evaluation import evaluate
from graphseq.graphs import CoOccurrence, build_graph, graph_hash, held_out_hash
from graphseq.models import Backbone, SASRec
from graphseq.nn import Transformer
from graphseq.nn.features import Propagated
from graphseq.training import Run, fit, load_run


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    """The cycle, with an item graph."""
    log = synthetic.cycle(30, 12, length=8, seed=0)
    return build_graph(leave_one_out(log), [CoOccurrence("item", top_k=3)])


@pytest.fixture(scope="module")
def run(graph: HeteroData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run with features that are themselves objects with options."""
    folder = tmp_path_factory.mktemp("runs") / "deep" / "one"
    torch.manual_seed(7)
    features = Propagated(12, dim=8)
    encoder = Transformer(8, 8, layers=1, heads=1)
    backbone = Backbone(12, max_length=8, features=features, encoder=encoder)
    model = SASRec(30, backbone)
    options: dict[str, Any] = {"max_epochs": 3, "batch_size": 30, "seed": 5}
    done = fit(model, graph, folder=folder, progress=False, threads=1, **options)
    evaluate(model, graph, "test", ks=(5,), folder=folder)
    return done


def test_the_record_says_what_it_was_made_with(run: Run, graph: HeteroData) -> None:
    record = run.record
    assert record["seed"] == 5
    assert record["graph"] == {
        "num_users": 30,
        "num_items": 12,
        "hash": graph_hash(graph),
        "held_out_hash": held_out_hash(graph),
    }
    machine = record["environment"]
    assert machine["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert machine["python"] == platform.python_version()
    assert (machine["device"], machine["threads"]) == ("cpu", 1)
    assert record["finished"]
    assert record["best_epoch"] == run.best["epoch"]


def test_every_epoch_has_its_times(run: Run) -> None:
    assert run.epochs == len(run.times) == len(run.history) == 3
    assert all(0 < row["cpu_seconds"] < 60 for row in run.times)
    assert run.seconds == pytest.approx(sum(row["seconds"] for row in run.times))
    assert run.cpu_seconds > 0


def test_the_experiment_is_complete(run: Run, graph: HeteroData) -> None:
    assert run.folder is not None
    experiment = yaml.safe_load((run.folder / "experiment.yaml").read_text())
    assert experiment["graph"]["split"]["protocol"] == "leave_one_out"
    options = experiment["model"]["SASRec"]["backbone"]["Backbone"]
    assert options["features"]["Propagated"]["dim"] == 8
    assert "num_items" not in options
    assert experiment["train"]["lr"] == 1e-3
    assert experiment["train"]["batch_size"] == 30


def test_a_loaded_run_is_the_one_returned(run: Run) -> None:
    assert run.folder is not None
    loaded = load_run(run.folder)
    assert loaded == run
    assert "SASRec, 3 epochs, finished" in repr(loaded)
    assert "NDCG@10 0." in repr(loaded)
    loaded.best["segment"] = None  # a column of another stage
    assert "segment" not in repr(loaded)


def test_the_model_is_rebuilt_with_its_weights(run: Run, graph: HeteroData) -> None:
    model = run.model(graph)
    assert not model.training
    found = evaluate(model, graph, "validation", ks=(10,), history="kept")
    assert found["kept"]["NDCG@10"] == run.best["NDCG@10"]


def test_the_test_report_is_at_hand(run: Run) -> None:
    assert 0 <= run.report["excluded"]["NDCG@5"] <= 1


def test_a_graph_of_another_hash_is_refused(run: Run, graph: HeteroData) -> None:
    run.check(graph)
    other = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=1)))
    with pytest.raises(RunError, match="trained on the graph"):
        run.check(other)
    with pytest.raises(RunError, match="trained on the graph"):
        run.model(other)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"contains no run: there is no run\.json"):
        load_run(tmp_path)
    with pytest.raises(RunError, match="nowhere: there is no such folder"):
        load_run(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["run.json", "experiment.yaml", "history.csv"])
def test_a_damaged_file_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    assert run.folder is not None
    for path in run.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(b"[1, {\n\xff,,,\n")
    with pytest.raises(RunError, match="is damaged"):
        load_run(tmp_path)


def test_weights_of_another_program_are_refused(
    run: Run, graph: HeteroData, tmp_path: Path
) -> None:
    assert run.folder is not None
    for path in run.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({}, tmp_path / "weights.safetensors")
    with pytest.raises(RunError, match="damaged or of another program"):
        load_run(tmp_path).model(graph)


def test_epochs_that_were_not_evaluated_have_no_metric(
    tiny: Callable[..., Any], graph: HeteroData, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"max_epochs": 2, "evaluate_every": 2}
    done = fit(tiny(), graph, folder=tmp_path, progress=False, **options)
    assert done.history[0]["NDCG@10"] is None
    assert math.isfinite(done.history[0]["loss"])
    assert load_run(tmp_path).history == done.history


def test_options_that_are_not_data_are_refused(
    tiny: Callable[..., Any], graph: HeteroData, tmp_path: Path
) -> None:
    model = tiny()
    model.options["features"] = object()
    with pytest.raises(ConfigError, match="could not be repeated from its folder"):
        fit(model, graph, folder=tmp_path, progress=False)


def test_the_files_are_plain_text_and_tensors(run: Run) -> None:
    assert run.folder is not None
    json.loads((run.folder / "run.json").read_text())
    header = (run.folder / "history.csv").read_text().splitlines()[0]
    assert header.startswith("epoch,loss,next_item,")


@pytest.mark.parametrize("version", [1, None, 3])
def test_a_run_of_another_format_is_refused(
    run: Run, tmp_path: Path, version: int | None
) -> None:
    assert run.folder is not None
    for path in run.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    record = json.loads((tmp_path / "run.json").read_text()) | {"format": version}
    if version is None:
        del record["format"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    message = "has the format 3" if version == 3 else "the page 'Migrate from 0.1'"
    with pytest.raises(RunError, match=message):
        load_run(tmp_path)
