"""One file out of an archive: only that file, only to where it belongs."""

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from graphseq.errors import DataError, suggest

SWELLS = 200  # times that an archive may grow; published logs grow 4 to 20 times
SMALL = 1 << 20  # bytes below which no archive is suspected
BLOCK = 1 << 20  # bytes that are copied at a time

Read = Callable[[int], bytes]
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
)


def unpack(archive: Path, member: str, target: Path) -> None:
    """Take a file from a zip, tar or packed tar.

    Nothing else is unpacked, and no name of the archive decides where anything goes.
    The file appears at ``target`` once it is whole.

    Args:
        archive: The archive; it stays.
        member: Name of the file in it. Where no file has that whole name, the only one
            of the same last part is taken, since people pack folders anew.
        target: Path of the file that is written; its folder exists.

    Raises:
        DataError: It is no such archive, damaged, lacks the file, has something else
            of that name, would swell beyond reason, or does not fit the disk.
        OSError: The target cannot be written.
    """
    if not (zipfile.is_zipfile(archive) or tarfile.is_tarfile(archive)):
        raise DataError(
            f"{archive} is no zip and no tar archive, or its end is missing. Remove it "
            "and fetch it again"
        )
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file, _opened(archive, member) as (read, n):
            _check_size(archive, member, n, target.parent)
            _copy(read, file, n, f"{member} in {archive.name}")
        os.chmod(draft, 0o644)
        os.replace(draft, target)
    except DAMAGED as error:
        raise DataError(
            f"{archive} is damaged ({error}). Remove it and fetch it again"
        ) from error
    finally:
        Path(draft).unlink(missing_ok=True)


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[tuple[Read, int]]:
    """How to read the file in the archive, and the bytes that it says it has."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            infos = {info.filename: info for info in zipped.infolist()}
            info = infos[_pick(archive, member, list(infos))]
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or kind not in (0, stat.S_IFREG) or info.flag_bits & 1:
                raise DataError(_no_file(archive, info.filename))
            with zipped.open(info) as source:
                yield source.read, info.file_size
        return
    with tarfile.open(archive) as tar:
        entries = {entry.name: entry for entry in tar}
        entry = entries[_pick(archive, member, list(entries))]
        opened = tar.extractfile(entry) if entry.isreg() else None
        if opened is None:
            raise DataError(_no_file(archive, entry.name))
        with opened as source:
            yield source.read, entry.size


def _pick(archive: Path, member: str, names: list[str]) -> str:
    if member in names:
        return member
    last = member.rpartition("/")[2]
    fits = [name for name in names if name.rpartition("/")[2] == last]
    if len(fits) != 1:
        found = f"{len(fits)} of that name" if fits else suggest(member, names)
        raise DataError(f"{archive} does not hold one {member}; {found}")
    return fits[0]


def _no_file(archive: Path, name: str) -> str:
    return (
        f"{name} in {archive} is no plain file: a folder, a link, or encrypted. It is "
        "not the archive that is meant; remove it and fetch it again"
    )


def _check_size(archive: Path, member: str, size: int, folder: Path) -> None:
    packed = archive.stat().st_size
    if size > SWELLS * max(packed, SMALL):
        raise DataError(
            f"{member} in {archive} says that it has {size:,} bytes, {size // packed} "
            f"times those of the archive ({packed:,}); a log does not pack so well. "
            "Nothing was unpacked"
        )
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            f"{member} takes {size:,} bytes unpacked, and {folder} has {free:,} free. "
            "Make room, or choose another folder by --root"
        )


def _copy(read: Read, target: IO[bytes], size: int, what: str) -> None:
    """Copy all bytes, and no more than were said."""
    left = size
    while block := read(min(BLOCK, left + 1)):
        left -= len(block)
        if left < 0:
            break
        target.write(block)
    if left:
        raise EOFError(f"{what}: {size:,} bytes were said, {size - left:,} came")
