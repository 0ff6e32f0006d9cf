"""``graphseq update``: the graph of both logs, or the old one untouched."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from graphseq.cli import main
from graphseq.data import leave_one_out, read_log
from graphseq.folders import GRAPH, hashes
from graphseq.graphs import build_graph, load_graph, load_log, save_graph
from graphseq.locks import locked_folder

HEADER = "user,item,time\n"
OPTIONS = ["--user-user", "cosine:3", "--item-item", "count:4:none"]
OPTIONS += ["--transitions", "2:3:0.5", "--deduplicate", "last", "--k-core", "2"]


def lines(seed: int, events: int, since: int, users: int = 30) -> list[str]:
    chance = np.random.default_rng(seed)
    pairs = chance.integers(0, (users, 15), (events, 2))
    return [f"u{u},i{i},{since + n}\n" for n, (u, i) in enumerate(pairs.tolist())]


ORDER = ["--columns", "user=user", "item=item"]
OLD, NEW, LATER = lines(0, 200, 0), lines(1, 20, 200, 33), lines(2, 5, 220)


def make_shop(folder: Path) -> Path:
    """Put logs and a graph of the old one into a folder."""
    for name, parts in {
        "old": [OLD],
        "new": [NEW],
        "later": [LATER],
        "both": [OLD, NEW],
        "all": [OLD, NEW, LATER],
    }.items():
        text = HEADER + "".join(line for part in parts for line in part)
        (folder / f"{name}.csv").write_text(text)
    build(folder, "old")
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_shop(tmp_path)


def build(folder: Path, log: str, *options: str) -> str:
    output = str(folder / log)
    options = options or tuple(OPTIONS)
    assert main(["build", f"{output}.csv", "--output", output, *options]) == 0
    return output


def update(folder: Path, log: str, *options: str, graph: str = "old") -> int:
    return main(["update", str(folder / graph), str(folder / log), *options])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_graph_is_that_of_a_build_of_both_logs(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert update(shop, "new.csv") == 0
    shown = capsys.readouterr().out
    for words in ("rows", "computed", "of the"):
        assert words in shown
    both = build(shop, "both")
    assert hashes(shop / "old") == hashes(both)
    assert load_log(shop / "old") == load_log(both)
    load_graph(shop / "old")
    names = {"old", "both", *(f"{n}.csv" for n in ("old", "new", "later", "both"))}
    assert {*os.listdir(shop)} == {*names, "all.csv"}


def test_two_updates_are_a_build_of_all_three_logs(shop: Path) -> None:
    update(shop, "new.csv")
    update(shop, "later.csv")
    assert hashes(shop / "old") == hashes(build(shop, "all"))


def test_the_old_graph_may_stay_where_it_is(shop: Path) -> None:
    before = files(shop / "old")
    output = str(shop / "deep" / "new")
    assert update(shop, "new.csv", "--output", output) == 0
    assert files(shop / "old") == before
    assert hashes(output) == hashes(build(shop, "both"))
    assert update(shop, "later.csv", "--output", output) == 2


def test_a_dry_run_changes_nothing(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(shop / "old")
    capsys.readouterr()
    assert update(shop, "new.csv", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "rows to" in shown
    assert "transitions" in shown
    assert files(shop / "old") == before


def test_the_recorded_commands_make_the_graph_again(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    update(shop, "new.csv")
    update(shop, "later.csv", "--on-error", "skip")
    capsys.readouterr()
    graph = str(shop / "old")
    main(["show", graph, "--provenance"])
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in shown[:3]] == ["build", "update", "update"]
    assert shown[2].endswith("--on-error skip")
    assert len([line for line in shown if line.startswith("log: ")]) == 3
    again = str(shop / "again")
    for command in shown[:3]:
        words = [again if word == graph else word for word in command.split()]
        assert main(words[1:]) == 0
    assert hashes(shop / "again") == hashes(graph)
    assert load_graph(graph).provenance["build"]["updates"][0]["events"] == 20


def test_another_format_and_other_columns(shop: Path) -> None:
    import polars as pl

    table = pl.read_csv(shop / "new.csv").rename({"user": "who", "item": "what"})
    table.write_parquet(shop / "new.parquet")
    columns = ["--columns", "user=who", "item=what", "time=time"]
    assert update(shop, "new.parquet", "--format", "parquet", *columns) == 0
    assert hashes(shop / "old") == hashes(build(shop, "both"))


def test_recorded_columns_and_separator_hold_for_the_new_log(tmp_path: Path) -> None:
    for name, rows in {"old": OLD, "new": NEW, "both": OLD + NEW}.items():
        text = "".join(rows).replace(",", ";")
        (tmp_path / f"{name}.csv").write_text("a;b;c\n" + text)
    options = ["--separator", ";", "--columns", "user=a", "item=b", "time=c"]
    build(tmp_path, "old", *options)
    assert update(tmp_path, "new.csv") == 0
    assert hashes(tmp_path / "old") == hashes(build(tmp_path, "both", *options))


def test_sequences_go_on(tmp_path: Path) -> None:
    """A user's line in the new log holds the items since."""
    old = [f"{u} " + " ".join(str((u + n) % 9) for n in range(5)) for u in range(9)]
    (tmp_path / "old.txt").write_text("\n".join(old) + "\n")
    (tmp_path / "new.txt").write_text("3 1 2\n12 4 5 6\n")
    old[3] += " 1 2"
    (tmp_path / "both.txt").write_text("\n".join([*old, "12 4 5 6"]) + "\n")
    for name in ("old", "both"):
        log, output = str(tmp_path / f"{name}.txt"), str(tmp_path / name)
        assert (
            main(
                [
                    "build",
                    log,
                    "--output",
                    output,
                    "--format",
                    "sequences",
                    "--transitions",
                    "1",
                ]
            )
            == 0
        )
    assert update(tmp_path, "new.txt") == 0
    assert hashes(tmp_path / "old") == hashes(tmp_path / "both")


def test_earlier_events_and_repeated_ones(shop: Path) -> None:
    more = [*OLD[:9], *lines(5, 9, -50)]
    (shop / "more.csv").write_text(HEADER + "".join(more))
    (shop / "full.csv").write_text(HEADER + "".join([*OLD, *more]))
    assert update(shop, "more.csv") == 0
    assert hashes(shop / "old") == hashes(build(shop, "full"))


@pytest.mark.parametrize(
    ("name", "text", "options", "words"),
    [
        ("none.csv", None, [], "none.csv"),
        ("empty.csv", "", [], "is empty"),
        ("header.csv", HEADER, [], "a header and no line below"),
        ("bad.csv", HEADER + "a,b,soon\n", [], "line 2: time is neither"),
        (
            "order.csv",
            "user,item\na,b\n",
            ORDER,
            "old log has timestamps and the new one",
        ),
        ("new.csv", None, ["--memory", "0.0000001"], "reading"),
        ("new.csv", None, ["--memory", "0.00001"], "memory"),
        ("new.csv", None, ["--format", "cvs"], "did you mean 'csv'"),
        ("new.csv", None, ["--output", "both.csv"], "not a saved graph"),
    ],
)
def test_events_that_cannot_be_added_are_reported_and_leave_the_graph(
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str | None,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(shop)
    if text is not None:
        Path(name).write_text(text)
    before, there = files(shop / "old"), sorted(os.listdir())
    capsys.readouterr()
    assert main(["update", "old", name, *options]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message
    assert files(shop / "old") == before
    assert sorted(os.listdir()) == there


def test_a_graph_without_its_log_says_what_to_do(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(shop, "both", *OPTIONS, "--no-log")
    assert not (shop / "both" / "log.parquet").exists()
    assert update(shop, "later.csv", graph="both") == 2
    message = capsys.readouterr().err
    assert "--no-log" in message
    assert "Build it again with its log" in message


def test_a_damaged_log_is_reported(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shop / "old" / "log.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert update(shop, "new.csv") == 2
    assert "is damaged: its log" in capsys.readouterr().err


def test_a_graph_from_python_is_refused_with_a_remedy(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = read_log(shop / "old.csv")
    save_graph(build_graph(leave_one_out(log)), shop / "own", log=log)
    assert update(shop, "new.csv", graph="own") == 2
    assert "update_graph" in capsys.readouterr().err


def test_attributes_are_read_again_from_where_they_were(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    rows = "".join(f"i{n},kind {n % 3}\n" for n in range(15))
    Path("kinds.csv").write_text("item,attribute\n" + rows)
    for name in ("some", "all"):
        log = "old.csv" if name == "some" else "both.csv"
        main(["build", log, "--output", name, "--attributes", "kinds.csv"])
    os.rename("kinds.csv", "gone.csv")
    assert main(["update", "some", "new.csv"]) == 2
    assert "--attributes kinds.csv" in capsys.readouterr().err
    os.rename("gone.csv", "kinds.csv")
    assert main(["update", "some", "new.csv"]) == 0
    assert hashes("some") == hashes("all")


def test_a_graph_that_another_process_writes_is_left_to_it(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked_folder(shop / "old"):
        assert update(shop, "new.csv") == 2
    assert "another process is writing" in capsys.readouterr().err


POINTS = {
    "computed": ("graphseq.graphs.update_graph", "after"),
    "edges written": ("safetensors.torch.save_file", "after"),
    "log not written": ("graphseq.graphs.storage.write_log", "before"),
    "flushed": ("graphseq.atomic._flush", "after"),
    "exchanged": ("graphseq.atomic._exchange_names", "after"),
}
KILLED = f"""
import gc, importlib, os, shutil, signal
import graphseq.data, graphseq.graphs.storage, graphseq.graphs.update  # once for all
import graphseq.graphs.incremental, graphseq.graphs.kernels
from graphseq.cli import main

def update_and_die(graph, function, when):
    module, _, name = function.rpartition(".")
    owner = importlib.import_module(module)
    work = getattr(owner, name)

    def killed(*arguments, **options):
        if when == "after":
            work(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killed)
    main(["update", graph, "new.csv"])

gc.freeze()  # the children need not search, and thereby copy, what is imported
for graph, point in {POINTS!r}.items():
    shutil.copytree("old", graph)
    pid = os.fork()
    if pid == 0:
        update_and_die(graph, *point)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL, graph
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a graph for each moment at which its update was killed."""
    folder = make_shop(tmp_path_factory.mktemp("killed"))
    build(folder, "both")
    subprocess.run([sys.executable, "-c", KILLED], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("moment", POINTS)
def test_a_killed_update_leaves_a_whole_graph(killed: Path, moment: str) -> None:
    graph = killed / moment
    load_graph(graph)
    load_log(graph)
    if moment != "exchanged" or sys.platform != "linux":
        assert files(graph) == files(killed / "old")
        assert update(killed, "new.csv", graph=moment) == 0
    assert hashes(graph) == hashes(killed / "both")


def test_a_full_disk_leaves_the_graph(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(shop / "old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("graphseq.graphs.storage.write_log", full)
    assert update(shop, "new.csv") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert files(shop / "old") == before


def test_the_metadata_name_the_log_and_both_sources(shop: Path) -> None:
    update(shop, "new.csv")
    card = json.loads((shop / "old" / GRAPH).read_text())
    assert card["log"]["events"] == len(OLD) + len(NEW)
    made = card["provenance"]["build"]
    assert made["options"]["k_core"] == 2
    [added] = made["updates"]
    assert added["sources"]["log"]["bytes"] == (shop / "new.csv").stat().st_size


def test_files_of_ones_own_in_the_folder_are_not_lost(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = shop / "old" / "notes.txt"
    (shop / "old" / ".DS_Store").write_text("of the system")
    assert update(shop, "new.csv") == 0
    titles = shop / "old" / "titles.parquet"
    titles.write_text("mine")
    assert update(shop, "new.csv") == 2
    assert "and also titles.parquet, which" in capsys.readouterr().err
    titles.unlink()
    notes.write_text("mine")
    for command in (
        ["update", str(shop / "old"), str(shop / "new.csv")],
        ["build", str(shop / "old.csv"), "--output", str(shop / "old"), "--overwrite"],
    ):
        assert main(command) == 2
        assert "and also notes.txt, which would be lost" in capsys.readouterr().err
        assert notes.read_text() == "mine"


def test_a_graph_is_updated_from_its_own_folder(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(shop, "both")
    monkeypatch.chdir(shop / "old")
    assert main(["update", ".", str(shop / "new.csv")]) == 0
    assert hashes(shop / "old") == hashes(shop / "both")


@pytest.mark.parametrize(
    "options", [5, {"user_user": 5}, {"split": "zzz"}, {"user_user": [5]}]
)
def test_a_damaged_record_of_the_build_is_refused(
    shop: Path, options: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shop / "old" / GRAPH
    metadata = json.loads(path.read_text())
    metadata["provenance"]["build"]["options"] = options
    path.write_text(json.dumps(metadata))
    assert main(["update", str(shop / "old"), str(shop / "new.csv")]) == 2
    assert "graphseq build" in capsys.readouterr().err


def test_attributes_that_have_changed_are_recorded_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_shop(tmp_path)
    rows = [f"i{n},{n % 2}\n" for n in range(15)]
    Path("about.csv").write_text("item,attribute\n" + "".join(rows))
    options = ["--output", "graph", "--overwrite", "--attributes", "about.csv"]
    assert main(["build", "old.csv", *options]) == 0
    Path("about.csv").write_text("item,attribute\n" + "".join(rows[:-1]) + "i14,new\n")
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # printed, not raised
        assert main(["update", "graph", "new.csv"]) == 0
    assert "about.csv has changed since the graph was built" in capsys.readouterr().err
    assert main(["show", "graph", "--provenance"]) == 0
    shown = capsys.readouterr().out
    assert "CHANGED" not in shown
    assert "here, unchanged" in shown
