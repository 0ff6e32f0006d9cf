"""The relations of a build: parsed from options, described, and their cost."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from graphseq.cli.app import parse_pairs
from graphseq.constants import EdgeWeight, Symmetrize
from graphseq.errors import ConfigError, suggest
from graphseq.runtime import available_memory, format_bytes

if TYPE_CHECKING:
    from rich.table import Table
    from torch_geometric.transforms import BaseTransform

    from graphseq.cli.build import BuildOptions
    from graphseq.data import Interactions
    from graphseq.graphs.cost import Estimate

READING = 40  # bytes of memory per event while a log is read, with ids
GIGABYTE = 1_000_000_000


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
        """The graph step; of a file of attributes it records only the name."""
        from graphseq import graphs

        made: BaseTransform = getattr(graphs, self.step)(**self.options)
        if self.step == "Attributes":
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
    found = [
        _co_occurrence(kind, text, options.hub_cap)
        for kind, text in (("user", options.user_user), ("item", options.item_item))
        if text != "none"
    ]
    if options.transitions is not None:
        found.append(_transitions(options.transitions))
    if options.attributes is not None:
        found.append(_attributes(options))
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
    from graphseq.graphs import Attributes, CoOccurrence, Transitions

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
    return type(step).__name__, ""


def check_size(log: str | Path, memory: float | None, format: str | None) -> None:
    """Refuse a log that cannot be read in the available memory.

    Raises:
        ConfigError: With the memory that is needed, and what to do.
    """
    from graphseq.data.readers.log import estimate_events

    limit, events = _limit(memory), estimate_events(log, format)
    if limit is not None and events is not None and READING * events > limit:
        raise ConfigError(
            f"reading {log} takes about {format_bytes(READING * events)} of memory for "
            f"about {events:,} events; {format_bytes(limit)} are available. Use a part "
            f"of the log or a machine with more memory, or raise the limit, in GB "
            f"(--memory)"
        )


def check_cost(
    train: "Interactions",
    estimates: "Sequence[Estimate]",
    output: Path,
    memory: float | None,
) -> None:
    """Refuse a build that does not fit in memory or on the disk.

    Raises:
        ConfigError: With the largest relation, and how to make it smaller.
    """
    from graphseq.graphs.cost import peak

    needed, limit = peak(train, estimates), _limit(memory)
    if limit is not None and needed > limit:
        largest = max(estimates, key=lambda each: each.memory)
        option, words = describe_step(largest.step)
        form = {"transitions": "1:20", "attributes": ""}.get(option, "count:20")
        fewer = (
            f"Keep fewer edges, such as --{option} {form}" if form else "Leave it out"
        )
        raise ConfigError(
            f"this build needs about {format_bytes(needed)} of memory; "
            f"{format_bytes(limit)} are available. The largest part is {option} "
            f"({words}): {largest.operations or 0:,} multiply-adds or pairs, "
            f"{largest.edges or 0:,} edges. {fewer}; leave out rare users and items "
            f"(--k-core 5); or raise the limit, in GB (--memory)"
        )
    folder = next(p for p in output.absolute().parents if p.exists())
    size, free = _stored(train, estimates), shutil.disk_usage(folder).free
    if size > free:
        raise ConfigError(
            f"the graph takes about {format_bytes(size)}; {format_bytes(free)} are "
            f"free on the disk of {folder}. Delete files, or choose another --output"
        )


def cost_table(
    train: "Interactions", estimates: "Sequence[Estimate]", memory: float | None
) -> "Table":
    """The steps, their options and their expected cost."""
    from rich.table import Table

    from graphseq.graphs.cost import peak

    shown = Table(header_style="bold")
    shown.add_column("step", no_wrap=True)
    shown.add_column("edges kept")
    for name in ("multiply-adds or pairs", "edges, at most about", "peak memory"):
        shown.add_column(name, justify="right")
    shown.add_row("user-item", "training events", "–", f"{len(train):,}", "–")
    for each in estimates:
        numbers = [
            "unknown" if number is None else f"{number:,}"
            for number in (each.operations, each.edges)
        ]
        needed = format_bytes(each.memory) if each.memory else "unknown"
        shown.add_row(*describe_step(each.step), *numbers, needed)
    limit = _limit(memory)
    free = "" if limit is None else f" of {format_bytes(limit)} available"
    total = format_bytes(peak(train, estimates))
    stored = format_bytes(_stored(train, estimates))
    shown.caption = (
        f"about {total} of memory{free}, in addition to the log; {stored} on disk"
    )
    return shown


def _stored(train: "Interactions", estimates: "Sequence[Estimate]") -> int:
    """Approximate size of the folder in bytes."""
    from graphseq.graphs.cost import EVENT

    ids = 12 * (train.num_users + train.num_items)
    return 2 * EVENT * len(train) + ids + sum(each.kept for each in estimates)


def _limit(memory: float | None) -> int | None:
    """Bytes of memory that may be used: the given limit, or the free memory."""
    return available_memory() if memory is None else round(memory * GIGABYTE)
