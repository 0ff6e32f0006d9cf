"""Published data sets: a catalog of YAML files, and a loader that checks them."""

import gzip
import hashlib
import os
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from graphseq.data.filters import k_core, min_length
from graphseq.data.interactions import Interactions
from graphseq.data.readers import read_log
from graphseq.errors import DataError, suggest

FOLDER = Path(__file__).resolve().parents[2] / "datasets"
FACTS = "GRAPHSEQ_DATASETS"  # environment: the folder of YAML files
ROOT = "GRAPHSEQ_DATA"  # environment: the folder below which the data lie


@dataclass(frozen=True)
class Download:
    """A file that can be fetched, or that people fetch by hand.

    Attributes:
        file: Where it goes, below the root of the data.
        urls: Where it is to be had, the best first; none if only people may fetch it.
        archive: Name of the archive that holds it (zip, tar, tar.gz), in the folder of
            ``file``; ``None`` if the file itself is downloaded.
        member: Its name inside the archive.
        bytes: Size of what is downloaded.
        sha256: Of what is downloaded; ``None`` where nobody published one.
        md5: The same; either suffices.
        page: Where people get it, if it has no URL.
    """

    file: str
    urls: list[str] = field(default_factory=list)
    archive: str | None = None
    member: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    page: str | None = None

    @property
    def checksum(self) -> str | None:
        """The stronger one that is known, as ``sha256:…`` or ``md5:…``."""
        if self.sha256 is not None:
            return f"sha256:{self.sha256}"
        return None if self.md5 is None else f"md5:{self.md5}"


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set.

    Attributes:
        name: That of its YAML file.
        source: Where it comes from.
        file: Its path below the root of the data; it may also lie there with ``.gz``.
        format: One of ``read_log``'s.
        users: U after the filters.
        items: V after the filters.
        interactions: E after the filters.
        licence: What its owners allow.
        counted: True where this very file was read and counted; False where the
            numbers are somebody's publication: others then are a warning, no error.
        sha256: Of the file, unpacked if it is a gzip; ``None`` where it is not known.
        md5: The same, as older papers and repositories give it.
        columns: For ``read_log``, where the format does not know them.
        times: Path of the file with the times, where it is apart (sequences).
        filters: Steps in order, each {name: options}: k_core, min_length.
        downloads: Files to fetch: first ``file``, then what belongs to it.
        note: What a user should know.
    """

    name: str
    source: str
    file: str
    format: str
    users: int
    items: int
    interactions: int
    licence: str
    counted: bool = False
    sha256: str | None = None
    md5: str | None = None
    columns: dict[str, Any] | None = None
    times: str | None = None
    filters: list[dict[str, dict[str, int]]] = field(default_factory=list)
    downloads: list[Download] = field(default_factory=list)
    note: str = ""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """U, V and E."""
        return self.users, self.items, self.interactions


class OtherCounts(UserWarning):
    """A data set is of another size than was published: perhaps a newer edition."""


def catalog(folder: str | Path | None = None) -> dict[str, Dataset]:
    """All data sets that have a YAML file, by name.

    Args:
        folder: Of the YAML files; ``None`` takes the environment's GRAPHSEQ_DATASETS,
            else ``datasets/`` beside the package.

    Raises:
        DataError: There is no such folder, or a file in it lacks a fact.
    """
    place = Path(folder or os.environ.get(FACTS) or FOLDER)
    if not place.is_dir():
        raise DataError(
            f"there is no folder of data set facts at {place}. Set {FACTS} to the "
            "folder datasets/ of the source tree"
        )
    found = {}
    for path in sorted(place.glob("*.yaml"), key=lambda path: path.stem):
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
        try:
            found[path.stem] = _dataset(path.stem, facts)
        except TypeError as error:
            raise DataError(f"{path.name} does not hold a data set: {error}") from error
    return found


def _dataset(name: str, facts: Mapping[str, Any]) -> Dataset:
    downloads = [Download(**each) for each in facts.get("downloads") or []]
    found = Dataset(**{**facts, "name": name, "downloads": downloads})
    for file in (found.file, found.times, *(each.file for each in downloads)):
        if file is not None and (Path(file).is_absolute() or ".." in Path(file).parts):
            raise TypeError(f"{file} leads out of the folder of the data")
    return found


def known(name: str, folder: str | Path | None = None) -> Dataset:
    """One data set of the catalogue.

    Raises:
        DataError: It is not there; the error names the nearest.
    """
    found = catalog(folder)
    if name not in found:
        raise DataError(
            f"no data set {name!r}; {suggest(name, found)} "
            f"There are {', '.join(found) or 'none'}"
        )
    return found[name]


def data_folders(root: str | Path | None = None) -> list[Path]:
    """Where data are looked for, the folder that ``graphseq get`` writes to first.

    Args:
        root: The one folder to take; ``None`` takes the environment's GRAPHSEQ_DATA,
            if it is set, and the cache folder of the user.
    """
    if root is not None:
        return [Path(root)]
    import pooch

    places = [Path(os.environ[ROOT])] if os.environ.get(ROOT) else []
    return [*places, Path(pooch.os_cache("graphseq"))]


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
