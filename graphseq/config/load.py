"""An experiment file read and checked whole, before anything runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.config.checks import Problem, parameters, refuse, shortened
from graphseq.config.experiment import (
    EVALUATE,
    FILTER,
    MODEL,
    PLAIN,
    STEP,
    TRAIN,
    Experiment,
)
from graphseq.config.files import override, read_yaml
from graphseq.config.tables import DATA, FILTERS, GRAPH, MODELS, SPLITS
from graphseq.data import catalog, leave_one_out
from graphseq.data.synthetic import cycle
from graphseq.errors import ConfigError, GraphSeqError, suggest
from graphseq.evaluation import evaluate
from graphseq.graphs import Attributes, build_graph
from graphseq.models import Model
from graphseq.schema import OptionError, find_invalid
from graphseq.training import fit

SECTIONS = ("data", "filters", "split", "graph", "model", "train", "evaluate")
NEEDED = ("data", "split", "model")


def load(path: str | Path, settings: Sequence[str] = ()) -> Experiment:
    """Read an experiment file and check it whole.

    Args:
        path: A YAML file.
        settings: Overrides, such as ``model.SASRec.dim=32``.

    Raises:
        ConfigError: The file cannot be read, or all that is wrong with it.
    """
    return check(override(read_yaml(path), settings), str(path))


def check(options: Any, source: str = "experiment") -> Experiment:
    """Check the sections of an experiment against the signatures, all at once.

    Raises:
        ConfigError: All that is wrong with them.
    """
    if not isinstance(options, Mapping):
        found = shortened(options)
        need = f"expected the sections {', '.join(NEEDED)}, …; found {found}"
        refuse(source, [Problem("file", need)])
    problems = []
    for name in options:
        if name not in SECTIONS:
            what = f"no such section; {suggest(name, SECTIONS)}"
            problems.append(Problem(str(name), what))
    for name in NEEDED:
        if not options.get(name):
            problems.append(Problem(name, "an experiment needs this section"))
    for name, section in options.items():
        if name in SECTIONS and section:
            problems += _check_section(name, section)
    refuse(source, problems)
    experiment = Experiment(options, source)
    _rehearse(experiment)
    return experiment


def _rehearse(experiment: Experiment) -> None:
    """Find what no signature says: build it all for a log of a few events.

    Raises:
        ConfigError: Options contradict each other, or the model lacks a graph.
    """
    try:
        log = leave_one_out(cycle(4, 4, 4))
        graph = build_graph(log, [_rehearsed(s) for s in experiment.steps()])
        model = _rehearsed_model(experiment, graph)
        refuse(experiment.source, _unused(experiment, model))
        model.check(graph)
        for name, target in (("train", fit), ("evaluate", evaluate)):
            invalid = find_invalid(target, experiment.options.get(name) or {})
            found = [Problem(f"{name}.{where}", what) for where, what in invalid]
            refuse(experiment.source, found)
    except OptionError as error:
        found = [Problem(where, message) for where, message in error.invalid]
        refuse(experiment.source, found)
    except GraphSeqError as error:
        raise ConfigError(f"{experiment.source}: {error}") from error


def _rehearsed_model(experiment: Experiment, graph: HeteroData) -> Model:
    """The model, if its options make one.

    Raises:
        OptionError: They are out of their range.
        ConfigError: They contradict each other.
    """
    try:
        return experiment.model(graph)
    except OptionError:
        raise
    except ValueError as error:
        name, *_ = MODEL.pick(MODELS, experiment.options["model"], "")
        raise ConfigError(f"model.{name} cannot be built: {error}") from error


def _unused(experiment: Experiment, model: Model) -> list[Problem]:
    """A width that is written and not read, since a part has its own."""
    name, given, _ = MODEL.pick(MODELS, experiment.options["model"], "")
    parts = [model.options[p] for p in ("features", "encoder") if given.get(p)]
    usual = parameters(MODELS[name])["dim"].default if "dim" in given else None
    if not parts or given.get("dim", usual) in (usual, parts[0].dim):
        return []
    kind, dim = type(parts[0]).__name__, parts[0].dim
    what = f"is not used: {kind} has dim={dim}; set it there and leave this out"
    return [Problem(f"model.{name}.dim", what)]


def _rehearsed(step: BaseTransform) -> BaseTransform:
    """The step, but for one that reads a file: it describes other items."""
    anything = {item: ["any"] for item in cycle(4, 4, 4).items.ids}
    return Attributes(anything) if isinstance(step, Attributes) else step


def _check_section(name: str, section: Any) -> list[Problem]:
    if name == "data":
        return _check_data(section)
    if name == "train":
        return TRAIN.check(fit, section, name)
    if name == "evaluate":
        return EVALUATE.check(evaluate, section, name)
    if name == "split":
        return FILTER.pick(SPLITS, section, name)[2]
    if name == "model":
        return MODEL.pick(MODELS, section, name)[2]
    schema, table = (FILTER, FILTERS) if name == "filters" else (STEP, GRAPH)
    if not isinstance(section, list):
        what = f"expected a list of {{Name: {{option: …}}}}, got {section!r}"
        return [Problem(name, what)]
    found = [schema.pick(table, e, f"{name}[{i}]")[2] for i, e in enumerate(section)]
    return [problem for problems in found for problem in problems]


def _check_data(section: Any) -> list[Problem]:
    kinds = [name for name in DATA if isinstance(section, Mapping) and name in section]
    if len(kinds) != 1:
        what = f"expected one of {', '.join(DATA)} and its options, got {section!r}"
        return [Problem("data", what)]
    [kind], options = kinds, dict(section)
    if kind not in ("dataset", "path"):
        return PLAIN.pick({kind: DATA[kind]}, section, "data")[2]
    if kind == "path":
        return PLAIN.check(DATA[kind], options, "data")
    name = options.pop("dataset")
    problems = PLAIN.check(DATA[kind], {"name": name, **options}, "data")
    known = catalog(options.get("folder"))
    if not problems and name not in known:
        what = f"no data set {name!r}; {suggest(name, known)}"
        problems.append(Problem("data.dataset", what))
    return problems
