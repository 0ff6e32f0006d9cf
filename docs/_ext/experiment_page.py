"""Every name and option of an experiment file, from the tables and the signatures."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import docstring_parser
from reference import flow, heading, link, summary, table

from graphseq.config import registry
from graphseq.config.sections import FROM_ELSEWHERE, NEEDED, SECTIONS
from graphseq.evaluation import evaluate
from graphseq.models.registry import SUPPLIED
from graphseq.schema import format_type
from graphseq.signatures import parameters
from graphseq.training import fit

Table = Mapping[str, Callable[..., Any]]

NOTES = {
    "data": "One of these. The options of ``dataset`` and ``path`` are written next to "
    "the name, those of a synthetic log below it.",
    "filters": "A list, applied in order.",
    "split": "One of these.",
    "graph": "A list of steps, applied in order.",
    "model": "One of these. An option that takes a part names it: "
    "``encoder: {GRU: {hidden: 64}}``.",
}
HEADER = ("option", "value", "default", "meaning")


def page() -> str:
    """All sections, and the parts of a model."""
    named: dict[str, Table] = {
        "data": registry.DATA,
        "filters": registry.FILTERS,
        "split": registry.SPLITS,
        "graph": registry.GRAPH,
        "model": registry.model_table(),
    }
    lines = [
        *heading("Experiment files", "="),
        "The sections of an experiment file, the names that each accepts, and their",
        "options. An option without a default is required. For a complete file see",
        ":doc:`/how-to/experiment-file`.",
        "",
    ]
    for section in SECTIONS:
        lines += heading(section, "-")
        lines += ["Required." if section in NEEDED else "Optional.", ""]
        supplied = FROM_ELSEWHERE.get(section, frozenset())
        if section in named:
            lines += [NOTES[section], "", *names(named[section], supplied)]
        else:
            target = fit if section == "train" else evaluate
            lines += [f"The options of {link(target)}.", ""]
            lines += options(target, supplied)
    lines += heading("Parts of a model", "-")
    return "\n".join([*lines, *names(registry.PARTS, SUPPLIED)])


def names(entries: Table, supplied: frozenset[str]) -> list[str]:
    """The names of a section in one table, then the options of each."""
    lines = table([(f"``{k}``", link(v), summary(v)) for k, v in entries.items()])
    for name, value in entries.items():
        if made := options(value, supplied):
            lines += [f".. rubric:: {name}", "", *made]
    return lines


def options(target: Callable[..., Any], supplied: frozenset[str]) -> list[str]:
    """A table of the options that a file can write; empty without any."""
    rows = list(_rows(target, supplied))
    return table(rows, HEADER, "options") if rows else []


def _rows(
    target: Callable[..., Any], supplied: frozenset[str]
) -> Iterator[tuple[str, ...]]:
    documented = docstring_parser.parse(inspect.getdoc(target) or "").params
    meaning = {each.arg_name: each.description or "" for each in documented}
    for name, parameter in parameters(target).items():
        if name in supplied:
            continue
        empty = parameter.default is inspect.Parameter.empty
        default = "" if empty else f"``{_written(parameter.default)}``"
        yield (
            f"``{name}``",
            format_type(parameter.annotation).replace("None", "null"),
            default,
            _first(meaning.get(name, "")),
        )


def _written(value: object) -> str:
    """A default as a file writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_written, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _first(text: str) -> str:
    """The first sentence of a description, on one line and without links."""
    text = re.split(r"(?<=[^.A-Z]\.)\s+(?=[A-Z`:])", flow(text), maxsplit=1)[0]
    text = re.sub(r":(?!math:)[\w:]+:`[~.]?([^`]+)`", r"``\1``", text)
    return re.sub(r"^([A-Z]\.)", r"\\\1", text)  # else an item of a list
