"""Locks of files and folders, which end with their process."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from graphseq.errors import GraphError
from graphseq.locks import lock_file, locked_folder


def test_a_file_is_locked_once_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as first, path.open("rb") as second:
        assert lock_file(first)
        assert not lock_file(second)
    with path.open("rb") as third:
        assert lock_file(third, wait=True)


def test_one_process_claims_a_name_at_a_time_and_leaves_no_trace(
    tmp_path: Path,
) -> None:
    path = tmp_path / "graph"
    with (
        locked_folder(path),
        pytest.raises(GraphError, match="another process is writing"),
        locked_folder(path),
    ):
        pass
    with locked_folder(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_claim_falls_with_its_process(
    tmp_path: Path, run_forked: Callable[[Callable[[], None]], int]
) -> None:
    path = tmp_path / "graph"

    def hold_until_the_end() -> None:
        with locked_folder(path):
            os._exit(1)

    run_forked(hold_until_the_end)
    assert (tmp_path / ".graph.lock").exists()
    with locked_folder(path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_claim_clears_away_what_a_killed_process_left(tmp_path: Path) -> None:
    graph = tmp_path / "graph[1]"
    graph.mkdir()
    others = {".other.7@host.c3.new", ".graph[1].x.7@host.d4.new"}
    for name in (".graph[1].7@host.a1.new", ".graph[1].8@host.b2.old", *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tensors").write_text("some")
    with locked_folder(graph):
        pass
    assert {each.name for each in tmp_path.iterdir()} == {"graph[1]", *others}


def test_a_claim_brings_back_a_folder_that_had_made_way(tmp_path: Path) -> None:
    older = tmp_path / ".graph.7@host.a1.old"
    older.mkdir()
    (older / "tensors").write_text("some")
    with locked_folder(tmp_path / "graph"):
        assert (tmp_path / "graph" / "tensors").read_text() == "some"
    assert not older.exists()


def test_errors_of_the_work_itself_pass_through_a_claim(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mine"), locked_folder(tmp_path / "graph"):
        raise OSError("mine")
