"""An experiment: data, split, graph, model and training, checked before anything runs.

A file has the sections ``data``, ``split`` and ``model``, and optionally ``filters``,
``graph``, ``train`` and ``evaluate``. With ``data: {graph: FOLDER}``, a saved graph,
``split`` is optional too, and what the file says of the graph is compared with it. An
option that is not written has the default of the signature; defaults are defined
nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.config.registry import (
    DATA,
    FILTERS,
    GRAPH,
    PARTS,
    SPLITS,
    missing_relations,
    model_table,
    part_table,
)
from graphseq.config.saved_graph import differences, hash_of
from graphseq.config.space import Space
from graphseq.data import Interactions, catalog
from graphseq.data.readers.source import missing_file
from graphseq.errors import ConfigError, DataError, suggest
from graphseq.evaluation import Report, evaluate
from graphseq.graphs import build_graph, load_log
from graphseq.models import Ensemble, Model
from graphseq.models.registry import SUPPLIED, build_model
from graphseq.models.sequence_model import SequenceModel
from graphseq.schema import InvalidOption, format_value, parameters, refuse
from graphseq.specs import Reader, Spec, find_option, issubclass_of
from graphseq.training import Run, fit

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


@dataclass(frozen=True)
class Experiment:
    """A checked experiment; :func:`.load` reads one from a file.

    Attributes:
        options: The sections, as written.
        source: Where they are written, for messages.
        name: The file, and the variant: ``beauty/sasrec.yaml:bce``.
        claim: Condition for each metric that the file claims, and its ``source``.
        tune: The options that a search varies, and their ranges.
    """

    options: Mapping[str, Any]
    source: str = "experiment"
    name: str = ""
    claim: Mapping[str, str] = field(default_factory=dict)
    tune: Space = field(default_factory=dict)

    @property
    def data_name(self) -> str:
        """The name of the data set, of the file, or of the synthetic log."""
        kind = _kind_of_data(self.options["data"])
        assert kind is not None  # of a checked section
        named = str(self.options["data"][kind])
        if kind in ("path", "graph"):
            return Path(named).name
        return named if kind == "dataset" else kind

    @property
    def on_saved_graph(self) -> bool:
        """Whether the data are a saved graph."""
        return _kind_of_data(self.options["data"]) == "graph"

    def on_graph(
        self, folder: str | Path, root: str | Path | None = None
    ) -> "Experiment":
        """The same experiment on a saved graph, in place of its data.

        Args:
            folder: The saved graph.
            root: Folder of the data with which its own are compared.

        Raises:
            OptionError: With everything that the file says otherwise than the graph:
                data, filters, split, relations.
            GraphError: There is no saved graph.
        """
        self._compare(folder, root)
        data = {"graph": str(folder), "hash": hash_of(folder)}
        return replace(self, options={**self.options, "data": data})

    def _compare(self, folder: str | Path, root: str | Path | None) -> None:
        sections = {
            name: self.section(name)
            for name in ("data", "filters", "split", "graph", "model")
            if self.options.get(name)
        }
        refuse(self.source, [*differences(folder, sections, root)])

    def section(self, name: str) -> Any:
        """The specification of a section, or the list of them.

        Raises:
            OptionError: Something is wrong with the section.
        """
        problems: list[InvalidOption] = []
        read = read_section(name, self.options.get(name), problems)
        refuse(self.source, problems)
        return read

    def read(self, root: str | Path | None = None) -> Interactions:
        """The filtered log; of a saved graph, its log before the filters.

        Args:
            root: Folder of the data; ``None`` is the default of the data set, or for a
                path the current folder.

        Raises:
            DataError: The log does not exist, or cannot be read.
            GraphError: The saved graph does not exist, or has no log.
        """
        spec = self.section("data")
        supplied: dict[str, Any] = {}
        if spec.target is DATA["path"]:
            path = Path(root or ".") / spec.path
            if not path.is_file():
                raise DataError(
                    f"{missing_file(path)}. A path in an experiment is relative to the "
                    "current folder, or to the folder of --data"
                )
            supplied = {"path": str(path)}
        elif spec.target is DATA["graph"]:
            return load_log(spec.path)
        elif spec.target is DATA["dataset"] and root is not None:
            supplied = {"root": str(root)}
        log: Interactions = spec.build(**supplied)
        for step in self.section("filters"):
            log = step.build(log=log)
        return log

    def graph(self, root: str | Path | None = None) -> HeteroData:
        """The split log as a graph with all relations; ``root`` as in :meth:`read`."""
        if self.on_saved_graph:
            spec = self.section("data")
            self._compare(spec.path, root)
            found: HeteroData = spec.build()
            return found
        split = self.section("split").build(log=self.read(root))
        return build_graph(split, self.steps(root))

    def steps(self, root: str | Path | None = None) -> list[BaseTransform]:
        """The transforms that add relations; ``root`` as in :meth:`read`."""
        return [step.build(root=root) for step in self.section("graph")]

    @property
    def seed(self) -> int:
        """The seed of the weights and of the batches."""
        return int(self.section("train").seed)

    def model(self, graph: HeteroData) -> Model:
        """The untrained model; the experiment's seed determines its weights.

        Raises:
            ConfigError: It is an ensemble.
        """
        spec = self.section("model")
        if spec.target is Ensemble:
            raise ConfigError(
                f"{self.source}: an Ensemble consists of trained runs, and cannot be "
                "trained. Train the members, then: graphseq ensemble RUN RUN … "
                "--folder FOLDER"
            )
        sizes = [graph[kind].num_nodes for kind in ("user", "item")]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return build_model(spec, *sizes)

    def fit(self, model: Model, graph: HeteroData, **supplied: Any) -> Run:
        """Train the model with the options of the section ``train``."""
        sections = self.resolved()
        if self.on_saved_graph and "provenance" in graph:
            sections |= _sections_of(graph.provenance)
        supplied |= {"model": model, "graph": graph, "experiment": sections}
        run: Run = self.section("train").build(**supplied)
        return run

    def evaluate(self, model: Model, graph: HeteroData, **supplied: Any) -> Report:
        """Rank the items with the options of the section ``evaluate``."""
        spec = self.section("evaluate")
        report: Report = spec.build(model=model, graph=graph, **supplied)
        return report

    def resolved(self) -> dict[str, Any]:
        """All sections with every default: a file that repeats this experiment."""
        filled: dict[str, Any] = {"data": self.options["data"]}
        for name in SECTIONS[1:]:
            if self.on_saved_graph and name in OF_GRAPH and not self.options.get(name):
                continue
            read = self.section(name)
            if isinstance(read, list):
                filled[name] = [{s.target.__name__: s.resolve()} for s in read]
            elif name in ("train", "evaluate"):
                filled[name] = read.resolve()
            else:
                filled[name] = {read.target.__name__: read.resolve()}
        return filled


def check(options: Any, source: str = "experiment", **about: Any) -> Experiment:
    """Check the sections of an experiment against the signatures, all at once.

    Nothing is built and no data are read.

    Args:
        options: The sections.
        source: Where they are written.
        about: ``name``, ``claim`` and ``tune`` of the experiment.

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
            what = f"not a section; {_suggest_section(str(name))}"
            problems.append(InvalidOption(str(name), what))
    on_graph = _kind_of_data(options.get("data")) == "graph"
    for name in NEEDED:
        if not options.get(name) and not (on_graph and name in OF_GRAPH):
            problems.append(InvalidOption(name, "missing; an experiment needs it"))
    read = {
        name: read_section(name, options[name], problems)
        for name in SECTIONS
        if options.get(name)
    }
    problems = explain_old_options(options.get("model"), problems)
    model, steps = read.get("model"), read.get("graph", [])
    if model is not None and None not in steps and not on_graph:
        problems += missing_relations(model, steps)
    refuse(source, problems)
    return Experiment(options, source, **about)


def _kind_of_data(section: Any) -> str | None:
    """The one kind of data that a section names."""
    kinds = [name for name in DATA if isinstance(section, Mapping) and name in section]
    return kinds[0] if len(kinds) == 1 else None


def _sections_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that describe how a graph was made, as far as files can."""
    split, steps = provenance.get("split") or {}, provenance.get("transforms") or []
    known = [s for s in steps if isinstance(s, Mapping) and {*s} <= {*GRAPH}]
    sections: dict[str, Any] = {"graph": known}
    if split.get("protocol") in SPLITS:
        accepted = parameters(SPLITS[split["protocol"]])
        made = split.get("parameters") or {}
        options = {name: made[name] for name in made if name in accepted}
        sections["split"] = {split["protocol"]: options}
    return sections


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
    parts = {"graph": PARTS, "model": part_table()}.get(name, {})
    reader = Reader(parts, supplied, problems)
    if name == "data":
        return _read_data(section, reader)
    if name in ("train", "evaluate"):
        target: Callable[..., Any] = fit if name == "train" else evaluate
        return reader.read(target, section, name)
    if name in ("split", "model"):
        return reader.pick(SPLITS if name == "split" else model_table(), section, name)
    if not isinstance(section, list | None):
        what = f"expected a list of {{Name: {{option: …}}}}, found {section!r}"
        problems.append(InvalidOption(name, what))
        return [None]
    each = enumerate(section or ())
    return [reader.pick(LISTS[name], e, f"{name}[{i}]") for i, e in each]


def _read_data(section: Any, reader: Reader) -> Spec | None:
    """Read the section ``data``: options of a data set or path are next to its name."""
    kind = _kind_of_data(section)
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
    known = catalog(options.get("folder"))
    if options["name"] not in known:
        what = f"unknown data set; {suggest(options['name'], known)}"
        reader.problems.append(InvalidOption("data.dataset", what))
    return spec


def explain_old_options(
    model: Any, problems: Sequence[InvalidOption]
) -> list[InvalidOption]:
    """Problems of a model section of version 0.1, where parts were not yet options.

    All unknown options of the model become one problem with their new places.
    """
    if not isinstance(model, Mapping) or len(model) != 1:
        return list(problems)
    [(name, options)] = model.items()
    target = model_table().get(name)
    if not issubclass_of(target, SequenceModel) or not isinstance(options, Mapping):
        return list(problems)
    assert target is not None
    unknown = [n for n in options if n not in {*parameters(target), *SUPPLIED}]
    places = {n: find_option(target, n, PARTS) for n in unknown}
    moved = [f"{n} as {place}" for n, place in places.items() if place]
    if not moved and "preset" not in unknown:
        return list(problems)
    if "preset" in unknown:
        moved.append("preset as base: presets/NAME.yaml")
    names = {f"model.{name}.{option}" for option in unknown}
    others = [problem for problem in problems if problem.name not in names]
    what = (
        "options of graphseq 0.1, whose models had no parts; write "
        f"{', '.join(moved)} (see 'Migrate from 0.1' in the documentation)"
    )
    return [*others, InvalidOption(f"model.{name}", what)]
