"""Published data sets, fetched: ``graphseq get``."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graphseq.data.catalog import Dataset, Download, data_folders, known
from graphseq.data.datasets import check_file, find, load_dataset, text_digest
from graphseq.data.download import Progress, download
from graphseq.data.interactions import Interactions
from graphseq.data.replies import Unreachable, url_name
from graphseq.data.unpack import unpack
from graphseq.errors import DataError

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
