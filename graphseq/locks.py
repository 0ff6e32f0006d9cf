"""Locks that let one process at a time write a file or folder."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from graphseq.atomic import created_parents, real_path, system_errors
from graphseq.errors import GraphError

try:
    import fcntl
except ImportError:  # not POSIX: nothing is locked, and the last writer wins
    fcntl = None  # type: ignore[assignment]


def lock_file(file: int | IO[bytes], *, wait: bool = False) -> bool:
    """Lock an open file or folder; the lock ends when the file is closed.

    Args:
        file: The file or its descriptor.
        wait: Whether to wait while another process holds the lock.

    Returns:
        False if another process holds it. Always True without POSIX locks.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Let only this process write a folder, and remove what killed processes left.

    The lock is on a file in the parent folder, and ends with the process. An older
    folder that a killed process had renamed gets its name back.

    Raises:
        GraphError: Another process holds the lock, or nothing can be written there.
    """
    path = real_path(path)
    lock = path.parent / f".{path.name}.lock"
    with created_parents(path), hold_lock(lock, path):
        _remove_leftovers(path)
        yield


@contextmanager
def hold_lock(lock: Path, path: Path) -> Iterator[None]:
    """Hold the lock file of a path; it is removed after the block.

    Raises:
        GraphError: Another process holds the lock, or nothing can be written there.
    """
    with system_errors(f"write {path}"):
        file = _open_locked(lock, path)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(file)


def _open_locked(lock: Path, path: Path) -> int:
    """The lock file, open and locked, and still of that name."""
    while True:
        file = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
        if not lock_file(file):
            os.close(file)
            raise GraphError(
                f"another process is writing {path} at this moment. Wait for it, or "
                f"choose another path."
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), lock.stat()):
                return file
        os.close(file)  # another process released and removed it just before


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes left next to a folder that this process locked."""
    draft = re.compile(rf"\.{re.escape(path.name)}\.\d+@.*\.(old|new)", re.DOTALL)
    found = [each for each in path.parent.iterdir() if draft.fullmatch(each.name)]
    for older in found:
        if older.suffix == ".old" and not path.exists():
            os.replace(older, path)
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
