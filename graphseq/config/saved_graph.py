"""What an experiment says of a saved graph that replaces its data."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphseq.config.registry import required_relations
from graphseq.data import load_dataset, read_log
from graphseq.data.recipes import find_dataset
from graphseq.folders import graph_metadata
from graphseq.graphs import load_graph
from graphseq.schema import InvalidOption
from graphseq.specs import Spec

RECORD = "build"  # in the provenance: what graphseq build has recorded
WITHOUT_EFFECT = frozenset({"block_rows"})  # options of steps
DROPOUTS = ("EdgeDropout", "NodeDropout")


def hash_of(folder: str | Path) -> str:
    """The hash of a saved graph, read from its metadata.

    Raises:
        GraphError: No graph is saved there.
    """
    return str(graph_metadata(folder)["hashes"]["graph_hash"])


def differences(
    folder: str | Path, sections: Mapping[str, Any], root: str | Path | None
) -> Iterator[InvalidOption]:
    """What an experiment says of data, filters, split and relations, and the graph not.

    Sections that the file does not have are not compared. The graph may have more
    relations. Where no command has recorded how a graph was built, its data and filters
    are not known, and not compared.

    Args:
        folder: A saved graph.
        sections: The sections as specifications.
        root: Folder of the data.

    Raises:
        GraphError: No graph is saved there.
    """
    metadata = graph_metadata(folder)
    made = metadata.get("provenance") or {}
    built = made.get(RECORD)
    if built is not None:
        yield from _other_data(sections["data"], built, root)
        yield from _other_filters(sections, built)
    if sections.get("split") is not None:
        yield from _other_split(sections["split"], made.get("split") or {})
    if sections.get("graph"):
        yield from _other_steps(sections["graph"], made.get("transforms") or [])
    has = {tuple(relation) for relation in metadata["relations"]}
    for part in sections["model"].walk():
        for relation in required_relations(part):
            if relation not in has:
                name = "–".join(relation)
                message = f"reads the relation {name}, which the graph lacks; add it"
                yield InvalidOption(part.place, f"{message} when the graph is built")


def _other_data(
    data: Spec, built: Mapping[str, Any], root: str | Path | None
) -> Iterator[InvalidOption]:
    source = (built.get("sources") or {}).get("log") or {}
    name, digest = str(source.get("path")), source.get("sha256")
    if data.target is read_log:
        file = Path(root or ".") / data.path
        same = file.name == Path(name).name
        if file.is_file() and digest:
            with file.open("rb") as stream:
                same = hashlib.file_digest(stream, "sha256").hexdigest() == digest
        if not same:
            yield InvalidOption("data.path", f"{file}; the graph was built from {name}")
    elif data.target is load_dataset:
        recipe = find_dataset(data.name, data.folder)
        same = recipe.sha256 in (digest, None) and _stem(recipe.file) == _stem(name)
        if recipe.sha256 != digest and not same:
            yield InvalidOption(
                "data.dataset", f"{data.name}; the graph was built from {name}"
            )
    elif data.target is not load_graph:
        found = f"{data.target.__name__}, a synthetic log"
        yield InvalidOption("data", f"{found}; the graph was built from {name}")


def _stem(path: str) -> str:
    return Path(path).name.removesuffix(".gz")


def _other_filters(
    sections: Mapping[str, Any], built: Mapping[str, Any]
) -> Iterator[InvalidOption]:
    """The filters of the file, after those of its data set, against the options."""
    if sections["data"].target is load_graph and not sections.get("filters"):
        return
    data, options = sections["data"], built.get("options") or {}
    written = [{s.target.__name__: s.resolve()} for s in sections.get("filters") or ()]
    if data.target is load_dataset:
        written = [*find_dataset(data.name, data.folder).filters, *written]
    names = ("k_core", "min_length", "deduplicate", "min_rating")
    k, n, keep, least = (options.get(name) for name in names)
    done: list[dict[str, Any]] = []
    done += [] if least is None else [{"min_rating": {"least": least}}]
    done += [{"deduplicate": {"keep": keep}}] if keep else []
    done += [{"k_core": {"user": k, "item": k}}] if k else []
    done += [{"min_length": {"n": n}}] if n else []
    if written != done:
        yield InvalidOption(
            "filters", f"{_words(written)}; the graph was built with {_words(done)}"
        )


def _words(steps: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(step) for step in steps) or "none"


def _other_split(split: Spec, made: Mapping[str, Any]) -> Iterator[InvalidOption]:
    name, protocol = split.target.__name__, made.get("protocol")
    if name != protocol:
        yield InvalidOption("split", f"{name}; the graph was split by {protocol}")
        return
    yield from _other_options(split, made.get("parameters") or {})


def _other_steps(steps: Sequence[Spec], made: Sequence[Any]) -> Iterator[InvalidOption]:
    """Steps that the graph lacks, or has with other options."""
    known = {_key(*next(iter(m.items()))): m for m in made if isinstance(m, Mapping)}
    wanted = {_key(s.target.__name__, s.resolve()): s for s in steps}
    for key, step in wanted.items():
        if key not in known:
            yield InvalidOption(step.place, "the graph was built without it")
            continue
        yield from _other_options(step, next(iter(known[key].values())))
    for key in known.keys() - wanted.keys():
        if key[0] in DROPOUTS:
            message = f"the graph was built with {key[0]}, which the file lacks"
            yield InvalidOption("graph", message)


def _key(name: str, options: Mapping[str, Any]) -> tuple[str, Any]:
    """What a step adds: a graph has one relation of each."""
    return name, options.get("kind") if name.endswith("CoOccurrence") else None


def _other_options(spec: Spec, made: Mapping[str, Any]) -> Iterator[InvalidOption]:
    for name, value in spec.resolve().items():
        found = made.get(name)
        if name == "source":  # of attributes: the graph knows the name of the file
            value, found = Path(str(value)).name, Path(str(found)).name
        if value != found and name not in WITHOUT_EFFECT:
            message = f"{value!r}; the graph was built with {found!r}"
            yield InvalidOption(f"{spec.place}.{name}", message)
