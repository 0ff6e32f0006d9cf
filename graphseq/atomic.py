"""Folders that appear whole or not at all, and that one process writes at a time."""

import ctypes
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, contiguous_format

from graphseq.errors import GraphError

try:
    import fcntl
except ImportError:  # no POSIX; folders still appear whole, the last writer's stays
    fcntl = None  # type: ignore[assignment]


@contextmanager
def new_folder(path: Path, ours: Callable[[Path], bool], what: str) -> Iterator[Path]:
    """A folder to fill, under a temporary name; it gets its own when all is written.

    An older one of the same kind stays until then, and for good if anything fails.

    Args:
        path: The folder to make; its parents are made too.
        ours: Whether a folder is of that kind, and may be replaced.
        what: The kind, for messages: a saved graph.

    Raises:
        GraphError: Something else stands there, or it cannot be written.
    """
    refuse_others(path, ours, what)
    with refusals(f"asked to write {what} as {path}"), made_parents(path):
        made = tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
        folder = Path(made)
        try:
            yield folder
            folder.chmod(0o755)
            _put_in_place(folder, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def refuse_others(path: Path, ours: Callable[[Path], bool], what: str) -> None:
    """Refuse to write where something else stands than what may be replaced.

    Raises:
        GraphError: As said.
    """
    is_empty = path.is_dir() and not any(path.iterdir())
    if path.exists() and not (ours(path) or is_empty):
        raise GraphError(
            f"asked to write {what} as {path}, but what is there is not {what} "
            f"and will not be overwritten. Choose another name, or remove it first."
        )


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep the name of a folder for this process while it works on what goes there.

    The claim is a lock on a file beside the folder; it falls with the process that
    holds it, however that ends. What a process that was killed left half-done is
    cleared away, and a folder that had just made way for its new one comes back.

    Raises:
        GraphError: Another process has it, or nothing can be written there.
    """
    lock = path.parent / f".{path.name}.lock"
    with made_parents(path):
        with refusals(f"asked to write {path}"):
            file = _locked(lock, path)
        try:
            _tidy(path)
            yield
        finally:
            with suppress(OSError):
                lock.unlink()
            os.close(file)


@contextmanager
def refusals(asked: str) -> Iterator[None]:
    """Tell what the operating system refuses in the words of an error of ours."""
    try:
        yield
    except (OSError, SafetensorError, PolarsError) as error:
        if not isinstance(error, OSError) and "os error" not in str(error):
            raise
        reason = error.strerror if isinstance(error, OSError) else None
        raise GraphError(
            f"{asked}, but the system refused: {reason or error}. Nothing was left "
            f"behind, and what stood there before is as it was. Make room or mend the "
            f"permissions, or choose another place."
        ) from error


@contextmanager
def made_parents(path: Path) -> Iterator[None]:
    """Make the folders above one; those made go again if what follows fails."""
    lacking = [parent for parent in path.parents if not parent.exists()]
    with refusals(f"asked to make the folder {path.parent}"):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in lacking:
            with suppress(OSError):
                parent.rmdir()
        raise


def _tidy(path: Path) -> None:
    """Clear away what killed processes left beside a folder, if nobody writes it."""
    left = f".{glob.escape(path.name)}.*"
    for older in path.parent.glob(f"{left}.old"):
        if not path.exists():
            os.replace(older, path)
    for folder in [*path.parent.glob(f"{left}.old"), *path.parent.glob(f"{left}.new")]:
        shutil.rmtree(folder, ignore_errors=True)


def _locked(lock: Path, path: Path) -> int:
    """The lock's file, opened, locked, and still of that name."""
    while True:
        file = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise GraphError(
                f"another process is writing {path} at this moment. Wait for it, or "
                f"choose another place."
            ) from error
        if _is_at(file, lock):
            return file
        os.close(file)  # another let go of it, and took it away, just before


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _put_in_place(folder: Path, path: Path) -> None:
    """Rename a finished folder to its final name; an older one makes way.

    Where the system can exchange two names at once (Linux), one of the folders is
    there at every moment. Elsewhere the older one steps aside first: a process that is
    killed between the two renamings leaves it beside its place, as ``.NAME.….old``.
    """
    if not path.exists():
        os.replace(folder, path)
        return
    _flush(folder)  # before the older one goes
    if _exchanged(folder, path):
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


def _exchanged(a: Path, b: Path) -> bool:
    """Whether the system has exchanged two names, in one step that cannot be halved."""
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


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], header: dict[str, str] | None = None
) -> None:
    """Write tensors as a file of the mode that the umask gives any new file.

    ``safetensors`` itself leaves files that only their owner can read.

    Args:
        path: The file; what stood there is lost.
        tensors: By name, on any device; several may share their memory.
        header: Texts for the file's header.
    """
    path.unlink(missing_ok=True)
    path.touch()
    mode = path.stat().st_mode
    save_file(_apart(tensors), path, header)
    path.chmod(mode)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same on the CPU, contiguous, no two of them in the same memory."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        kept = tensor.detach().cpu()
        memory = kept.untyped_storage()
        alone = memory.nbytes() == kept.nbytes and memory.data_ptr() not in seen
        apart[name] = (
            kept.contiguous() if alone else kept.clone(memory_format=contiguous_format)
        )
        seen.add(memory.data_ptr())
    return apart
