"""The relations of a build, parsed from options and described."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from graphseq.cli.app import parse_pairs
from graphseq.constants import EdgeWeight, Symmetrize
from graphseq.errors import ConfigError, suggest

if TYPE_CHECKING:
    from torch_geometric.transforms import BaseTransform

    from graphseq.cli.build import BuildOptions


@dataclass(frozen=True)
class Relation:
    """A relation of a build, checked before PyG is imported.

    Attributes:
        step: Name of the step in :mod:`graphseq.graphs`.
        options: Its arguments.
    """

    step: str
    options: Mapping[str, Any]

    def make(self) -> "BaseTransform":
        """The graph step; of a file about items it records only the name."""
        from graphseq import graphs

        made: BaseTransform = getattr(graphs, self.step)(**self.options)
        if "source" in self.options:
            made.options |= {"source": Path(self.options["source"]).name}
        return made


def parse_relations(options: "BuildOptions") -> list[Relation]:
    """The relations of the options of ``graphseq build``, in their order.

    Raises:
        ConfigError: An option has another form, or is out of its range.
    """
    if options.attributes is None and options.attribute_columns is not None:
        raise ConfigError("--attribute-columns names columns of a file: --attributes")
    if options.attributes is None and options.attribute_separator is not None:
        raise ConfigError("--attribute-separator splits fields of a file: --attributes")
    if options.vectors is None and options.vector_columns is not None:
        raise ConfigError("--vector-columns names columns of a file: --vectors")
    found = [
        _co_occurrence(kind, text, options.hub_cap)
        for kind, text in (("user", options.user_user), ("item", options.item_item))
        if text != "none"
    ]
    if options.transitions is not None:
        found.append(_transitions(options.transitions))
    if options.attributes is not None:
        found.append(_attributes(options))
    if options.vectors is not None:
        found.append(_vectors(options, options.vectors))
    return found


def _co_occurrence(kind: str, text: str, hub_cap: int | None) -> Relation:
    """``WEIGHT[:K[:SYMMETRIZE]]``."""
    option, defaults = f"--{kind}-{kind}", ("count", "50", "max")
    words = _fields(option, "WEIGHT[:K[:SYMMETRIZE]]", text, defaults)
    for value, name, choices in (
        (words[0], "WEIGHT", get_args(EdgeWeight)),
        (words[2], "SYMMETRIZE", get_args(Symmetrize)),
    ):
        if value not in choices:
            raise ConfigError(
                f"{option} takes one of {', '.join(choices)} as {name}; got {value!r}, "
                f"{suggest(value, choices)}"
            )
    edges = {"top_k": _number_of_edges(option, words[1]), "hub_cap": hub_cap}
    ends = {"kind": kind, "weight": words[0], "symmetrize": words[2]}
    return Relation("CoOccurrence", ends | edges)


def _transitions(text: str) -> Relation:
    """``WINDOW[:K[:DECAY]]``."""
    option, form = "--transitions", "WINDOW[:K[:DECAY]], such as 1, 3:50 or 3:all:0.5"
    window, top_k, decay = _fields(option, form, text, ("1", "50", "1"))
    if not window.isdecimal() or int(window) < 1:
        raise ConfigError(f"{option} takes {form}; got {text!r}")
    try:
        factor = float(decay)
    except ValueError:
        factor = -1.0
    if not 0 < factor <= 1:
        raise ConfigError(
            f"{option} takes a number above 0 and up to 1 as DECAY; got {decay!r}"
        )
    edges = _number_of_edges(option, top_k)
    return Relation(
        "Transitions", {"window": int(window), "top_k": edges, "decay": factor}
    )


def _attributes(options: "BuildOptions") -> Relation:
    """A file of attributes and its columns."""
    names = parse_pairs(
        "--attribute-columns",
        options.attribute_columns,
        "item=asin attribute=categories",
        ("item", "attribute").__contains__,
    )
    file = options.attributes
    if file is None or not file.is_file():
        raise ConfigError(f"--attributes takes a file; there is none at {file}")
    separator = options.attribute_separator
    reading = {"source": str(file), "separator": separator, "root": "."}
    return Relation("Attributes", reading | names)


def _vectors(options: "BuildOptions", file: Path) -> Relation:
    """A file of item vectors and its columns."""
    names = parse_pairs(
        "--vector-columns",
        options.vector_columns,
        "item=asin vector=embedding",
        ("item", "vector").__contains__,
    )
    if not file.is_file():
        raise ConfigError(f"--vectors takes a file; there is none at {file}")
    reading = {"source": str(file), "missing": options.missing_vectors, "root": "."}
    return Relation("ItemVectors", reading | names)


def _fields(
    option: str, form: str, text: str, defaults: tuple[str, ...]
) -> tuple[str, ...]:
    """The fields of a text such as ``cosine:100``, completed by their defaults."""
    words = text.split(":")
    if len(words) > len(defaults):
        raise ConfigError(f"{option} takes {form}; got {text!r}")
    return (*words, *defaults[len(words) :])


def _number_of_edges(option: str, text: str) -> int | None:
    """The number of edges that a node keeps; ``None`` for ``all``."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(
            f"{option} takes a whole number from 1, or all, as K; got {text!r}"
        )
    return int(text)


def describe_step(step: "BaseTransform") -> tuple[str, str]:
    """A step in words: the option that adds it, and the edges that it keeps."""
    from graphseq.graphs import Attributes, CoOccurrence, ItemVectors, Transitions

    if isinstance(step, CoOccurrence):
        kept = f"{step.top_k} heaviest" if step.top_k else "all"
        ends = {"max": "of either end", "min": "of both ends", "none": "one way"}
        words = f"{step.weight}, {kept}, {ends[step.symmetrize]}"
        if step.hub_cap is not None:
            words += f", without hubs above {step.hub_cap:,}"
        return f"{step.kind}-{step.kind}", words
    if isinstance(step, Transitions):
        kept = f"{step.top_k} heaviest" if step.top_k else "all"
        decay = "" if step.decay == 1 else f", decay {step.decay:g}"
        return "transitions", f"window {step.window}, {kept}{decay}"
    if isinstance(step, Attributes):
        return "attributes", str(step.options["source"])
    if isinstance(step, ItemVectors):
        return "vectors", str(step.options["source"])
    return type(step).__name__, ""
