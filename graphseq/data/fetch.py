"""Fetch published data sets: download, extract, verify and count them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from graphseq.data.archives import extract
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
    digest,
    download,
    file_name,
    mismatch,
)
from graphseq.data.interactions import Interactions
from graphseq.data.recipes import Dataset, Download, find_dataset
from graphseq.errors import DataError


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
    dataset, place = find_dataset(name, folder), data_folders(root)[0]
    report = report or (lambda line: None)
    files = dataset.downloads or [Download(dataset.file)]
    if url is not None:
        files = [replace(files[0], urls=[url]), *files[1:]]
    digests: dict[str, str] = {}
    for wanted in files:
        try:
            path = _provide(dataset, wanted, place / wanted.file, progress, report)
        except OSError as error:
            raise DataError(
                f"cannot write {place / wanted.file}: {error.strerror or error}. Free "
                "some space and repeat the command to resume, or choose another folder "
                "with --root, or set GRAPHSEQ_DATA"
            ) from error
        digests[wanted.file] = content_sha256(path)
    return Fetched(dataset, place, digests, load_dataset(name, place, folder=folder))


def _provide(
    dataset: Dataset,
    wanted: Download,
    target: Path,
    progress: Callable[[str], Progress] | None,
    report: Callable[[str], None],
) -> Path:
    """The path of a file or of its ``.gz``; downloads and extracts it if necessary."""
    if found := find_file(target.name, [target.parent]):
        report(f"{found} exists already")
        if wanted.file == dataset.file:
            check_file(dataset, found)
        return found
    packed = target.with_name(wanted.archive or target.name)
    if by_hand := packed.is_file():
        if wrong := mismatch(packed, wanted.checksum):
            raise DataError(
                f"{packed} is not the expected archive: {wrong}. Delete it, and run "
                "the command again to download it"
            )
    elif wanted.urls:
        _download_any(wanted, packed, progress, report)
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
    path: Path,
    progress: Callable[[str], Progress] | None,
    report: Callable[[str], None],
) -> None:
    """Download from the first address that delivers the file."""
    failures: list[str] = []
    for url in wanted.urls:
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
