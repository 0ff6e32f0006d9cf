"""Fetch published data sets: download, extract, verify and count them."""

import errno
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from graphseq.atomic import atomic_file
from graphseq.data.datasets import (
    check_file,
    content_sha256,
    data_folders,
    find_file,
    load_dataset,
)
from graphseq.data.download import (
    Progress,
    Unreachable,
    check_free_space,
    digest,
    download,
    file_name,
    mismatch,
)
from graphseq.data.interactions import Interactions
from graphseq.data.recipes import Dataset, Download, find_dataset
from graphseq.errors import DataError, suggest

MAX_RATIO = 200  # of extracted to packed size; published logs reach 4 to 20
SMALL = 1 << 20  # bytes below which no archive is suspected
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError),
    *(zlib.error, struct.error, EOFError, RuntimeError, ValueError, LookupError),
    *(OverflowError, MemoryError),  # NotImplementedError is a RuntimeError
)
"""What the parsers of archives raise for damaged or unsupported ones."""


@dataclass(frozen=True)
class Fetched:
    """A data set on disk.

    Attributes:
        dataset: Its entry in the catalog.
        root: Folder that holds its files.
        sha256: Of each file, after decompressing a gzip, by its path below the root.
        log: Its events, after the filters.
    """

    dataset: Dataset
    root: Path
    sha256: dict[str, str]
    log: Interactions


def fetch_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    url: str | None = None,
    folder: str | Path | None = None,
    progress: Callable[[str], Progress] | None = None,
    report: Callable[[str], None] | None = None,
) -> Fetched:
    """Download a data set unless it is on disk; extract, read and count it.

    Args:
        name: Name of a YAML file in the catalog.
        root: Folder for the files; ``None`` uses GRAPHSEQ_DATA if it is set, else the
            cache folder. :func:`load_dataset` searches both.
        url: Another address of its log, or of the archive that holds the log. The known
            checksums still apply.
        folder: Folder of the YAML files, as for :func:`catalog`.
        progress: Given a file name, returns the callback for its download.
        report: Called with a line of text at each step.

    Raises:
        DataError: The download fails (no network, unknown address, disk full, folder
            not writable, or only by hand), or the content is not the expected one. A
            partial download is kept, to be resumed.

    Warns:
        CountMismatch: As :func:`load_dataset`.
    """
    dataset = find_dataset(name, folder)
    place = data_folders(root)[0]
    report = report or (lambda line: None)
    digests: dict[str, str] = {}
    for number, wanted in enumerate(dataset.downloads or [Download(dataset.file)]):
        urls = [url] if url is not None and number == 0 else wanted.urls
        try:
            path = _provide(dataset, wanted, urls, place, progress, report)
        except OSError as error:
            raise DataError(
                f"{place / wanted.file} is not writable ({error.strerror or error}). "
                "Choose another folder with --root, or set GRAPHSEQ_DATA"
            ) from error
        digests[wanted.file] = content_sha256(path)
    return Fetched(dataset, place, digests, load_dataset(name, place, folder=folder))


def _provide(
    dataset: Dataset,
    wanted: Download,
    urls: list[str],
    place: Path,
    progress: Callable[[str], Progress] | None,
    report: Callable[[str], None],
) -> Path:
    """Make sure that a file is on disk, and return its path."""
    target = place / wanted.file
    found = find_file(wanted.file, [place])
    if found is not None:
        report(f"{found} exists already")
        if wanted.file == dataset.file:
            check_file(dataset, found)
        return found
    packed = target if wanted.archive is None else target.with_name(wanted.archive)
    by_hand = packed.is_file()
    if by_hand:
        if wrong := mismatch(packed, wanted.checksum):
            raise DataError(
                f"{packed} is not the expected archive: {wrong}. Delete it, and run "
                "the command again to download it"
            )
    elif urls:
        _download_any(wanted, urls, packed, progress, report)
    else:
        where = f"{packed}, or extracted at {target}" if packed != target else packed
        raise DataError(
            f"{dataset.name} must be downloaded by hand: {dataset.licence}\n"
            f"Get it from {wanted.page or dataset.source}\n"
            f"Save it as {where}\n"
            f"Then run: graphseq get {dataset.name}, which verifies it. If you know an "
            "address, pass it with --url"
        )
    if packed != target:
        report(f"extracting {wanted.member} from {packed.name}")
        extract(packed, wanted.member or target.name, target)
        if not by_hand:
            packed.unlink()
    return target


def _download_any(
    wanted: Download,
    urls: list[str],
    path: Path,
    progress: Callable[[str], Progress] | None,
    report: Callable[[str], None],
) -> None:
    """Download from the first address that delivers the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(13, "no permission to write", str(path.parent))
    check_free_space(wanted.bytes or 0, path.parent, "the download")
    failures: list[str] = []
    for url in urls:
        report(f"downloading {url}")
        callback = None if progress is None else progress(file_name(url))
        try:
            download(url, path, wanted.checksum, size=wanted.bytes, progress=callback)
        except Unreachable as error:
            failures.append(str(error))
            continue
        if wanted.checksum is None:
            found = digest(path)
            report(f"no checksum is known for {path.name}; its sha256 is {found}")
        return
    raise DataError("\n".join(failures))


def extract(archive: Path, member: str, target: Path) -> None:
    """Extract one file from a zip, tar or compressed tar.

    No other file is extracted, and no path in the archive decides where the file goes.
    It appears at ``target`` once it is complete.

    Args:
        archive: The archive, which is kept.
        member: Path of the file in it; or else its last part, if only one file has it,
            since archives are packed again under other folders.
        target: Path to write; its folder exists.

    Raises:
        DataError: It is not an archive, is damaged, lacks the file, has a link or a
            device under that name, would grow beyond reason, or does not fit the disk.
        OSError: The target is not writable.
    """
    try:
        with (
            atomic_file(target) as draft,
            draft.open("wb") as file,
            _opened(archive, member) as (source, size),
        ):
            _check_size(archive, member, size, target.parent)
            shutil.copyfileobj(source, file)
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise DataError(
            f"{archive} is damaged, or packed by an unsupported method "
            f"({error!s:.200}). Delete it and download it again"
        ) from error


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[tuple[IO[bytes], int]]:
    """A regular file in an archive, which yields as many bytes as it declares."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            info = zipped.getinfo(_full_name(archive, member, zipped.namelist()))
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or kind not in (0, stat.S_IFREG) or info.flag_bits & 1:
                raise _not_regular(archive, info.filename)
            with zipped.open(info) as source:
                yield source, info.file_size
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            entry = tar.getmember(_full_name(archive, member, tar.getnames()))
            file = tar.extractfile(entry) if entry.isreg() else None
            if file is None:
                raise _not_regular(archive, entry.name)
            with file:
                yield file, entry.size
    else:
        raise DataError(
            f"{archive} is neither a zip nor a tar archive, or it is truncated. Delete "
            "it and download it again"
        )


def _full_name(archive: Path, member: str, names: list[str]) -> str:
    if member in names:
        return member
    last = member.rpartition("/")[2]
    matches = [n for n in dict.fromkeys(names) if n.rpartition("/")[2] == last]
    if len(matches) != 1:
        found = f"found {len(matches)}" if matches else suggest(member, names)
        raise DataError(
            f"{archive} must hold exactly one {member}; {found}. Delete it and "
            "download it again"
        )
    return matches[0]


def _not_regular(archive: Path, name: str) -> DataError:
    return DataError(
        f"{name} in {archive} is not a regular file: it is a folder, a link or "
        "encrypted. Delete the archive and download it again"
    )


def _check_size(archive: Path, member: str, size: int, folder: Path) -> None:
    packed = archive.stat().st_size
    if size > MAX_RATIO * max(packed, SMALL):
        raise DataError(
            f"{member} in {archive} declares {size:,} bytes, {size // packed} times "
            f"the size of the archive ({packed:,}), more than any log. Nothing was "
            "extracted. Check the source of the archive"
        )
    check_free_space(size, folder, f"{member}, extracted,")
