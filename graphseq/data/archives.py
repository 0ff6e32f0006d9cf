"""Extract one file of an archive, whatever the archive claims."""

import errno
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from graphseq.atomic import atomic_file
from graphseq.data.download import check_free_space
from graphseq.errors import DataError, suggest

MAX_RATIO = 200  # of extracted to packed size; published logs reach 4 to 20
SMALL = 1 << 20  # bytes below which no archive is suspected
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, struct.error),
    *(EOFError, RuntimeError, ValueError, LookupError, OverflowError, MemoryError),
)
"""What parsers of archives raise for damaged ones, besides an OSError of no number."""


def extract(archive: Path, member: str, target: Path) -> None:
    """Extract one file from a zip, tar or compressed tar, atomically.

    No other file is extracted, and no path in the archive decides where the file goes.

    Args:
        archive: The archive, which is kept.
        member: Path of the file in it; or else its last part, if it is unique, since
            archives are packed again under other folders.
        target: Path to write; its folder exists.

    Raises:
        DataError: It is not an archive, is damaged, lacks the file, has a link or a
            device under that name, would grow beyond reason, or does not fit the disk.
        OSError: The target is not writable.
    """
    try:
        with (
            _open(archive, member) as (source, size),
            atomic_file(target) as draft,
            draft.open("wb") as file,
        ):
            if size > MAX_RATIO * max(packed := archive.stat().st_size, SMALL):
                raise _Refused(
                    f"it declares {size:,} bytes, {size // packed} times those of the "
                    f"archive ({packed:,}), more than any log"
                )
            check_free_space(size, target.parent, f"{member}, extracted,")
            shutil.copyfileobj(source, file)
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        damaged = f"it is damaged, or packed by an unsupported method ({error!s:.200})"
        raise DataError(
            f"cannot extract {member} from {archive}: "
            f"{error if isinstance(error, _Refused) else damaged}. Delete the archive "
            "and download it again, or check its source"
        ) from error


class _Refused(ValueError):
    """Why a readable archive is not used."""


@contextmanager
def _open(archive: Path, member: str) -> Iterator[tuple[IO[bytes], int]]:
    """A regular file in an archive, which yields as many bytes as it declares."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            info = zipped.getinfo(_full_name(member, zipped.namelist()))
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or kind not in (0, stat.S_IFREG):
                raise _Refused("it is not a regular file")
            if info.flag_bits & 1:
                raise _Refused("it is encrypted")
            with zipped.open(info) as source:
                yield source, info.file_size
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            entry = tar.getmember(_full_name(member, tar.getnames()))
            file = tar.extractfile(entry) if entry.isreg() else None
            if file is None:
                raise _Refused("it is not a regular file")
            yield file, entry.size
    else:
        raise _Refused("it is neither a zip nor a tar archive, or it is truncated")


def _full_name(member: str, names: list[str]) -> str:
    if member in names:
        return member
    last = member.rpartition("/")[2]
    matches = [n for n in dict.fromkeys(names) if n.rpartition("/")[2] == last]
    if len(matches) != 1:
        found = f"found {len(matches)}" if matches else suggest(member, names)
        raise _Refused(f"it must hold exactly one such file; {found}")
    return matches[0]
