"""An experiment: data, split, graph, model and training, checked before anything runs.

A file has the sections ``data``, ``split`` and ``model``, and optionally ``filters``,
``graph``, ``train`` and ``evaluate``. With ``data: {graph: FOLDER}``, a saved graph,
``split`` is optional too, and what the file says of the graph is compared with it. An
option that is not written has the default of the signature; defaults are defined
nowhere else.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.config.registry import DATA, GRAPH, SPLITS
from graphseq.config.saved_graph import differences, hash_of
from graphseq.config.sections import (
    OF_GRAPH,
    SECTIONS,
    check_sections,
    kind_of_data,
    read_section,
)
from graphseq.config.space import Space
from graphseq.data import Interactions
from graphseq.errors import ConfigError, DataError
from graphseq.evaluation import Report
from graphseq.graphs import build_graph, load_log
from graphseq.models import Ensemble, Model, RepeatBias
from graphseq.models.registry import build_model
from graphseq.schema import InvalidOption, refuse
from graphseq.signatures import parameters
from graphseq.specs import Spec
from graphseq.training import Run
from graphseq.training.requirements import check_last_stage

OF_RUNS: dict[type, str] = {
    Ensemble: "graphseq ensemble RUN RUN …",
    RepeatBias: "graphseq repeats RUN",
}
"""Models that consist of trained runs, and the commands that make them."""


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
        kind = kind_of_data(self.options["data"])
        assert kind is not None  # of a checked section
        named = str(self.options["data"][kind])
        if kind in ("path", "graph"):
            return Path(named).name
        return named if kind == "dataset" else kind

    @property
    def on_saved_graph(self) -> bool:
        """Whether the data are a saved graph."""
        return kind_of_data(self.options["data"]) == "graph"

    def on_graph(
        self, folder: str | Path, root: str | Path | None = None
    ) -> "Experiment":
        """The same experiment on a saved graph, instead of its data.

        Args:
            folder: The saved graph.
            root: Folder of the data with which its own are compared.

        Raises:
            OptionError: With everything that the file says otherwise than the graph:
                data, filters, split, relations.
            GraphError: No graph is saved there.
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
            return self._filtered(self._read_path(spec, Path(root or ".")))
        elif spec.target is DATA["graph"]:
            return load_log(spec.path)
        elif spec.target is DATA["dataset"] and root is not None:
            supplied = {"root": str(root)}
        return self._filtered(spec.build(**supplied))

    def _read_path(self, spec: Spec, root: Path) -> Interactions:
        """The log at a path: a file, a folder or a pattern."""
        path = root / spec.path
        try:
            log: Interactions = spec.build(path=str(path))
        except DataError as error:
            if path.exists():
                raise
            end = "" if str(error).endswith((".", "?")) else "."
            raise DataError(
                f"{error}{end} A path in an experiment is relative to the current "
                "folder, or to the folder of --data"
            ) from error
        return log

    def _filtered(self, log: Interactions) -> Interactions:
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
            ConfigError: It consists of trained runs.
        """
        spec = self.section("model")
        if command := OF_RUNS.get(spec.target):
            raise ConfigError(
                f"{self.source}: {spec.target.__name__} consists of trained runs, and "
                f"cannot be trained. Train them, then: {command} --folder FOLDER"
            )
        sizes = [graph[kind].num_nodes for kind in ("user", "item")]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return build_model(spec, *sizes)

    def check_stages(self) -> None:
        """Refuse stages that do not train, or end too early, before data are read.

        Raises:
            ConfigError: As :meth:`.Model.check_stages`, or ``max_epochs`` ends before
                the last stage.
        """
        planned = self._planned()
        if planned is not None:
            planned.check_stages()
            check_last_stage(planned, int(self.section("train").max_epochs))

    @property
    def keeps_random_weights(self) -> bool:
        """Whether the model has weights to train, and no epoch to train them in."""
        if int(self.section("train").max_epochs):
            return False
        planned = self._planned()
        return planned is not None and any(
            weight.requires_grad for weight in planned.parameters()
        )

    def _planned(self) -> Model | None:
        """The model without its numbers; ``None`` if it cannot be built so."""
        spec = self.section("model")
        if spec.target in OF_RUNS:
            return None
        with suppress(RuntimeError), torch.device("meta"):  # allocates nothing
            planned: Model = spec.build(num_users=1009, num_items=1013)
            return planned
        return None

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
    check_sections(options, source)
    return Experiment(options, source, **about)


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
