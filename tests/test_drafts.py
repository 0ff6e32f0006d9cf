"""Drafts of killed processes are removed; those of running processes are not."""

import os
import platform
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import safetensors.torch
import torch

from graphseq.atomic import atomic_file, atomic_folder, write_safetensors, write_text
from graphseq.drafts import (
    draft_prefix,
    remove_abandoned,
    temporary_file,
    temporary_folder,
)


@contextmanager
def copied() -> Iterator[Path]:
    with temporary_file() as file:
        yield Path(file.name)


DRAFTS: dict[str, Callable[[Path], AbstractContextManager[Path]]] = {
    "file": atomic_file,
    "folder": lambda path: atomic_folder(path, Path.is_dir, "a note"),
    "temporary folder": lambda path: temporary_folder(),
    "temporary file": lambda path: copied(),
}


@pytest.mark.parametrize("kind", DRAFTS)
def test_what_killed_processes_left_is_removed(
    kind: str,
    tmp_path: Path,
    run_forked: Callable[[Callable[[], None]], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def die_while_writing() -> None:
        with DRAFTS[kind](tmp_path / "kept") as draft:
            (draft / "note" if draft.is_dir() else draft).write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(run_forked(die_while_writing)) == signal.SIGKILL
    assert len([*tmp_path.glob(".*.new")]) == 1
    with DRAFTS[kind](tmp_path / "kept") as draft:
        draft.touch()
        assert [p.name for p in tmp_path.iterdir()] == [draft.name]
    write_text(tmp_path / "other", "all")
    assert not [*tmp_path.glob(".*")]


def test_what_safetensors_was_writing_when_it_was_killed_is_removed(
    tmp_path: Path,
    run_forked: Callable[[Callable[[], None]], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die_while_writing(tensors: object, path: Path, header: object) -> None:
        (path.parent / ".tmpV8a6b0").write_text("half")  # versions from 0.6 on do this
        os.kill(os.getpid(), signal.SIGKILL)

    path, tensors = tmp_path / "weights.safetensors", {"a": torch.ones(2)}
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", die_while_writing)
        status = run_forked(lambda: write_safetensors(path, tensors))
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert path.read_text() == "old"
    assert len([*tmp_path.rglob("*")]) > 1
    write_safetensors(path, tensors)
    assert [*tmp_path.rglob("*")] == [path]


def test_only_drafts_of_ended_processes_of_this_machine_are_removed(
    tmp_path: Path, run_forked: Callable[[Callable[[], None]], int]
) -> None:
    ended = tmp_path / "process"
    run_forked(lambda: ended.write_text(str(os.getpid())) and None)
    process = ended.read_text()
    machine = draft_prefix("").partition("@")[2]
    assert machine.startswith(platform.node())
    kept = [
        "process",
        f".a.{os.getpid()}@{machine}.new",
        f".a.{process}@another-{machine}.new",
        f".a.{process}@{machine}1.new",  # of another container
        f".a.{process}@{machine}.txt",
        f"a.{process}@{machine}.new",
        ".a.x.new",
    ]
    for name in [*kept, f".a\n.{process}@{machine}.new", f".a.{2**70}@{machine}.new"]:
        (tmp_path / name).touch()
    folder = tmp_path / f".b.{process}@{machine}.z8.new"
    folder.mkdir()
    (folder / "note").touch()
    (tmp_path / f".link.{process}@{machine}.new").symlink_to(tmp_path)
    ended.touch()
    remove_abandoned(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)
    remove_abandoned(tmp_path / "missing")
