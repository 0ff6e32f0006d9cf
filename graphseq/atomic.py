"""Atomic writes of files and folders: write a draft, then rename it.

A reader finds the old content or the new one, never a part of it, and a failed write
leaves nothing behind.
"""

import ctypes
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from polars.exceptions import PolarsError
from safetensors import SafetensorError

from graphseq.drafts import SUFFIX, draft_prefix, remove_abandoned
from graphseq.errors import GraphError

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_NAME = 80  # bytes; three of them and a suffix must fit into 255
REFUSED = re.compile("os error|transport error")  # in messages of Rust libraries


def check_name(name: object, kind: str, *, folders: bool = False) -> None:
    """Refuse a name, read from a file, that could lead out of the folder it is put in.

    Every name that becomes a part of a path is checked here, before writing and
    before reading.

    Args:
        name: The name.
        kind: What it names, for the message: "a node type".
        folders: Whether it may be a path below the folder, as in ``ml-1m/ratings.dat``.

    Raises:
        GraphError: It is not a text, is empty or too long, begins with a dot, or holds
            a path separator, a control character or a lone surrogate.
    """
    parts = str(name).split("/") if folders else [str(name)]
    safe = isinstance(name, str) and all(
        part
        and part[0] != "."
        and not set(part) & set("/\\")
        and all(ord(sign) >= 32 and not 0xD800 <= ord(sign) < 0xE000 for sign in part)
        and len(part.encode()) <= LONGEST_NAME
        for part in parts
    )
    if not safe:
        raise GraphError(
            f"{name!r:.100} cannot name {kind}, because names become file names. "
            f"Choose a text of up to {LONGEST_NAME} bytes without a path, which does "
            "not begin with a dot"
        )


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """The path of a draft in the same folder; it replaces ``path`` after the block.

    Several processes may write the file at the same time: each has a draft of its own,
    and removes those of processes that have ended.
    """
    path = real_path(path)
    remove_abandoned(path.parent)
    draft = path.with_name(f"{draft_prefix(path.name)}{SUFFIX}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically; see :func:`atomic_file`."""
    with atomic_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_safetensors(
    path: Path, tensors: "Mapping[str, Tensor]", header: dict[str, str] | None = None
) -> None:
    """Replace a safetensors file atomically; its mode follows the umask.

    ``safetensors`` itself creates files that only their owner can read, and writes them
    under random names first: it does so in a folder whose name says whose it is.

    Args:
        path: The file to write.
        tensors: Tensors by name, on any device; several may share memory.
        header: Texts for the header of the file.
    """
    from safetensors.torch import save_file

    path = real_path(path)
    remove_abandoned(path.parent)
    prefix = f"{draft_prefix(path.name)}."
    with tempfile.TemporaryDirectory(SUFFIX, prefix, path.parent) as folder:
        draft = Path(folder) / path.name
        draft.touch()
        mode = draft.stat().st_mode
        save_file(_without_shared_memory(tensors), draft, header)
        draft.chmod(mode)
        os.replace(draft, path)


def _without_shared_memory(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The tensors on the CPU, contiguous, each with memory of its own."""
    from torch import contiguous_format

    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        kept = tensor.detach().cpu()
        memory = kept.untyped_storage()
        alone = memory.nbytes() == kept.nbytes and memory.data_ptr() not in seen
        separate[name] = (
            kept.contiguous() if alone else kept.clone(memory_format=contiguous_format)
        )
        seen.add(memory.data_ptr())
    return separate


@contextmanager
def atomic_folder(
    path: Path, ours: Callable[[Path], bool], kind: str
) -> Iterator[Path]:
    """A temporary folder to fill; it takes the name ``path`` after the block.

    An older folder of the same kind stays until then, and for good if anything fails.

    Args:
        path: The folder to write; its parents are created too.
        ours: Whether a folder is of that kind, and may be replaced.
        kind: The kind for messages: "a saved graph".

    Raises:
        GraphError: Something else is at ``path``, or it cannot be written.
    """
    path = real_path(path)
    refuse_foreign(path, ours, kind)
    with system_errors(f"write {kind} as {path}"), created_parents(path):
        remove_abandoned(path.parent)
        prefix = f"{draft_prefix(path.name)}."
        made = tempfile.mkdtemp(prefix=prefix, suffix=SUFFIX, dir=path.parent)
        folder = Path(made)
        try:
            yield folder
            folder.chmod(0o755)
            _replace_folder(folder, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def real_path(path: Path) -> Path:
    """The target of a symbolic link, so that it is replaced and not the link.

    A path without a name, such as ``.``, becomes one with a name.

    Raises:
        GraphError: The link refers to itself, or the path is too long.
    """
    try:
        nameless = path.name in ("", "..")
        return path.resolve() if nameless or path.is_symlink() else path
    except (OSError, RuntimeError, ValueError) as error:
        raise GraphError(
            f"{str(path)!r:.200} cannot be a path ({error}). Choose another name"
        ) from error


def refuse_foreign(path: Path, ours: Callable[[Path], bool], kind: str) -> None:
    """Refuse to overwrite anything but an empty folder or one of the same kind.

    Raises:
        GraphError: Something else is at ``path``.
    """
    with system_errors(f"write {kind} as {path}"):
        is_empty = path.is_dir() and not any(path.iterdir())
        free = not path.exists() or is_empty or ours(path)
    if not free:
        raise GraphError(
            f"cannot write {kind} as {path}: what is there is not {kind} and will not "
            f"be overwritten. Choose another name, or remove it first."
        )


@contextmanager
def system_errors(action: str) -> Iterator[None]:
    """Raise errors of the operating system as a :class:`GraphError`."""
    try:
        yield
    except (OSError, SafetensorError, PolarsError) as error:
        if not isinstance(error, OSError) and not REFUSED.search(str(error)):
            raise
        reason = error.strerror if isinstance(error, OSError) else None
        raise GraphError(
            f"cannot {action}: the system refused: {reason or error}. Nothing was left "
            f"behind, and older files are unchanged. Free disk space, fix the "
            f"permissions, or choose another path."
        ) from error


@contextmanager
def created_parents(path: Path) -> Iterator[None]:
    """Create the parents of a path; remove the new ones if the block fails."""
    with system_errors(f"create the folder {path.parent}"):
        lacking = [parent for parent in path.parents if not parent.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in lacking:
            with suppress(OSError):
                parent.rmdir()
        raise


def _replace_folder(folder: Path, path: Path) -> None:
    """Rename a finished folder to its final name.

    Linux exchanges two names in one step, so that one of the folders is there at every
    moment. Elsewhere the older folder is renamed first: a process that is killed
    between the two renames leaves it as ``.NAME.….old``.
    """
    if not path.exists():
        os.replace(folder, path)
        return
    _flush(folder)  # before the older folder is removed
    if _exchange_names(folder, path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    older = folder.with_suffix(".old")
    os.replace(path, older)
    try:
        os.replace(folder, path)
    except OSError:
        os.replace(older, path)
        raise
    shutil.rmtree(older, ignore_errors=True)


def _exchange_names(a: Path, b: Path) -> bool:
    """Exchange two names in one step; False if the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):  # not Linux, or an old C library
        return False
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    done = renameat2(here, os.fsencode(a), here, os.fsencode(b), exchange)
    return bool(done == 0)


def _flush(folder: Path) -> None:
    """Have the system write all files of a folder to the disk."""
    for path in [*folder.iterdir(), folder]:
        if path.is_dir() and os.name == "nt":  # folders cannot be opened there
            continue
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
