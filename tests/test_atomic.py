"""Atomic writes of files and folders."""

import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from graphseq.atomic import (
    atomic_file,
    atomic_folder,
    check_name,
    write_safetensors,
    write_text,
)
from graphseq.errors import GraphError
from graphseq.locks import locked_folder


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with atomic_file(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(KeyError), atomic_file(path) as draft:
        draft.write_text("half")
        raise KeyError
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def is_note(path: Path) -> bool:
    return (path / "note").is_file()


def write(path: Path, text: str) -> None:
    with atomic_folder(path, is_note, "a note") as folder:
        (folder / "note").write_text(text)


def test_a_folder_appears_with_its_parents_and_replaces_one_of_its_kind(
    tmp_path: Path,
) -> None:
    path = tmp_path / "deep" / "note"
    write(path, "one")
    write(path, "two")
    assert (path / "note").read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["note"]


def test_what_is_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(GraphError, match="not a note and will not be overwritten"):
        write(tmp_path, "mine")
    with pytest.raises(GraphError, match="will not be overwritten"):
        write(tmp_path / "thesis", "mine")
    assert (tmp_path / "thesis").read_text() == "years of work"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError()])
def test_a_failure_leaves_nothing_new(tmp_path: Path, error: Exception) -> None:
    kind = GraphError if isinstance(error, OSError) else KeyError
    with (
        pytest.raises(kind),
        atomic_folder(tmp_path / "a" / "b", is_note, "a note") as folder,
    ):
        (folder / "note").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_the_message_holds_the_reason_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GraphError, match=r"refused: (Not a directory|File exists)"):
        write(tmp_path / "file" / "note", "x")


def test_tensors_of_one_memory_come_back_as_they_were(tmp_path: Path) -> None:
    table = torch.arange(12.0).reshape(3, 4).requires_grad_()
    tensors = {
        "table": table,
        "same": table,
        "turned": table.t(),
        "slice": table[1:, :2],
        "empty": torch.empty(0, 4),
        "numbers": torch.tensor(3),
    }
    write_safetensors(tmp_path / "t.safetensors", tensors, {"a": "b"})
    read = load_file(tmp_path / "t.safetensors")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor), name


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_the_umask_decides_who_may_read(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(b"what stood there")
    path.chmod(0o600)
    before = os.umask(umask)
    try:
        write_safetensors(path, {"a": torch.ones(2)})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert load_file(path)["a"].tolist() == [1.0, 1.0]


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "links" / "link"
    link.parent.mkdir()
    write(target, "old")
    link.symlink_to(Path("..") / "target")
    with locked_folder(link):
        write(link, "new")
        with pytest.raises(GraphError, match="another process"), locked_folder(target):
            pass
    assert link.is_symlink()
    assert (target / "note").read_text() == "new"
    assert [*link.parent.iterdir()] == [link]
    file, pointer = tmp_path / "file", tmp_path / "pointer"
    pointer.symlink_to(file)  # nothing is there yet
    write_text(pointer, "new")
    assert pointer.is_symlink()
    assert file.read_text() == "new"


def test_a_path_that_cannot_be_is_reported(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (tmp_path / ("n" * 5000), tmp_path / ("n" * 300) / "x", loop):
        with pytest.raises(GraphError):
            write(path, "new")


NAMES = ["item", "co_occurs", "ml-1m", "loc-gowalla.txt.gz", "n" * 80, "é"]
UNSAFE = ["", ".", "..", "../x", "/x", "a/b", "a\\b", ".x", "a\0", "a\n", "n" * 81]
UNSAFE += ["\ud800", 3, None, ["a"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_becomes_a_file(name: str, tmp_path: Path) -> None:
    check_name(name, "a node")
    check_name(f"a/{name}", "a file", folders=True)
    (tmp_path / name).touch()


@pytest.mark.parametrize("name", UNSAFE, ids=repr)
def test_a_name_that_leads_elsewhere_is_refused(name: object) -> None:
    with pytest.raises(GraphError, match="cannot name a node"):
        check_name(name, "a node")
    if name != "a/b":
        with pytest.raises(GraphError, match="cannot name a file"):
            check_name(name, "a file", folders=True)
