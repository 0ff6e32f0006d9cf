"""``graphseq train``: one run here, many runs in child processes."""

import csv
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from graphseq.cli import main
from graphseq.cli.jobs import list_jobs
from graphseq.cli.train_run import recorded
from graphseq.evaluation import Report
from graphseq.folders import hashes
from graphseq.report import append
from graphseq.training import load_run

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = {
    "data": {"path": "tiny.csv"},
    "split": {"leave_one_out": {}},
    "graph": [{"CoOccurrence": {"kind": "item"}}],
    "model": {"SASRec": {"backbone": {"Backbone": {"dim": 8}}}},
    "train": {"max_epochs": 1, "progress": False},
    "evaluate": {"ks": [1, 3]},
}
DATA = ["--data", str(ROOT / "datasets")]


POP = {
    "data": {"cycle": {"num_users": 8, "num_items": 4, "length": 5}},
    "split": {"leave_one_out": {}},
    "model": {"POP": {}},
    "evaluate": {"ks": [1]},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment, two runs of it and a table of results."""
    folder = tmp_path_factory.mktemp("cli")
    experiment = folder / "small.yaml"
    experiment.write_text(yaml.safe_dump(EXPERIMENT))
    results = ["--record", str(folder / "results.csv")]
    for name, more in {"a": [], "b": ["--seeds", "7"]}.items():
        run = ["--folder", str(folder / name), *more, *DATA, *results]
        assert main(["train", str(experiment), *run]) == 0
    return folder


def test_a_run_leaves_its_report_and_a_row(place: Path) -> None:
    report = Report.load(place / "a")
    with (place / "results.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first["model"] == second["model"] == "SASRec"
    assert first["data"] == "tiny.csv"
    assert (first["seed"], second["seed"]) == ("0", "7")
    assert (first["settings"], second["settings"]) == ("", "train.seed=7")
    assert first["experiment"].endswith("small.yaml")
    assert first["graph"] == report.facts["graph_hash"][:12]
    assert first["epochs"] == "1"
    assert float(first["cpu_seconds"]) >= 0
    for protocol in ("kept", "excluded"):
        for metric, value in report[protocol].items():
            assert float(first[f"{metric} {protocol}"]) == pytest.approx(
                value, rel=1e-5
            )


def write_old_and_new() -> None:
    """Two parts of the small log, in the current folder."""
    header, *lines = (ROOT / "datasets" / "tiny.csv").read_text().splitlines()
    for name, part in (("old.csv", lines[:45]), ("new.csv", lines[45:])):
        Path(name).write_text("\n".join([header, *part]) + "\n")


def test_from_a_log_to_lists_in_the_shell(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_old_and_new()
    assert main(["build", "old.csv", "--output", "graph"]) == 0
    file = str(place / "small.yaml")
    command = ["train", file, "--graph", "graph", "--runs", "runs"]
    assert main(command) == 2, "the file is of another log"
    assert "data.path" in capsys.readouterr().err
    command += ["--set", "data.path=old.csv"]
    assert main(command) == 0
    assert main(["update", "graph", "new.csv"]) == 0
    assert main(command) == 0, "the updated graph has a run folder of its own"
    first, second = sorted(Path("runs").iterdir(), key=lambda p: p.stat().st_mtime)
    old, new = (load_run(run) for run in (first, second))
    assert new.record["graph"]["hash"] == hashes("graph")["graph_hash"]
    assert old.record["graph"]["hash"] != new.record["graph"]["hash"]
    more = ["--start", str(first), "--folder", "third"]
    assert main([*command, *more]) == 0
    third = load_run("third")
    assert third.experiment["train"]["start"] == str(first)
    shutil.rmtree("graph")
    capsys.readouterr()
    assert main(["recommend", str(second), "--users", "ana", "--k", "2"]) == 0
    assert capsys.readouterr().out.count("ana") == 2
    assert main(["train", str(second / "experiment.yaml")]) == 2
    assert "graph is not a saved graph" in capsys.readouterr().err


def test_a_finished_run_is_not_trained_over(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "train",
        str(place / "small.yaml"),
        "--folder",
        str(place / "a"),
        *DATA,
    ]
    assert main(arguments) == 2
    assert "contains a run already" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0
    assert main([*arguments, "--resume", "--overwrite"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_a_complete_run_that_is_resumed_has_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pop.yaml", POP)
    command = ["train", "pop.yaml", "--record", "results.csv"]
    for more in ([], ["--resume"], ["--resume"]):
        assert main([*command, *more]) == 0
    assert len(rows(tmp_path / "results.csv")) == 1
    assert main([*command, "--overwrite"]) == 0
    assert len(rows(tmp_path / "results.csv")) == 2


def test_overwrite_deletes_only_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pop.yaml", POP)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    command = ["train", "pop.yaml", "--folder", "thesis", "--overwrite"]
    assert main(command) == 2
    assert "thesis is not a run folder" in capsys.readouterr().err
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_run_is_deleted_only_when_the_new_one_can_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pop.yaml", POP)
    command = ["train", "pop.yaml", "--folder", "run"]
    assert main(command) == 0
    Path("elsewhere").mkdir()
    Path("run/link").symlink_to("../elsewhere")
    for more, message in (
        (["--start", "run"], "its weights are to be the start"),
        (["--start", "nowhere"], "the folder does not exist"),
        (["--graph", "nowhere"], "is not a saved graph"),
    ):
        assert main([*command, "--overwrite", *more]) == 2
        assert message in capsys.readouterr().err
        assert load_run("run").finished
    assert main([*command, "--overwrite"]) == 0
    assert not Path("run/link").exists() and Path("elsewhere").is_dir()


def test_a_run_on_an_updated_graph_has_a_row_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_old_and_new()
    assert main(["build", "old.csv", "--output", "graph"]) == 0
    model = {"data": {"graph": "graph"}, "model": POP["model"]}
    write(tmp_path / "pop.yaml", model)
    command = ["train", "pop.yaml", "--record", "results.csv", "--resume", "--folder"]
    assert main([*command, "one"]) == main([*command, "one"]) == 0
    assert main(["update", "graph", "new.csv"]) == 0
    assert main([*command, "two"]) == 0
    assert len({row["graph"] for row in rows(tmp_path / "results.csv")}) == 2
    assert len(rows(tmp_path / "results.csv")) == 2


def test_epochs_that_end_too_early_lose_no_earlier_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    later = {"auxiliaries": [{"NextItemFirst": {"epochs": 2}}]}
    model = {"SequenceModel": {"backbone": {"dim": 8}, **later}}
    write(tmp_path / "later.yaml", POP | {"model": model})
    command = ["train", "later.yaml", "--folder", "run", "--set"]
    assert main([*command, "train.max_epochs=3"]) == 0
    assert main([*command, "train.max_epochs=2", "--overwrite"]) == 2
    assert "trains 2 epochs before its last stage" in capsys.readouterr().err
    assert load_run(tmp_path / "run").epochs == 3


@contextmanager
def interrupted_after(histories: Callable[[], list[Path]]) -> Iterator[None]:
    """Send Ctrl-C to this process once a run has a history."""
    ended = threading.Event()

    def wait() -> None:
        while not histories():
            if ended.wait(0.05):
                return
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_ctrl_c_says_how_to_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = EXPERIMENT["train"] | {"max_epochs": 10_000, "patience": None}
    path = tmp_path / "long.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT | {"train": train | {"progress": True}}))
    run = tmp_path / "a run"
    options = ["--folder", str(run), *DATA]

    def with_two_epochs() -> list[Path]:  # the first is printed by then
        return [p for p in run.glob("history.csv") if p.read_text().count("\n") > 2]

    with interrupted_after(with_two_epochs):
        assert main(["train", str(path), *options]) == 130
    captured = capsys.readouterr()
    assert captured.out.startswith("epoch   1")
    assert f"repeat the command with --folder '{run}' --resume" in captured.err
    trained = load_run(run).epochs
    assert trained >= 1
    more = ["--set", f"train.max_epochs={trained + 1}", "--resume"]
    assert main(["train", str(path), *options, *more]) == 0
    assert load_run(run).epochs == trained + 1


@pytest.mark.parametrize(
    ("option", "path", "words"),
    [
        (
            "--record",
            "log.csv",
            "is not a table of results: it has the columns who, what",
        ),
        ("--record", "", "is a folder; --record names a file"),
        ("--folder", "log.csv", "is a file; --folder names a folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_reported_before_training(
    option: str,
    path: str,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log, run = tmp_path / "log.csv", tmp_path / "run"
    log.write_text("who,what\nana,tea\n")
    experiment = tmp_path / "small.yaml"
    experiment.write_text(yaml.safe_dump(EXPERIMENT))
    places = {"--folder": str(run), option: str(tmp_path / path)}
    options = [word for pair in places.items() for word in pair]
    assert main(["train", str(experiment), *options, *DATA]) == 2
    assert words in capsys.readouterr().err
    assert log.read_text() == "who,what\nana,tea\n"
    assert not run.exists()


def test_all_problems_of_an_experiment_are_reported_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = tmp_path / "bad.yaml", tmp_path / "run"
    path.write_text(yaml.safe_dump(EXPERIMENT | {"trian": {}, "model": {"SASrec": {}}}))
    assert main(["train", str(path), "--folder", str(run), "--seeds", "1"]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0] == f"{path}: 2 problems"
    assert "did you mean 'train'?" in captured.err
    assert not run.exists()


def write(path: Path, options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(options))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_many_runs_record_what_can_run_and_report_what_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "experiments" / "pop" / "good.yaml", POP)
    absent = {"data": {"path": "absent.csv"}}
    write(tmp_path / "experiments" / "pop" / "lost.yaml", POP | absent)
    command = ["train", "experiments", "--record", "results.csv", "--jobs", "2"]
    command += ["--skip-recorded"]
    assert main([*command, "--dry-run"]) == 0
    assert "2 to do, 0 skipped" in capsys.readouterr().out
    assert main(command) == 1
    shown = capsys.readouterr().out
    assert "absent.csv" in shown
    assert shown.splitlines()[-1] in ("1 done, 1 failed", "1 failed, 1 done")
    [row] = rows(tmp_path / "results.csv")
    assert (row["experiment"], row["seed"]) == ("experiments/pop/good.yaml", "0")
    assert row["settings"] == ""
    good = ["experiments/pop/good.yaml", "--record", "results.csv", "--skip-recorded"]
    assert main(["train", *good]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "0 to do, 1 skipped",
        "nothing to do",
    ]
    bad = POP | {"model": {"POPP": {}}}
    write(tmp_path / "experiments" / "pop" / "lost.yaml", bad)
    assert main([*command, "--seeds", "0"]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == "1 refused"
    assert "cannot run experiments/pop/lost.yaml" in captured.err


def test_a_row_counts_by_the_options_and_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pop.yaml", POP)
    [[job], _] = list_jobs(["pop.yaml"])
    row = {"model": "POP", "data": "cycle", "seed": 0}
    append("results.csv", row | {"fingerprint": job.fingerprint})
    append("results.csv", row | {"fingerprint": ""})  # a row of an older version
    assert recorded(Path("results.csv")) == {(job.fingerprint, 0)}
    command = ["train", "pop.yaml", "--record", "results.csv", "--skip-recorded"]
    for more, line in (
        ([], "0 to do, 1 skipped"),
        (["--seeds", "0", "1"], "1 to do, 1 skipped"),
        (["--set", "evaluate.history=kept"], "1 to do, 0 skipped"),
    ):
        assert main([*command, *more, "--dry-run"]) == 0
        assert capsys.readouterr().out.splitlines()[0] == line


def test_an_experiment_without_epochs_is_skipped_among_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "some" / "one.yaml", POP)
    none = EXPERIMENT | {"train": {"max_epochs": 0}}
    write(tmp_path / "some" / "none.yaml", none)
    write(tmp_path / "some" / "closed.yaml", POP | {"train": {"max_epochs": 0}})
    assert main(["train", "some", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "2 to do, 1 skipped" in shown.out  # POP has no weights
    reason = "skipped some-none seed 0: train.max_epochs is 0, so its weights would"
    assert reason in shown.err and "--start RUN" in shown.err
    assert main(["train", "some", "--start", "run", "--dry-run"]) == 0
    assert "3 to do, 0 skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--skip-recorded"], "add --record FILE"),
        (["--seeds", "0", "1", "--folder", "run"], "--folder is for a single run"),
        (["--record", "log.csv"], "log.csv is "),
        (["--runs", "log.csv"], "log.csv is "),
        (["--jobs", "0"], "--jobs takes a whole number from 1 to 1024; got 0"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_training(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pop.yaml", POP)
    (tmp_path / "log.csv").write_text("who,what\nana,tea\n")
    assert main(["train", "pop.yaml", *options]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "log.csv").read_text() == "who,what\nana,tea\n"
    assert not (tmp_path / "runs").exists()


def test_interrupted_runs_are_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    long = {
        "data": {"cycle": {"num_users": 8, "num_items": 4, "length": 5}},
        "model": {"SASRec": {"backbone": {"Backbone": {"dim": 4}}}},
        "train": {"max_epochs": 100_000, "patience": None, "evaluate_every": 1000},
    }
    write(tmp_path / "one.yaml", POP | long)
    with interrupted_after(lambda: [*tmp_path.glob("runs/*/history.csv")]):
        seeds = ["--seeds", "0", "1", "--record", "results.csv"]
        assert main(["train", "one.yaml", *seeds]) == 130
    output = capsys.readouterr().out
    assert output.splitlines()[-1] == "1 stopped, 1 not started"
    [history] = tmp_path.glob("runs/*/history.csv")
    epochs = history.read_text().count("\n") - 1
    assert epochs >= 1
    assert '"finished": false' in (history.parent / "run.json").read_text()
    assert not (tmp_path / "results.csv").exists()
    more = ["--set", f"train.max_epochs={epochs + 2}", "--resume"]
    resumed = ["train", "one.yaml", "--folder", str(history.parent), *more]
    assert main(resumed) == 0
    record = json.loads((history.parent / "run.json").read_text())
    assert record["resumed_after"] == [epochs]
    assert record["finished"]
