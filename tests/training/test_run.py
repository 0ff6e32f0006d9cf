"""The run folder: what it says, what can be rebuilt from it, and what it refuses."""

import json
import math
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError, GraphError, RunError
from graphseq.evaluation import Report, compare, evaluate
from graphseq.graphs import (
    CoOccurrence,
    build_graph,
    graph_hash,
    held_out_hash,
    save_graph,
)
from graphseq.models import BPRMF, MCLSR, POP, Backbone, SASRec
from graphseq.nn import Propagated, Transformer
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


def test_the_folder_serves_without_the_log(
    run: Run, graph: HeteroData, tmp_path: Path
) -> None:
    assert run.folder is not None
    copy = shutil.copytree(run.folder, tmp_path / "elsewhere")
    moved = load_run(copy)
    part = moved.graph()
    assert set(part.edge_types) == {INTERACTS, ITEM_CO_OCCURS}  # of Propagated
    report = evaluate(moved.model(part), part, "test", ks=(5,))
    whole = evaluate(run.model(graph), graph, "test", ks=(5,))
    assert report.per_user.equals(whole.per_user)
    assert (report.means, report.facts) == (whole.means, whole.facts)
    assert report.facts["graph_hash"] == graph_hash(graph)


def test_relations_that_only_training_reads_are_not_kept(
    graph: HeteroData, tmp_path: Path
) -> None:
    graph = build_graph(
        leave_one_out(synthetic.cycle(30, 12, length=8, seed=0)),
        [CoOccurrence("user", top_k=3), CoOccurrence("item", top_k=3)],
    )
    torch.manual_seed(0)
    run = fit(MCLSR(30, 12), graph, folder=tmp_path, max_epochs=0, progress=False)
    part = run.graph()
    assert part.edge_types == [INTERACTS]
    found = evaluate(run.model(part), part, ks=(5,)).means
    assert found == evaluate(run.model(graph), graph, ks=(5,)).means


def test_users_can_be_left_out_of_the_folder(graph: HeteroData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"max_epochs": 0, "progress": False}
    backbone = Backbone(12, features=Propagated(12))
    run = fit(
        SASRec(30, backbone), graph, folder=tmp_path, keep_histories=False, **options
    )
    part = run.graph()
    assert (part.edge_types, "test" in part) == ([ITEM_CO_OCCURS], False)
    assert "vocabulary" not in part["user"]
    assert {path.name for path in (tmp_path / "graph").iterdir()} == {
        "graph.json",
        "item.parquet",
        "tensors.safetensors",
    }
    model = run.model(part)
    expected = run.model(graph).item_vectors(graph)
    assert torch.equal(model.item_vectors(part), expected)
    with pytest.raises(GraphError, match=r"no test users.*keep_histories=False"):
        evaluate(model, part)
    report = evaluate(model, graph, folder=tmp_path)
    saved = Report.load(tmp_path)
    assert "user" in report.per_user.columns and saved.means == report.means
    assert saved.per_user.equals(report.per_user.drop("user"))
    assert compare(saved, report, "NDCG@10").difference == 0
    for other in (POP(30, 12), BPRMF(30, 12)):
        with pytest.raises(ConfigError, match=r"POP ranks with|BPRMF has a vector"):
            fit(other, graph, folder=tmp_path / "b", keep_histories=False, **options)


def test_a_graph_that_is_gone_damaged_or_of_another_run_is_refused(
    run: Run, tmp_path: Path
) -> None:
    assert run.folder is not None
    copy = load_run(shutil.copytree(run.folder, tmp_path / "run"))
    assert copy.folder is not None
    tensors = copy.folder / "graph" / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"cannot be read: .* is damaged"):
        copy.graph()
    other = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=1)))
    save_graph(other, copy.folder / "graph")
    with pytest.raises(RunError, match="was trained on the graph"):
        copy.graph()
    shutil.rmtree(copy.folder / "graph")
    with pytest.raises(RunError, match="made before runs kept their graph"):
        copy.graph()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"contains no run: run\.json is missing"):
        load_run(tmp_path)
    with pytest.raises(RunError, match="nowhere: the folder does not exist"):
        load_run(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["run.json", "experiment.yaml", "history.csv"])
def test_a_damaged_file_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    assert run.folder is not None
    shutil.copytree(run.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(b"[1, {\n\xff,,,\n")
    with pytest.raises(RunError, match="is damaged"):
        load_run(tmp_path)


def test_weights_of_another_program_are_refused(
    run: Run, graph: HeteroData, tmp_path: Path
) -> None:
    assert run.folder is not None
    shutil.copytree(run.folder, tmp_path, dirs_exist_ok=True)
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


@pytest.mark.parametrize("value", [{1, 2}, b"ab", lambda x: x, torch.tanh])
def test_options_that_no_folder_could_create_again_are_refused(
    tiny: Callable[..., Any], graph: HeteroData, tmp_path: Path, value: object
) -> None:
    model = tiny()
    model.options["features"] = [value]
    with pytest.raises(ConfigError, match=r"folder could not create|not be repeated"):
        fit(model, graph, folder=tmp_path / "run", progress=False)
    assert not [*(tmp_path / "run").glob("*.json")]


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
    shutil.copytree(run.folder, tmp_path, dirs_exist_ok=True)
    record = json.loads((tmp_path / "run.json").read_text()) | {"format": version}
    if version is None:
        del record["format"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    message = "has the format 3" if version == 3 else "the page 'Migrate from 0.1'"
    with pytest.raises(RunError, match=message):
        load_run(tmp_path)


def test_a_run_that_ended_before_its_first_metric_is_to_be_resumed(
    tiny: Callable[..., Any], graph: HeteroData, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"max_epochs": 4, "evaluate_every": 2, "threads": 1}
    options |= {"progress": False, "folder": tmp_path}
    message = r"of its 1 epoch, none has been evaluated. Resume it .*--resume"

    def interrupt(row: Any) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), graph, callbacks=[interrupt], **options)
    assert not load_run(tmp_path).finished
    with pytest.raises(RunError, match=message):
        load_run(tmp_path).model(graph)
    assert fit(tiny(), graph, resume=True, **options).epochs == 4
