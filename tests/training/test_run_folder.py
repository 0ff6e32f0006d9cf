"""Create, resume and refuse run folders."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError, RunError
from graphseq.evaluation import Report, evaluate
from graphseq.graphs import build_graph
from graphseq.models import PARTS, POP, Backbone, Model, SASRec
from graphseq.nn import Encoder
from graphseq.report import row
from graphseq.training import Run, load_run
from graphseq.training import options as training_options
from graphseq.training.checkpoint import read_tensors
from graphseq.training.run_folder import LOCK, locked

Make = Callable[..., Model]
Short = Callable[..., Run]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_a_temporary_folder_is_removed(
    short: Short,
    tiny: Make,
    graph: HeteroData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = short(tiny(), graph)
    assert run.folder is None
    assert os.listdir(tmp_path) == []
    with pytest.raises(RunError, match="has no folder with the weights"):
        run.model()


def test_a_folder_with_a_run_is_refused(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    with pytest.raises(RunError, match=r"contains a run already.*resume=True"):
        short(tiny(), graph, folder=tmp_path)


def test_a_finished_run_is_resumed_as_it_is(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    first, again = tiny(), tiny()
    run = short(first, graph, folder=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("[wch]*")}
    assert short(again, graph, folder=tmp_path, resume=True).history == run.history
    assert same(first, again)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.glob("[wch]*")}


def test_a_run_can_be_given_more_epochs(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    whole, parts = tiny(), tiny()
    expected = short(whole, graph, max_epochs=5)
    short(parts, graph, folder=tmp_path, max_epochs=2)
    run = short(tiny(), graph, folder=tmp_path, max_epochs=5, resume=True)
    assert run.history == expected.history
    assert same(run.model(), whole)
    assert run.record["resumed_after"] == [2]


def test_a_run_that_had_decided_to_stop_is_not_trained_on(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"lr": 1e-12, "max_epochs": 9, "patience": 2}
    options |= {"folder": tmp_path}
    short(tiny(), graph, **options)
    record = (tmp_path / "run.json").read_text()
    killed = record.replace('"finished": true', '"finished": false')
    assert killed != record
    (tmp_path / "run.json").write_text(killed)
    assert short(tiny(), graph, resume=True, **options).epochs == 3


def test_resuming_something_else_lists_every_difference(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(tiny(), graph, folder=tmp_path)
    other = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=9)))
    with pytest.raises(RunError) as error:
        short(tiny(dim=4), other, folder=tmp_path, lr=0.02, seed=1, resume=True)
    lines = str(error.value)
    assert "model.SASRec.backbone.Backbone.dim: the run has 8, requested is 4" in lines
    assert "train.lr: the run has 0.01, requested is 0.02" in lines
    assert "train.seed: the run has 0, requested is 1" in lines
    assert "graph.hash: the run has " in lines
    assert "progress" not in lines


def test_resuming_another_model_names_both(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    short(POP(30, 12), graph, folder=tmp_path)
    with pytest.raises(RunError) as error:
        short(tiny(), graph, folder=tmp_path, resume=True)
    _, line, *_ = str(error.value).splitlines()
    assert line == "  the run is of POP, this file of SASRec"


def test_a_file_where_the_folder_should_be_is_refused(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").touch()
    with pytest.raises(RunError, match=r"cannot create the run folder .*log\.csv"):
        short(tiny(), graph, folder=tmp_path / "log.csv")


def test_one_process_trains_in_a_folder_at_a_time(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    short(tiny(), graph, folder=folder)
    before = {path.name: path.read_bytes() for path in folder.glob("*.*")}
    assert LOCK not in before
    with locked(folder), pytest.raises(RunError, match="another process is writing"):
        short(tiny(), graph, folder=folder, resume=True, max_epochs=3)
    assert {path.name: path.read_bytes() for path in folder.glob("*.*")} == before
    (folder / LOCK).touch()  # as a killed process leaves it
    short(tiny(), graph, folder=folder, resume=True, max_epochs=3)
    assert not (folder / LOCK).exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "checkpoint.safetensors"])
def test_a_flipped_bit_in_any_place_is_refused(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path, name: str
) -> None:
    short(tiny(), graph, folder=tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    tensors = read_tensors(path)[0]
    for place in range(0, len(whole), max(1, len(whole) // 200)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            found = read_tensors(path)[0]
        except RunError:
            continue
        assert found.keys() == tensors.keys()  # a bit of the name "sha256"
        assert all(torch.equal(found[key], tensors[key]) for key in tensors)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(RunError, match="does not match its checksum"):
        read_tensors(path)


def test_weights_of_another_model_are_refused(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    run = short(tiny(), graph, folder=tmp_path / "a")
    short(tiny(dim=4), graph, folder=tmp_path / "b")
    weights = (tmp_path / "b" / "weights.safetensors").read_bytes()
    (tmp_path / "a" / "weights.safetensors").write_bytes(weights)
    with pytest.raises(RunError, match="weights of another model"):
        run.model()


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("run.json", "graph", None),
        ("run.json", "graph", {"num_users": -3}),
        ("run.json", "environment", {}),
        (
            "run.json",
            "environment",
            {"commit": None, "device": "cpu", "threads": 10**9},
        ),
        ("run.json", "times", 7),
        ("run.json", "finished", ...),
        ("run.json", "resumed_after", "x"),
        ("experiment.yaml", "model", {}),
        ("experiment.yaml", "model", "SASRec"),
        ("experiment.yaml", "train", ...),
    ],
)
def test_edited_files_of_a_run_are_damage(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path, name, key, value
) -> None:
    short(POP(30, 12), graph, folder=tmp_path)
    path = tmp_path / name
    content = yaml.safe_load(path.read_text())
    content.pop(key)
    path.write_text(json.dumps(content | ({} if value is ... else {key: value})))
    with pytest.raises(RunError, match=f"damaged .*{key}"):
        load_run(tmp_path)


def test_aliases_in_the_experiment_of_a_run_are_damage(
    short: Short, graph: HeteroData, tmp_path: Path
) -> None:
    short(POP(30, 12), graph, folder=tmp_path)
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]")
    (tmp_path / "experiment.yaml").write_text("\n".join(lines))
    with pytest.raises(RunError, match=r"damaged .*more than 10,000 values"):
        load_run(tmp_path)


def test_a_full_disk_loses_no_finished_epoch(
    short: Short,
    tiny: Make,
    graph: HeteroData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = tiny()
    short(expected, graph, max_epochs=3)
    save, saved = safetensors.torch.save_file, []

    def fill(tensors: Any, path: Path, header: Any) -> None:
        saved.append(path)
        if len(saved) > 4:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(tensors, path, header)

    monkeypatch.setattr(safetensors.torch, "save_file", fill)
    with pytest.raises(RunError, match=r"No space left.*resume"):
        short(tiny(), graph, folder=tmp_path, max_epochs=3)
    monkeypatch.setattr(safetensors.torch, "save_file", save)
    resumed = tiny()
    run = short(resumed, graph, folder=tmp_path, max_epochs=3, resume=True)
    assert same(expected, resumed) and run.epochs == 3
    assert not list(tmp_path.glob(".*.new"))


def test_a_processor_without_bfloat16_trains_in_float32_and_says_so(
    short: Short,
    tiny: Make,
    graph: HeteroData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training_options, "has_bfloat16", lambda: False)
    low = {"precision": "bf16-softmax", "accelerator": "cpu"}
    found, expected = tiny(loss="ce"), tiny(loss="ce")
    with pytest.warns(UserWarning, match="bf16-softmax falls back to 32-true"):
        run = short(found, graph, folder=tmp_path, **low)
    short(expected, graph, accelerator="cpu")
    assert same(found, expected)
    assert run.record["environment"]["precision"] == "32-true"
    assert run.experiment["train"]["precision"] == "bf16-softmax"
    monkeypatch.setattr(training_options, "has_bfloat16", lambda: True)
    run = short(tiny(loss="ce"), graph, **low)
    assert run.record["environment"]["precision"] == "bf16-softmax"


class GRU(Encoder):
    """A class with the name of one of the package."""

    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.dim = dim
        self.map = torch.nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """No recurrence."""
        found: torch.Tensor = self.map(x) * mask[..., None]
        return found


class Width(GRU):
    """An encoder whose width is not an option named dim."""

    def __init__(self, size: int = 8) -> None:
        super().__init__(size)


def test_a_class_with_the_name_of_another_is_refused(
    short: Short, graph: HeteroData, tmp_path: Path
) -> None:
    model = SASRec(30, Backbone(12, encoder=GRU()))
    with pytest.raises(ConfigError, match=r"would create the GRU of graphseq\.nn"):
        short(model, graph, folder=tmp_path)


def test_an_encoder_of_any_options_is_loaded(
    short: Short, graph: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PARTS, "Width", Width)
    monkeypatch.setitem(PARTS, "function", same)  # type: ignore[arg-type]
    model = SASRec(30, Backbone(12, encoder=Width()))
    run = short(model, graph, folder=tmp_path)
    assert same(run.model(graph), model)


@pytest.mark.parametrize(
    "name", ["graph", "history.csv", "report-test.json", "experiment.yaml"]
)
def test_a_folder_with_files_of_someone_else_is_refused(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.mkdir() if name == "graph" else path.write_text("train: {lr: 0.5}  # mine")
    with pytest.raises(RunError, match=f"contains {name} and no run"):
        short(tiny(), graph, folder=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name[0] != ".") == [name]
    assert path.is_dir() or "mine" in path.read_text()


def test_a_run_that_was_killed_at_once_can_be_started_again(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    """Its experiment was written, and its record was not."""
    short(tiny(), graph, folder=tmp_path / "whole")
    (tmp_path / "killed").mkdir()
    text = (tmp_path / "whole" / "experiment.yaml").read_text()
    (tmp_path / "killed" / "experiment.yaml").write_text(text)
    assert short(tiny(), graph, folder=tmp_path / "killed").finished


def test_brackets_in_the_name_of_a_folder_are_no_pattern(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    for name, epochs in (("run1", 3), ("run[1]", 1)):
        model = tiny()
        run = short(model, graph, folder=tmp_path / name, max_epochs=epochs)
        evaluate(run.model(graph), graph, folder=tmp_path / name)
    run = load_run(tmp_path / "run[1]")
    assert run.epochs == 1
    found, other = (Report.load(tmp_path / name) for name in ("run[1]", "run1"))
    assert not found.per_user.equals(other.per_user)
    assert run.report.per_user.equals(found.per_user)


def test_a_run_resumed_with_other_code_records_both(
    short: Short, tiny: Make, graph: HeteroData, tmp_path: Path
) -> None:
    run = short(tiny(), graph, folder=tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    environment = record["environment"]
    former = {"id": "f" * 40, "changed": True}
    environment |= {
        "commit": former,
        "versions": environment["versions"] | {"torch": "1"},
    }
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.warns(UserWarning, match="with other versions of torch, code"):
        run = short(tiny(), graph, folder=tmp_path, resume=True, max_epochs=3)
    assert run.record["environment"]["commit"] == former
    [now] = run.record["resumed_in"]
    assert now["versions"]["torch"] == torch.__version__
    report = evaluate(run.model(graph), graph)
    found = row(run, report, data="", experiment="")["commit"]
    assert found.startswith("f" * 12) and found.endswith("+uncommitted")
