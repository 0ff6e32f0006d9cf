"""What a graph's folder says of its making: the command, the source, the versions."""

import hashlib
import inspect
import shlex
from collections.abc import Callable, Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Any

VERSIONS = ("graphseq", "numba", "numpy", "polars", "scipy", "torch")
FILES = ("log", "new_log", "times", "attributes")  # parameters that name files
BUILD, UPDATES = "build", "updates"  # keys of the graph's provenance, and in the first


def record(
    command: Callable[..., Any], given: Mapping[str, Any], omit: set[str]
) -> dict[str, Any]:
    """How a graph is being made, as JSON data; the same for the same input and options.

    Args:
        command: The function of the command.
        given: What it was given, by parameter.
        omit: Parameters that do not matter to what is made, such as where it goes.
    """
    files = {name: given.get(name) for name in FILES}
    return {
        "command": _words(command, given, omit),
        "options": _chosen(command, given, omit),
        "sources": {
            name.removeprefix("new_"): {
                "path": str(file),
                **fingerprint(Path(str(file))),
            }
            for name, file in files.items()
            if file is not None
        },
        "versions": _versions(),
    }


def fingerprint(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file; of a folder's or pattern's files, one after another.

    What is not on this machine is not looked at.
    """
    files = [file] if file.is_file() else _files(file)
    if not files:
        return {"bytes": 0, "sha256": "not taken, since it is not on this machine"}
    digest = hashlib.sha256()
    for each in files:
        with each.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    size = sum(each.stat().st_size for each in files)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _files(place: Path) -> list[Path]:
    """The files that Spark reads from a folder, or that fit a pattern, in order."""
    found = place.iterdir() if place.is_dir() else map(Path, glob(str(place)))
    return sorted(p for p in found if p.is_file() and p.name[0] not in "._")


def rebuilding(made: Mapping[str, Any], output: str) -> list[str]:
    """The commands that make the graph again, ready for a shell."""
    updates = [update["command"][3:] for update in made.get(UPDATES, [])]
    return [
        shlex.join([*made["command"], "--output", output]),
        *(shlex.join(["graphseq", "update", output, *words]) for words in updates),
    ]


def sources_of(made: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The files of which a graph was made, in the order in which they were read."""
    for record in (made, *made.get(UPDATES, [])):
        yield from record["sources"].items()


def standing(source: Mapping[str, Any]) -> str:
    """Whether a source is still there, from here, and the same."""
    file = Path(source["path"])
    if not (file.is_file() or _files(file)):
        return "not here"
    same = fingerprint(file)["sha256"] == source["sha256"]
    return "here, unchanged" if same else "here, but CHANGED"


def _words(
    command: Callable[..., Any], given: Mapping[str, Any], omit: set[str]
) -> list[str]:
    """The command line that gives a function these arguments; defaults left out."""
    words = ["graphseq", command.__name__]
    parameters = inspect.signature(command).parameters
    for name, value in _chosen(command, given, omit).items():
        parameter = parameters[name]
        if parameter.kind is parameter.KEYWORD_ONLY:
            words.append("--" + name.replace("_", "-"))
        if value is not True:
            words += map(str, value if isinstance(value, list) else [value])
    return words


def _chosen(
    command: Callable[..., Any], given: Mapping[str, Any], omit: set[str]
) -> dict[str, Any]:
    """The arguments that are not the defaults."""
    return {
        name: given[name]
        for name, parameter in inspect.signature(command).parameters.items()
        if name not in omit and given[name] != parameter.default
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a source tree that is not installed
            found[name] = "unknown"
    return found
