"""Fetch published data sets: download, extract, check and count."""

import gzip
import lzma
import os
import shutil
import stat
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
    Dataset,
    Download,
    check_file,
    data_folders,
    find,
    known,
    load_dataset,
    text_digest,
)
from graphseq.data.download import Progress, Unreachable, download, url_name
from graphseq.data.interactions import Interactions
from graphseq.errors import DataError, suggest

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """A data set that is there.

    Attributes:
        facts: What is known of it.
        root: Folder below which it lies.
        sha256: Of every file, unpacked if it is a gzip, by its path below the root.
        log: Its events, after the filters.
    """

    facts: Dataset
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
    tell: Tell | None = None,
) -> Fetched:
    """Fetch a data set, unless it is there; unpack it, read it, and count.

    Args:
        name: Of a YAML file in the catalogue.
        root: Folder below which it goes; ``None`` takes GRAPHSEQ_DATA if that is set,
            else the cache folder. :func:`load_dataset` looks there as well.
        url: Another address of its log, or of the archive that holds the log. Known
            checksums hold for it too.
        folder: Of the YAML files, as for :func:`catalog`.
        progress: Given a file's name, what to call as it grows.
        tell: Called with a line on each step.

    Raises:
        DataError: It cannot be fetched (no network, no such address, the disk is full,
            the folder is not to be written, only people may fetch it), or what came is
            not what is meant. What is there of it is kept, to go on from.

    Warns:
        OtherCounts: As :func:`load_dataset`.
    """
    facts = known(name, folder)
    place = data_folders(root)[0]
    say = tell or (lambda line: None)
    digests: dict[str, str] = {}
    missing = facts.downloads or [Download(facts.file)]
    for number, each in enumerate(missing):
        address = [url] if url is not None and number == 0 else each.urls
        try:
            path = _bring(facts, each, address, place, progress, say)
        except OSError as error:
            raise DataError(
                f"{place / each.file} cannot be written ({error.strerror or error}). "
                "Choose another folder by --root, or set GRAPHSEQ_DATA to it"
            ) from error
        digests[each.file] = text_digest(path)
    return Fetched(facts, place, digests, load_dataset(name, place, folder=folder))


def _bring(
    facts: Dataset,
    wanted: Download,
    urls: list[str],
    place: Path,
    progress: Callable[[str], Progress] | None,
    say: Tell,
) -> Path:
    """Make sure that a file is there, and say where."""
    target = place / wanted.file
    there = find(wanted.file, [place])
    if there is not None:
        say(f"{there} is there already")
        if wanted.file == facts.file:
            check_file(facts, there)
        return there
    packed = None if wanted.archive is None else target.with_name(wanted.archive)
    by_hand = packed is not None and packed.is_file()
    if not (by_hand or urls):
        raise DataError(_by_hand(facts, wanted, place))
    if not by_hand:
        _try_each(wanted, urls, packed or target, progress, say)
    if packed is not None:
        if by_hand:
            _check_archive(packed, wanted.checksum)
        say(f"unpacking {wanted.member} of {packed.name}")
        unpack(packed, wanted.member or target.name, target)
        if not by_hand:
            packed.unlink()
    return target


def _try_each(
    wanted: Download,
    urls: list[str],
    path: Path,
    progress: Callable[[str], Progress] | None,
    say: Tell,
) -> None:
    """Fetch from the first address that gives the file."""
    import pooch

    _make_folder(path.parent, wanted.bytes)
    failures: list[str] = []
    for url in urls:
        say(f"fetching {url}")
        watch = None if progress is None else progress(url_name(url))
        try:
            download(url, path, wanted.checksum, progress=watch)
        except Unreachable as error:
            failures.append(str(error))
            continue
        if wanted.checksum is None:
            digest = pooch.file_hash(str(path))
            say(f"no checksum is known for {path.name}; this one has sha256 {digest}")
        return
    raise DataError("\n".join(failures))


def _make_folder(folder: Path, size: int | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "no permission to write", str(folder))
    free = shutil.disk_usage(folder).free
    if size is not None and size > free:
        raise DataError(
            f"the download takes {size:,} bytes, and {folder} has {free:,} free. Make "
            "room, or choose another folder by --root"
        )


def _check_archive(path: Path, checksum: str | None) -> None:
    """Refuse another archive than the one that is meant."""
    import pooch

    if not pooch.hashes.hash_matches(path, checksum):
        kind, _, expected = (checksum or "").partition(":")
        raise DataError(
            f"{path} is not the archive that is meant: its {kind} is "
            f"{pooch.file_hash(str(path), alg=kind)}, expected {expected}. Remove it, "
            "and it will be fetched"
        )


def _by_hand(facts: Dataset, wanted: Download, place: Path) -> str:
    """What a person has to do."""
    target = place / wanted.file
    where = str(target)
    if wanted.archive is not None:
        where = f"{target.with_name(wanted.archive)}, or unpacked at {target}"
    return (
        f"{facts.name} has to be fetched by hand: {facts.licence}\n"
        f"Get it from {wanted.page or facts.source}\n"
        f"Put it at {where}\n"
        f"Then run: graphseq get {facts.name}, which checks it. An address where it "
        "may be had goes to --url"
    )


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
    try:
        with (
            atomic_file(target, shared=True) as draft,
            draft.open("wb") as file,
            _opened(archive, member) as (read, n),
        ):
            _check_size(archive, member, n, target.parent)
            _copy(read, file, n, f"{member} in {archive.name}")
    except DAMAGED as error:
        raise DataError(
            f"{archive} is damaged ({error}). Remove it and fetch it again"
        ) from error


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
