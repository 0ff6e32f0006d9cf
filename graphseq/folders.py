"""Recognise saved graphs and runs, from small files and without heavy imports.

A command checks its folders here first: a wrong path is reported at once, and not after
the seconds that the import of PyG takes.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from graphseq.errors import GraphError, RunError

GRAPH, GRAPH_FORMAT, GRAPH_VERSION = "graph.json", "graphseq graph", 1
GRAPH_FILES = {GRAPH, "tensors.safetensors"} | {
    f"log{part}.parquet" for part in ("", "-users", "-items")
}
"""Files of a saved graph, besides a table of the raw ids of each kind of node."""
RUN = "run.json"
EXPERIMENT = "experiment.yaml"  # of a run: all options, resolved


def is_graph(path: Path) -> bool:
    """Whether a folder holds a saved graph."""
    try:
        metadata = json.loads((path / GRAPH).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(metadata, dict) and metadata.get("format") == GRAPH_FORMAT


def refuse_other_files(path: Path) -> None:
    """Refuse to replace a saved graph whose folder also holds files of someone else.

    Raises:
        GraphError: With their names.
    """
    if not is_graph(path):
        return
    kinds = json.loads((path / GRAPH).read_text("utf-8")).get("vocabularies")
    tables = kinds if isinstance(kinds, list) else []
    others = other_files(path, GRAPH_FILES | {f"{kind}.parquet" for kind in tables})
    if others:
        raise GraphError(
            f"{path} holds a graph, and also {others}, which would be lost with the "
            "older graph. Move that elsewhere first"
        )


def other_files(path: Path, known: Collection[str]) -> str:
    """Files and folders in a folder that is to be replaced, which are someone else's.

    Args:
        path: The folder.
        known: Names of the files that are replaced. Hidden files do not count.

    Returns:
        Their names as words; empty if there are none.
    """
    names = sorted(
        each.name
        for each in path.iterdir()
        if each.name[0] != "."  # such as .DS_Store
        and (each.is_dir() or each.name not in known)
    )
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)


def graph_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a saved graph of this version.

    Raises:
        GraphError: The folder is not a saved graph, or is of another version.
    """
    path = Path(path)
    if not is_graph(path):
        from graphseq.atomic import system_errors

        with system_errors(f"read {path}"):
            exists = path.exists()
        state = f"it has no valid {GRAPH}" if exists else "it does not exist"
        raise GraphError(
            f"{path} is not a saved graph: {state}. Make one with `graphseq build LOG "
            f"--output FOLDER` (in Python, save_graph)."
        )
    metadata: dict[str, Any] = json.loads((path / GRAPH).read_text("utf-8"))
    if metadata.get("version") != GRAPH_VERSION:
        raise GraphError(
            f"{path} holds a graph of format version {metadata.get('version')}; this "
            f"graphseq reads version {GRAPH_VERSION}. Build the graph again."
        )
    return metadata


def hashes(path: str | Path) -> dict[str, str]:
    """The hashes with which a graph was saved: ``graph_hash`` and ``held_out``."""
    metadata = json.loads((Path(path) / GRAPH).read_text("utf-8"))
    found: dict[str, str] = metadata["hashes"]
    return found


def keeps_users(folder: Path) -> bool:
    """Whether raw ids of users may be written to a folder.

    They may not to that of a run with ``keep_histories=False``.
    """
    if not (folder / RUN).is_file():
        return True
    from graphseq.errors import ConfigError
    from graphseq.plain_yaml import parse, read_text

    try:
        experiment = parse(read_text(folder / EXPERIMENT), EXPERIMENT)
        return bool(experiment["train"].get("keep_histories", True))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError):
        return False  # it cannot be known


def check_run(folder: str | Path) -> None:
    """Refuse a folder without a run.

    Raises:
        RunError: The folder is missing, or contains no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder}: the folder does not exist")
    if not (folder / RUN).is_file():
        raise RunError(f"{folder} contains no run: {RUN} is missing")
