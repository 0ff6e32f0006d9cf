"""Temporary files and folders, whose names say which process may remove them.

A process that is killed leaves its temporary files. Their names hold the process and
the machine, so that the next process that writes in the same folder removes those whose
process has ended.
"""

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

SUFFIX = ".new"


def draft_prefix(name: str) -> str:
    """The beginning of the names of this process's drafts of a file or folder."""
    return f".{name}.{os.getpid()}@{_machine()}"


def remove_abandoned(folder: Path) -> None:
    """Remove the drafts in a folder whose processes, of this machine, have ended."""
    machine = re.escape(_machine())
    pattern = rf"\..+\.(\d+)@{machine}(\..*)?{re.escape(SUFFIX)}"
    draft = re.compile(pattern, re.DOTALL)
    with suppress(OSError), os.scandir(folder) as entries:
        found = [(entry, draft.fullmatch(entry.name)) for entry in entries]
        for entry, match in found:
            if match is None or _is_running(int(match[1])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):  # another process removes it too, or owns it
                    os.unlink(entry.path)


def _machine() -> str:
    """The name of the machine, and of the container whose process numbers count."""
    with suppress(OSError):
        return f"{platform.node()}-{os.stat('/proc/self/ns/pid').st_ino}"
    return platform.node()


def _is_running(process: int) -> bool:
    if os.name == "nt":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is removed after the block, or else by a later process."""
    remove_abandoned(Path(tempfile.gettempdir()))
    prefix = f"{draft_prefix('graphseq')}."
    with tempfile.TemporaryDirectory(prefix=prefix, suffix=SUFFIX) as folder:
        yield Path(folder)


def temporary_file() -> IO[bytes]:
    """A file that is removed when it is closed, or else by a later process."""
    remove_abandoned(Path(tempfile.gettempdir()))
    prefix = f"{draft_prefix('graphseq')}."
    return tempfile.NamedTemporaryFile(prefix=prefix, suffix=SUFFIX)
