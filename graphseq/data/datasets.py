"""Find the files of published data sets, verify and read them."""

import gzip
import hashlib
import os
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

from graphseq.data.interactions import Interactions
from graphseq.data.readers import read_log
from graphseq.data.readers.blocks import is_gzip
from graphseq.data.recipes import FILTERS, Dataset, find_dataset
from graphseq.errors import DataError

DATA_VARIABLE = "GRAPHSEQ_DATA"  # environment: the folder that holds the data


class CountMismatch(UserWarning):
    """A data set differs in size from a publication: it may be another edition."""


def data_folders(root: str | Path | None = None) -> list[Path]:
    """Folders that are searched for data; ``graphseq get`` writes to the first.

    Args:
        root: The only folder to search; ``None`` searches that of the environment
            variable GRAPHSEQ_DATA, if it is set, and the user's cache folder.
    """
    if root is not None:
        return [Path(root)]
    own = os.environ.get(DATA_VARIABLE)
    return [*([Path(own)] if own else []), user_cache_path("graphseq")]


def find_file(file: str, folders: Sequence[Path]) -> Path | None:
    """The path of a file, or of its ``.gz``, in the first folder that contains it."""
    paths = (folder / f"{file}{gz}" for folder in folders for gz in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def load_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    with_times: bool = False,
    folder: str | Path | None = None,
) -> Interactions:
    """Read a data set and verify that it is the intended one.

    Args:
        name: Name of a YAML file in the catalog.
        root: Folder that holds the data; ``None`` searches GRAPHSEQ_DATA, then the
            cache folder, to which ``graphseq get`` writes.
        with_times: Also read the timestamps, if they are in a separate file.
        folder: Folder of the YAML files, as for :func:`catalog`.

    Raises:
        DataError: The name is unknown, the file is missing, damaged or another one, or
            its counts differ from those that were counted on this file.

    Warns:
        CountMismatch: The counts differ from published ones that were not verified on
            this file.
    """
    dataset = find_dataset(name, folder)
    folders = data_folders(root)
    path = _locate(dataset, dataset.file, folders)
    check_file(dataset, path)
    times = None
    if with_times and dataset.times is not None:
        times = _locate(dataset, dataset.times, folders)
    log = read_log(path, format=dataset.format, columns=dataset.columns, times=times)
    for step in dataset.filters:
        for filter_name, options in step.items():
            log = FILTERS[filter_name](log, **options)
    found = (log.num_users, log.num_items, len(log))
    if found == dataset.sizes:
        return log
    message = (
        f"{dataset.name!r} should have {dataset.sizes} users, items and interactions; "
        f"found {found}. "
    )
    if dataset.counted:
        raise DataError(message + "Check the format and the filters of its YAML file")
    warnings.warn(
        message + "The expected counts are published and were not verified on this "
        "file: it may be another edition. State which one when you report results",
        CountMismatch,
        stacklevel=2,
    )
    return log


def _locate(dataset: Dataset, file: str, folders: Sequence[Path]) -> Path:
    path = find_file(file, folders)
    if path is None:
        searched = " nor at ".join(str(folder / file) for folder in folders)
        raise DataError(
            f"{dataset.name!r} is not at {searched}. Run: graphseq get {dataset.name}; "
            f"or name the folder that holds {file}: --data FOLDER (in Python, root=), "
            f"or set {DATA_VARIABLE} to it. Get it from {dataset.source} "
            f"({dataset.licence})"
        )
    return path


def check_file(dataset: Dataset, path: Path) -> None:
    """Compare the checksum of a file with that in the catalog, if it is known.

    Raises:
        DataError: It differs, or the file is a damaged gzip.
    """
    if dataset.sha256 is None:
        return
    digest = content_sha256(path)
    if digest != dataset.sha256:
        raise DataError(
            f"{path} is not the file of {dataset.name!r}: its SHA-256 is {digest}, "
            f"expected {dataset.sha256}. Move it away and run: graphseq get "
            f"{dataset.name}. It comes from {dataset.source}"
        )


def content_sha256(path: Path) -> str:
    """SHA-256 of a file, after decompressing a gzip, as hexadecimal digits.

    Raises:
        DataError: The gzip is truncated or damaged.
    """
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is a truncated or damaged gzip ({error}). Delete it and download "
            "it again"
        ) from error
