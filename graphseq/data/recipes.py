"""The catalog of published data sets: a YAML file for each, checked when it is read.

The data themselves may not be redistributed; the catalog records where they come from.
"""

import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from graphseq.atomic import check_name
from graphseq.data.filters import k_core, min_length
from graphseq.data.interactions import Interactions
from graphseq.errors import DataError, GraphSeqError, suggest
from graphseq.package_data import installed
from graphseq.plain_yaml import parse, read_text
from graphseq.schema import find_invalid, find_missing, refuse

CATALOG = installed("datasets")
CATALOG_VARIABLE = "GRAPHSEQ_DATASETS"  # environment: the folder of YAML files
FILTERS: dict[str, Callable[..., Interactions]] = {
    "k_core": k_core,
    "min_length": min_length,
}
T = TypeVar("T")


@dataclass(frozen=True)
class Download:
    """A file to download, by the program or by hand.

    Attributes:
        file: Target path below the data folder.
        urls: Addresses, the preferred one first; empty if it must be fetched by hand.
        archive: Name of the archive that holds it (zip, tar, tar.gz), next to ``file``;
            ``None`` if the file itself is downloaded.
        member: Its path inside the archive.
        bytes: Size of the download, which no download may exceed.
        sha256: Checksum of the download; ``None`` where none was published.
        md5: The same; one of them is enough.
        page: Web page with instructions, without a URL.
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
        """The strongest known checksum, as ``sha256:…`` or ``md5:…``."""
        if self.sha256 is not None:
            return f"sha256:{self.sha256}"
        return None if self.md5 is None else f"md5:{self.md5}"


@dataclass(frozen=True)
class Dataset:
    """An entry of the catalog.

    Attributes:
        name: Name of its YAML file.
        source: Where it comes from.
        file: Path below the data folder; a ``.gz`` of it is found too.
        format: Format name of ``read_log``.
        users: U after the filters.
        items: V after the filters.
        interactions: E after the filters.
        licence: Terms of its owners.
        counted: True if these counts are of this very file; False if they were
            published, so that a difference is a warning and not an error.
        sha256: Checksum of the file, after decompressing a gzip; ``None`` if unknown.
        md5: The same, as older papers and repositories give it.
        columns: For ``read_log``, where the format does not define them.
        times: Path of a separate file of timestamps (sequences).
        filters: Steps in order, each {name: options}: k_core, min_length.
        downloads: Files to download: ``file`` first, then related ones.
        note: A remark for users.
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


class FaultyRecipe(UserWarning):
    """A YAML file of the catalog does not describe a data set, and is left out."""


def catalog(folder: str | Path | None = None) -> dict[str, Dataset]:
    """All data sets that have a YAML file, by name.

    Args:
        folder: Folder of the YAML files; ``None`` uses the environment variable
            GRAPHSEQ_DATASETS, else the recipes that are installed with the package.

    Raises:
        DataError: The folder does not exist.

    Warns:
        FaultyRecipe: A file does not describe a data set; it is left out.
    """
    found = {}
    for name, path in _recipes(folder).items():
        try:
            found[name] = _read(path)
        except DataError as error:
            warnings.warn(str(error), FaultyRecipe, stacklevel=2)
    return found


def _recipes(folder: str | Path | None) -> dict[str, Path]:
    """The YAML files of the catalog, by name.

    Raises:
        DataError: The folder does not exist.
    """
    place = Path(folder or os.environ.get(CATALOG_VARIABLE) or CATALOG)
    if not place.is_dir():
        raise DataError(
            f"the catalog folder {place} does not exist. Set {CATALOG_VARIABLE} to a "
            "folder of data set descriptions"
        )
    paths = sorted(place.glob("*.yaml"), key=lambda path: path.stem)
    return {path.stem: path for path in paths}


def _read(path: Path) -> Dataset:
    """The data set that a YAML file describes.

    Raises:
        DataError: The file cannot be read, or is not such a description.
    """
    try:
        entry = parse(read_text(path), path.name)
        if not isinstance(entry, Mapping):
            raise DataError("expected keys such as source, file and format")
        listed = entry.get("downloads") or []
        if not isinstance(listed, list) or not all(isinstance(d, dict) for d in listed):
            raise DataError("downloads: expected a list of files, each with its keys")
        downloads = [_make(Download, each) for each in listed]
        options = {**entry, "name": path.stem, "downloads": downloads}
        found = _make(Dataset, options)
        _check_recipe(found)
    except (OSError, GraphSeqError) as error:
        raise DataError(
            f"{path.name} does not describe a data set: {error}. Correct the file"
        ) from error
    return found


def _make(kind: type[T], options: Mapping[str, Any]) -> T:
    """An object of checked options, for which there may be factories of defaults.

    Raises:
        GraphSeqError: Options are unknown, missing or of a wrong type.
    """
    options = {str(name): value for name, value in options.items()}
    refuse(kind.__name__, [*find_invalid(kind, options), *find_missing(kind, options)])
    return kind(**options)


def _check_recipe(dataset: Dataset) -> None:
    """Refuse what the types of a recipe cannot express.

    Raises:
        DataError: A name leads out of the data folder, a filter is unknown, a checksum
            is not one, a size is negative, or an address is neither https nor verified.
    """
    names = [dataset.file, *([] if dataset.times is None else [dataset.times])]
    for each in dataset.downloads:
        names += [each.file, *([] if each.archive is None else [each.archive])]
        if each.bytes is not None and each.bytes < 0:
            raise DataError(f"bytes: expected a size, found {each.bytes}")
        for url in each.urls:
            if not url.startswith(("https://", "http://")):
                raise DataError(f"urls: {url!r:.80} does not begin with https://")
            is_safe = re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", url)
            if not is_safe and each.checksum is None:
                raise DataError(
                    f"urls: {url!r:.80} is not encrypted, and no checksum would detect "
                    "another file. Use https, or add sha256 or md5"
                )
    for name in names:
        check_name(name, "a file of the data folder", folders=True)
    for owner in (dataset, *dataset.downloads):
        for kind, digits in (("sha256", 64), ("md5", 32)):
            value = getattr(owner, kind)
            if value is not None and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
                raise DataError(
                    f"{kind}: expected {digits} lowercase hexadecimal digits, found "
                    f"{value!r:.80}"
                )
    for step in dataset.filters:
        for name, options in step.items():
            if name not in FILTERS:
                raise DataError(f"filters: {name!r}: {suggest(name, FILTERS)}")
            refuse("filters", find_invalid(FILTERS[name], options))


def find_dataset(name: str, folder: str | Path | None = None) -> Dataset:
    """One entry of the catalog; the other files may be faulty.

    Raises:
        DataError: The entry does not exist, and the error suggests the closest name; or
            its file does not describe a data set.
    """
    found = _recipes(folder)
    if name not in found:
        raise DataError(
            f"no data set {name!r}: {_similar(name, found)} (list all: graphseq get "
            "--list)"
        )
    return _read(found[name])


def _similar(name: str, recipes: Mapping[str, Path]) -> str:
    """The entries whose name or source has the words of a name, or else the nearest."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    near = []
    for entry, path in recipes.items():
        source = re.search(r"^source:.*", path.read_text("utf-8", "replace"), re.M)
        text = f"{entry} {source[0] if source else ''}".lower()
        known = re.findall(r"[a-z0-9]+", text)
        if words and all(any(k.startswith(word) for k in known) for word in words):
            near.append(entry)
    if not near:
        return suggest(name, recipes)
    return f"did you mean {', '.join(near[:10])}{', …' * (len(near) > 10)}?"
