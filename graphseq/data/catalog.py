"""Facts about published data sets, one YAML each: where from, how read, how large.

The data themselves are not ours to pass on; the facts say where they come from.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

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
