"""The sections of an experiment: read against the signatures, all problems at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphseq.config.registry import (
    DATA,
    FILTERS,
    GRAPH,
    PARTS,
    SPLITS,
    missing_relations,
    model_table,
    part_table,
    repeated_steps,
)
from graphseq.data.recipes import find_dataset
from graphseq.errors import ConfigError, DataError, suggest
from graphseq.evaluation import evaluate
from graphseq.evaluation.extra_metrics import named_metrics
from graphseq.graphs import Attributes
from graphseq.models.registry import SUPPLIED
from graphseq.models.sequence_model import SequenceModel
from graphseq.schema import InvalidOption, format_value, refuse
from graphseq.signatures import parameters
from graphseq.spec_reader import Reader, find_option, issubclass_of
from graphseq.specs import Spec
from graphseq.training import fit
from graphseq.training.schedules import SCHEDULES, replace_former_options

SECTIONS = ("data", "filters", "split", "graph", "model", "train", "evaluate")
NEEDED = ("data", "split", "model")
OF_GRAPH = ("filters", "split", "graph")  # known for a saved graph
NAMES = {"dataset": "name", "path": "path", "graph": "path"}
"""Parameters that take what is written after the kind of the data."""
FROM_ELSEWHERE = {
    "filters": frozenset({"log"}),
    "split": frozenset({"log"}),
    "graph": frozenset({"root"}),
    "model": SUPPLIED,
    "train": frozenset(
        {"model", "graph", "folder", "resume", "experiment", "callbacks"}
    ),
    "evaluate": frozenset({"model", "graph", "part", "folder", "progress"}),
}
"""Options of each section that the data or the command line supply."""
LISTS: dict[str, Mapping[str, Callable[..., Any]]] = {
    "filters": FILTERS,
    "graph": GRAPH,
}


def check_sections(options: Any, source: str) -> None:
    """Refuse sections with problems.

    Args:
        options: The sections.
        source: Where they are written.

    Raises:
        OptionError: With everything that is wrong.
    """
    if not isinstance(options, Mapping):
        expected = f"expected the sections {', '.join(NEEDED)}, …"
        found = f"found {format_value(options)}"
        refuse(source, [InvalidOption("file", f"{expected}; {found}")])
    problems: list[InvalidOption] = []
    for name in options:
        if name not in SECTIONS:
            message = f"not a section; {_suggest_section(str(name))}"
            problems.append(InvalidOption(str(name), message))
    on_graph = kind_of_data(options.get("data")) == "graph"
    for name in NEEDED:
        if not options.get(name) and not (on_graph and name in OF_GRAPH):
            problems.append(InvalidOption(name, "missing; an experiment needs it"))
    read = {
        name: read_section(name, options[name], problems)
        for name in SECTIONS
        if options.get(name)
    }
    problems = _explain_old_options(options.get("model"), problems)
    model, steps = read.get("model"), read.get("graph", [])
    named = read["evaluate"].options["metrics"] if read.get("evaluate") else ()
    has_attributes = any(step.target is Attributes for step in steps if step)
    if "diversity" in named and not has_attributes and not on_graph:
        message = "diversity needs the step Attributes in the section graph"
        problems.append(InvalidOption("evaluate.metrics", message))
    if None not in steps:
        problems += repeated_steps(steps)
    if model is not None and None not in steps and not on_graph:
        problems += missing_relations(model, steps)
    refuse(source, problems)


def kind_of_data(section: Any) -> str | None:
    """The one kind of data that a section names."""
    kinds = [name for name in DATA if isinstance(section, Mapping) and name in section]
    return kinds[0] if len(kinds) == 1 else None


def _suggest_section(name: str) -> str:
    """The section that has an option of this name, or the nearest section."""
    for section, target in (("train", fit), ("evaluate", evaluate)):
        if name in parameters(target):
            return f"did you mean {section}.{name}?"
    return suggest(name, SECTIONS)


def read_section(name: str, section: Any, problems: list[InvalidOption]) -> Any:
    """Read a section; what is wrong with it is added to the problems.

    Returns:
        A :class:`Spec`, or a list of them; ``None`` for each that is wrong.
    """
    supplied = FROM_ELSEWHERE.get(name, frozenset())
    parts = {"graph": PARTS, "model": part_table(), "train": SCHEDULES}.get(name, {})
    reader = Reader(parts, supplied, problems)
    if name == "data":
        return _read_data(section, reader)
    if name == "train" and isinstance(section, Mapping):
        section = replace_former_options(section)
    if name in ("train", "evaluate"):
        target: Callable[..., Any] = fit if name == "train" else evaluate
        spec = reader.read(target, section, name)
        if name == "evaluate" and spec is not None:
            try:
                named_metrics(spec.options["metrics"])
            except ConfigError as error:
                problems.append(InvalidOption("evaluate.metrics", str(error)))
        return spec
    if name in ("split", "model"):
        return reader.pick(SPLITS if name == "split" else model_table(), section, name)
    if not isinstance(section, list | None):
        message = f"expected a list of {{Name: {{option: …}}}}, found {section!r}"
        problems.append(InvalidOption(name, message))
        return [None]
    each = enumerate(section or ())
    return [reader.pick(LISTS[name], e, f"{name}[{i}]") for i, e in each]


def _read_data(section: Any, reader: Reader) -> Spec | None:
    """Read the section ``data``: options of a data set or path are next to its name."""
    kind = kind_of_data(section)
    if kind is None:
        expected = f"expected one of {', '.join(DATA)} and its options"
        found = f"found {format_value(section)}"
        reader.problems.append(InvalidOption("data", f"{expected}, {found}"))
        return None
    if kind not in ("dataset", "path", "graph"):
        return reader.pick({kind: DATA[kind]}, section, "data")
    options = dict(section)
    if kind != "path":
        options = {NAMES[kind]: options.pop(kind), **options}
    before = len(reader.problems)
    spec = reader.read(DATA[kind], options, "data")
    if kind != "dataset" or spec is None:
        for i, problem in enumerate(reader.problems[before:], before):
            place = problem.name.replace(f"data.{NAMES[kind]}", f"data.{kind}")
            reader.problems[i] = problem._replace(name=place)
        return spec
    try:
        find_dataset(options["name"], options.get("folder"))
    except DataError as error:
        reader.problems.append(InvalidOption("data.dataset", str(error)))
    return spec


def _explain_old_options(
    model: Any, problems: Sequence[InvalidOption]
) -> list[InvalidOption]:
    """Problems of a model section of version 0.1, where parts were not yet options.

    All unknown options of the model become one problem, with their new names.
    """
    if not isinstance(model, Mapping) or len(model) != 1:
        return list(problems)
    [(name, options)] = model.items()
    target = model_table().get(name)
    if not issubclass_of(target, SequenceModel) or not isinstance(options, Mapping):
        return list(problems)
    assert target is not None
    unknown = [n for n in options if n not in {*parameters(target), *SUPPLIED}]
    found = {n: find_option(target, n, PARTS) for n in unknown}
    moved = [f"{n} as {place}" for n, place in found.items() if place]
    if not moved and "preset" not in unknown:
        return list(problems)
    if "preset" in unknown:
        moved.append("preset as base: presets/NAME.yaml")
    names = {f"model.{name}.{option}" for option in unknown}
    others = [problem for problem in problems if problem.name not in names]
    message = (
        "options of graphseq 0.1, whose models had no parts; write "
        f"{', '.join(moved)} (see 'Migrate from 0.1' in the documentation)"
    )
    return [*others, InvalidOption(f"model.{name}", message)]
