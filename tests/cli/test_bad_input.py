"""``graphseq build`` on unusual logs and folders: a graph, or a clear error."""

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from graphseq.cli import main
from graphseq.constants import ITEM_CO_OCCURS, PRECEDES, USER_CO_OCCURS
from graphseq.folders import hashes
from graphseq.graphs import load_graph

HEADER = "user,item,time\n"
ALL = ["--transitions", "2"]


def write(folder: Path, content: str | bytes, name: str = "log.csv") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def refused(folder: Path, log: str, *options: str) -> str:
    """The error message for a log; checks that nothing else was written."""
    before = sorted(os.listdir(folder))
    command = [sys.executable, "-m", "graphseq", "build", log, *options]
    output = str(folder / "graph")
    done = subprocess.run(
        [*command, "--output", output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(folder)) == before
    return done.stderr


def error_of(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str | bytes
) -> str:
    """The same, in this process."""
    log = write(folder, content)
    assert main(["build", log, "--output", str(folder / "graph")]) == 2
    assert os.listdir(folder) == ["log.csv"]
    return capsys.readouterr().err


def built(folder: Path, content: str | bytes, *options: str, name: str = "g") -> str:
    output = str(folder / name)
    log = write(folder, content, f"{name}.csv")
    assert main(["build", log, "--output", output, *ALL, *options]) == 0
    return output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "log.csv is empty"),
        ("\n\n", "log.csv is empty"),
        (HEADER, "a header and no line below"),
        (
            HEADER + "a,x,1\na,y,\n",
            "line 3: time is neither a number nor a date (ISO 8601)",
        ),
        (HEADER + "a,x,1\na,,2\n", "line 3: no item"),
        (HEADER + "a,x,1\na,y,2\n", "users with fewer than 3 events"),
        (HEADER + "a,x,1600000000\n" * 3 + "a,y,1600000000000\n", "line 5: time is in"),
        (HEADER + "a,x,1600000000\n" * 3 + "a,y,-1\n", "a negative number"),
        (HEADER.encode() + b"a,caf\xc3\xa9,1\nb,caf\xe9,2\n", "line 3: bytes that are"),
        (HEADER.encode("utf-16"), "a header and no line below"),
        (HEADER + 'a,"x,1\n' * 3, "never closed"),
    ],
)
def test_errors_in_a_log_are_reported_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | bytes, words: str
) -> None:
    assert words.lower() in error_of(tmp_path, capsys, content).lower()


def test_an_empty_log_is_refused_by_the_command_itself(tmp_path: Path) -> None:
    assert "is empty" in refused(tmp_path, write(tmp_path, ""))


def test_one_user_has_no_neighbours_but_its_items_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"a,i{n},{n}\n" for n in range(6))
    graph = load_graph(built(tmp_path, HEADER + rows))
    printed = capsys.readouterr().out
    assert "6 events of 1 user and" in printed and "1 users" not in printed
    assert graph[USER_CO_OCCURS].edge_index.shape == (2, 0)
    assert graph[ITEM_CO_OCCURS].edge_index.shape == (2, 4 * 3)
    assert graph.validate()


def test_one_item_has_no_neighbours_but_its_users_have(tmp_path: Path) -> None:
    rows = "".join(f"u{n % 3},x,{n}\n" for n in range(12))
    graph = load_graph(built(tmp_path, HEADER + rows))
    assert graph[ITEM_CO_OCCURS].edge_index.shape == (2, 0)
    assert graph[PRECEDES].edge_index.shape == (2, 0)
    assert graph[USER_CO_OCCURS].edge_index.shape == (2, 3 * 2)


def test_events_of_one_time_keep_the_order_of_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"a,{item},5\n" for item in "cabde")
    graph = load_graph(built(tmp_path, HEADER + rows))
    decode = graph["item"].vocabulary.decode
    first, then = (decode(ends) for ends in graph[PRECEDES].edge_index.numpy())
    assert set(zip(first, then, strict=True)) == {("c", "a"), ("c", "b"), ("a", "b")}
    log = str(tmp_path / "g.csv")
    output = str(tmp_path / "by-time")
    assert main(["build", log, "--output", output, "--split", "by_time"]) == 2
    assert "time" in capsys.readouterr().err
    assert not Path(output).exists()


def test_the_cost_of_a_user_with_100_000_events_is_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = np.random.default_rng(0).integers(0, 300, 100_000)
    rows = "".join(f"a,{item},{n}\n" for n, item in enumerate(items))
    output = built(tmp_path, HEADER + rows, "--item-item", "cosine:5")
    assert load_graph(output)[ITEM_CO_OCCURS].edge_index.shape[1] >= 300 * 5
    many = "".join(f"a,{n},{n}\n" for n in range(100_000))
    log = write(tmp_path, HEADER + many, "many.csv")
    arguments = ["build", log, "--output", output, "--item-item"]
    capsys.readouterr()
    assert main([*arguments, "count:50", "--dry-run"]) == 0
    assert "9,999,600,004" in capsys.readouterr().out.replace("\n", "")
    assert main([*arguments, "cosine:all", "--memory", "2", "--overwrite"]) == 2
    assert "--item-item count:20" in capsys.readouterr().err


def test_ids_beyond_32_and_64_bits_stay_what_they_are(tmp_path: Path) -> None:
    ids = [2**31, 2**31 + 1, 2**53 + 1, 2**62]
    rows = "".join(f"{n},{n},{t}\n" for n in ids for t in range(3))
    graph = load_graph(built(tmp_path, HEADER + rows))
    assert graph["user"].vocabulary.ids.to_list() == ids
    longer = rows + f"{2**70},1,1\n" * 3
    graph = load_graph(built(tmp_path, HEADER + longer, name="long"))
    found = graph["user"].vocabulary.ids.to_list()
    assert found == sorted([*map(str, ids), str(2**70)])


ROWS = [("a", "x", 1), ("a", "y", 2), ("b", "x", 1), ("b", "z", 3), ("a", "z", 4)]
ROWS += [("b", "y", 5), ("c", "x", 2), ("c", "y", 3), ("c", "z", 4)]
PLAIN = HEADER + "".join(f"{u},{i},{t}\n" for u, i, t in ROWS)


def test_repeated_rows_are_events_until_they_are_taken_out(tmp_path: Path) -> None:
    twice = HEADER + "".join(f"{u},{i},{t}\n" * 2 for u, i, t in ROWS)
    plain = built(tmp_path, PLAIN, name="plain")
    repeated = built(tmp_path, twice, name="repeated")
    cleaned = built(tmp_path, twice, "--deduplicate", "first", name="cleaned")
    assert hashes(cleaned) == hashes(plain) != hashes(repeated)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("a,", '"a",').replace(",x,", ',"x",'),
        PLAIN.rstrip("\n"),
    ],
    ids=["byte-order mark and Windows line ends", "quotes", "no last line end"],
)
def test_the_spelling_of_a_csv_does_not_matter(
    tmp_path: Path, content: str | bytes
) -> None:
    plain = built(tmp_path, PLAIN, name="plain")
    assert hashes(built(tmp_path, content, name="spelt")) == hashes(plain)


def test_separators_inside_quotes_belong_to_the_id(tmp_path: Path) -> None:
    rows = PLAIN.replace(",x,", ',"x, ""large""",')
    graph = load_graph(built(tmp_path, rows))
    assert 'x, "large"' in graph["item"].vocabulary.ids.to_list()


@pytest.mark.filterwarnings("default::UserWarning")  # as outside of tests
def test_faulty_lines_can_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write(tmp_path, PLAIN + "a,w,soon\nb,,3\n")
    output = str(tmp_path / "graph")
    main(["build", log, "--output", output, "--on-error", "skip", *ALL])
    message = capsys.readouterr().err
    assert "skipped 2 of 11" in message
    assert message.startswith("warning: ") and ".py" not in message
    assert hashes(output) == hashes(built(tmp_path, PLAIN, name="plain"))


def large_log() -> str:
    rng = np.random.default_rng(0)
    pairs = enumerate(rng.integers(0, 200, (4000, 2)))
    return HEADER + "".join(f"user-{u},item-{i},{t}\n" for t, (u, i) in pairs)


def test_a_file_that_may_not_grow_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write(tmp_path, large_log())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        code = main(["build", log, "--output", str(tmp_path / "graph")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 2
    assert "File too large" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["log.csv"]


def test_the_second_of_two_builds_into_one_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import graphseq.cli.build_steps as build_steps

    log, output = write(tmp_path, PLAIN), str(tmp_path / "graph")
    read, reading, go_on = build_steps.read, threading.Event(), threading.Event()

    def slow(*arguments: object) -> object:
        reading.set()
        go_on.wait(30)
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(build_steps.Local, "read", staticmethod(slow))
    codes: list[int] = []
    first = threading.Thread(
        target=lambda: codes.append(main(["build", log, "--output", output]))
    )
    first.start()
    assert reading.wait(30)
    refusal = refused(tmp_path, log)
    go_on.set()
    first.join()
    assert "another process is writing" in refusal
    assert codes == [0]
    assert sorted(os.listdir(tmp_path)) == ["graph", "log.csv"]
    assert load_graph(output).validate()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "locked"
    place.mkdir(mode=0o555)
    log = write(tmp_path, PLAIN)
    assert main(["build", log, "--output", str(place / "graph")]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_an_output_below_a_file_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write(tmp_path, PLAIN)
    assert main(["build", log, "--output", f"{log}/graph"]) == 2
    assert "refused" in capsys.readouterr().err


def test_a_log_comes_from_the_standard_input(tmp_path: Path) -> None:
    rows = "".join(f"{user} {item} {item}\n" for user in "ab" for item in range(4))
    output = str(tmp_path / "graph")
    options = ["--separator", " ", "--columns", "user=0", "item=1", "time=2"]
    reader, writer = os.pipe()
    os.write(writer, rows.encode())
    os.close(writer)
    terminal = os.dup(0)
    os.dup2(reader, 0)
    try:
        assert main(["build", "-", "--output", output, *options]) == 0
    finally:
        os.dup2(terminal, 0)
        os.close(terminal)
        os.close(reader)
    assert load_graph(output)["user"].num_nodes == 2
