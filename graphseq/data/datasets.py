"""Published data sets, read from where they lie and held against their facts."""

import gzip
import hashlib
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from graphseq.data.catalog import ROOT, Dataset, OtherCounts, data_folders, known
from graphseq.data.filters import k_core, min_length
from graphseq.data.interactions import Interactions
from graphseq.data.readers import read_log
from graphseq.errors import DataError

FILTERS: dict[str, Callable[..., Interactions]] = {
    "k_core": k_core,
    "min_length": min_length,
}
BLOCK = 1 << 20  # bytes that are hashed at a time


def load_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    with_times: bool = False,
    folder: str | Path | None = None,
) -> Interactions:
    """Read a data set and make sure that it is the one that is meant.

    Args:
        name: Of a YAML file in the catalogue.
        root: Folder below which the data lie; ``None`` looks in GRAPHSEQ_DATA, then in
            the cache folder, where ``graphseq get`` puts them.
        with_times: Read the times too, where they lie in a file apart.
        folder: Of the YAML files, as for :func:`catalog`.

    Raises:
        DataError: The name is unknown, the file is not there, is damaged or another
            one, or a file that was counted before is of another size.

    Warns:
        OtherCounts: The numbers differ from published ones that nobody checked on
            this very file.
    """
    facts = known(name, folder)
    places = data_folders(root)
    path = locate(facts, facts.file, places)
    check_file(facts, path)
    times = None
    if with_times and facts.times is not None:
        times = locate(facts, facts.times, places)
    log = read_log(path, format=facts.format, columns=facts.columns, times=times)
    for step in facts.filters:
        for filter_name, options in step.items():
            log = FILTERS[filter_name](log, **options)
    _check_counts(facts, log)
    return log


def find(file: str, places: Sequence[Path]) -> Path | None:
    """A file below the first folder that has it, plain or with ``.gz``."""
    tried = (place / f"{file}{gz}" for place in places for gz in ("", ".gz"))
    return next((path for path in tried if path.is_file()), None)


def locate(facts: Dataset, file: str, places: Sequence[Path]) -> Path:
    """A file of a data set.

    Raises:
        DataError: It is in none of the folders.
    """
    path = find(file, places)
    if path is None:
        spelt = " nor at ".join(str(place / file) for place in places)
        raise DataError(
            f"{facts.name!r} is not at {spelt}. Run: graphseq get {facts.name}; or "
            f"name the folder that holds {file}: --data FOLDER (in Python, root=), or "
            f"set {ROOT} to it. Get it from {facts.source} ({facts.licence})"
        )
    return path


def check_file(facts: Dataset, path: Path) -> None:
    """Refuse another file than the one that the facts mean, where they know it.

    Raises:
        DataError: Its SHA-256 is another, or it is a damaged gzip.
    """
    if facts.sha256 is None:
        return
    digest = text_digest(path)
    if digest != facts.sha256:
        raise DataError(
            f"{path} is not the file that {facts.name!r} means: its SHA-256 is "
            f"{digest}, expected {facts.sha256}. Move it away and run: graphseq get "
            f"{facts.name}. It comes from {facts.source}"
        )


def text_digest(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits, unpacked if it is a gzip.

    Raises:
        DataError: The gzip is truncated or damaged.
    """
    digest = hashlib.sha256()
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    opener = gzip.open if packed else open
    try:
        with opener(path, "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is a truncated or damaged gzip ({error}). Remove it and fetch it "
            "again"
        ) from error
    return digest.hexdigest()


def _check_counts(facts: Dataset, log: Interactions) -> None:
    found = (log.num_users, log.num_items, len(log))
    if found == facts.sizes:
        return
    said = (
        f"{facts.name!r} should have {facts.sizes} users, items and interactions; "
        f"read {found}. "
    )
    if facts.counted:
        raise DataError(said + "Check the format and the filters of its YAML file")
    warnings.warn(
        said + "The expected numbers are published ones, not counted on this file: it "
        "may be another edition. Say which when you report figures",
        OtherCounts,
        stacklevel=3,
    )
