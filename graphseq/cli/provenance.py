"""Provenance of a graph: the commands, the source files and the versions."""

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Any

from graphseq.cli.app import changed, to_words

VERSIONS = ("graphseq", "numba", "numpy", "polars", "scipy", "torch")
FILES = ("log", "new_log", "times", "attributes", "vectors")
"""Options that name input files."""
STDIN = Path("/dev/stdin")
BUILD, UPDATES = "build", "updates"  # keys of the graph's provenance, and in the first


def record(
    command: str, inputs: Mapping[str, str | Path], *groups: Any
) -> dict[str, Any]:
    """How a graph is made, as JSON data; equal for equal input and options.

    Args:
        command: Name of the command.
        inputs: Its arguments by name, in their order.
        groups: Its options; those with the default value are left out.
    """
    options = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in changed(*groups).items()
    }
    arguments = {
        name: "-" if Path(value) == STDIN else str(value)
        for name, value in inputs.items()
    }
    given = arguments | options
    return {
        "command": ["graphseq", command, *arguments.values(), *to_words(*groups)],
        "options": given,
        "sources": {
            name.removeprefix("new_"): {"path": given[name], **fingerprint(given[name])}
            for name in FILES
            if name in given
        },
        "versions": _versions(),
    }


def fingerprint(path: str) -> dict[str, Any]:
    """Size and SHA-256 of a file, or of all files of a folder or pattern in order.

    Files that are not on this machine have no checksum, and neither have pipes.
    """
    files = _files(path)
    if not files:
        if path == "-" or Path(path).exists():
            return {"bytes": 0, "sha256": "not taken, since it was a pipe"}
        return {"bytes": 0, "sha256": "not taken, since it is not on this machine"}
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    size = sum(file.stat().st_size for file in files)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _files(path: str) -> list[Path]:
    """The file itself, or those that Spark reads from a folder or pattern, in order."""
    source = STDIN if path == "-" else Path(path)
    if source.is_file():
        return [source]
    found = source.rglob("*") if source.is_dir() else map(Path, glob(path))
    return sorted(p for p in found if p.is_file() and p.name[0] not in "._")


def rebuild_commands(made: Mapping[str, Any], output: Path) -> list[str]:
    """The commands that make the graph again, ready for a shell."""
    updates = [update["command"][3:] for update in made.get(UPDATES, [])]
    return [
        shlex.join([*made["command"], "--output", str(output)]),
        *(shlex.join(["graphseq", "update", str(output), *rest]) for rest in updates),
    ]


def sources(made: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The source files of a graph, in the order in which they were read."""
    for each in (made, *made.get(UPDATES, [])):
        yield from each["sources"].items()


def source_status(source: Mapping[str, Any]) -> str:
    """Whether a source file is present and unchanged."""
    if source["path"] == "-":
        return "was the standard input; save it in a file to build the graph again"
    if not _files(source["path"]):
        return "not here"
    same = fingerprint(source["path"])["sha256"] == source["sha256"]
    return "here, unchanged" if same else "here, but CHANGED"


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a source tree that is not installed
            found[name] = "unknown"
    return found
