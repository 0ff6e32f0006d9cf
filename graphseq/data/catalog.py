"""Facts about published data sets, one YAML each, and the reading that checks them.

The data themselves are not ours to pass on; the facts say where they come from.
"""

import difflib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from graphseq.data.filters import k_core, min_length
from graphseq.data.interactions import Interactions
from graphseq.data.readers import read_log
from graphseq.errors import DataError

FOLDER = Path(__file__).resolve().parents[2] / "datasets"
FACTS = "GRAPHSEQ_DATASETS"  # environment: the folder of YAML files
ROOT = "GRAPHSEQ_DATA"  # environment: the folder below which the data lie
FILTERS: dict[str, Callable[..., Interactions]] = {
    "k_core": k_core,
    "min_length": min_length,
}


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set.

    Attributes:
        name: That of its YAML file.
        source: Where it comes from.
        file: Its path below the root of the data.
        format: One of ``read_log``'s.
        users: U after the filters.
        items: V after the filters.
        interactions: E after the filters.
        sha256: Of the file as it lies on disk, packed or not.
        md5: The same, as older papers and repositories give it.
        licence: What its owners allow.
        columns: For ``read_log``, where the format does not know them.
        times: Path of the file with the times, where it is apart (sequences).
        filters: Steps in order, each {name: options}: k_core, min_length.
        note: What a user should know.
    """

    name: str
    source: str
    file: str
    format: str
    users: int
    items: int
    interactions: int
    sha256: str
    md5: str
    licence: str
    columns: dict[str, Any] | None = None
    times: str | None = None
    filters: list[dict[str, dict[str, int]]] = field(default_factory=list)
    note: str = ""


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
    for path in sorted(place.glob("*.yaml")):
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
        try:
            found[path.stem] = Dataset(name=path.stem, **facts)
        except TypeError as error:
            raise DataError(f"{path.name} does not hold a data set: {error}") from error
    return found


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
        root: Folder below which the data lie; ``None`` takes GRAPHSEQ_DATA.
        with_times: Read the times too, where they lie in a file apart.
        folder: Of the YAML files, as for :func:`catalog`.

    Raises:
        DataError: The name is unknown, the file is not there or another one, or the
            counts differ from those in the facts.
    """
    known = catalog(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        cure = f"; did you mean {near[0]!r}?" if near else "."
        raise DataError(f"no data set {name!r}{cure} There are {', '.join(known)}")
    facts = known[name]
    path = _locate(facts, facts.file, root)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != facts.sha256:
        raise DataError(
            f"{path.name} is not the file that {name!r} means: its SHA-256 is "
            f"{digest}, expected {facts.sha256}. Get it from {facts.source}"
        )
    times = None
    if with_times and facts.times is not None:
        times = _locate(facts, facts.times, root)
    log = read_log(path, format=facts.format, columns=facts.columns, times=times)
    for step in facts.filters:
        for filter_name, options in step.items():
            log = FILTERS[filter_name](log, **options)
    _check_counts(facts, log)
    return log


def _locate(facts: Dataset, file: str, root: str | Path | None) -> Path:
    place = root or os.environ.get(ROOT)
    if place is None:
        raise DataError(
            f"where do the data lie? Pass root= or set {ROOT} to the folder that holds "
            f"{file}; it comes from {facts.source}"
        )
    path = Path(place) / file
    if not path.is_file():
        raise DataError(
            f"{facts.name!r} is not at {path}. Get it from {facts.source} "
            f"({facts.licence})"
        )
    return path


def _check_counts(facts: Dataset, log: Interactions) -> None:
    expected = (facts.users, facts.items, facts.interactions)
    found = (log.num_users, log.num_items, len(log))
    if expected != found:
        raise DataError(
            f"{facts.name!r} should have {expected} users, items and interactions; "
            f"read {found}. Check the format and the filters of its YAML file"
        )
