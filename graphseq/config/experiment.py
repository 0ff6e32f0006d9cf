"""An experiment: one complete YAML file, from the log to the figures of a model.

A file has the sections ``data``, ``split`` and ``model``, and, as needed, ``filters``,
``graph``, ``train`` and ``evaluate``. What it does not say is the default of the
signature; there is no other place for defaults.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.config.checks import Schema, parameters
from graphseq.config.construct import build, resolve
from graphseq.config.tables import (
    DATA,
    FILTERS,
    GRAPH,
    MODELS,
    PARTS,
    SPLITS,
)
from graphseq.data import Interactions
from graphseq.data.readers.source import missing_file
from graphseq.errors import DataError
from graphseq.evaluation import Report, evaluate
from graphseq.graphs import build_graph
from graphseq.models import Model
from graphseq.schema import InvalidOption, OptionError
from graphseq.training import Run, fit

PLAIN = Schema()
FILTER = Schema(supplied=frozenset({"log"}))
STEP = Schema(PARTS, frozenset({"root"}))
MODEL = Schema(PARTS, frozenset({"num_users", "num_items"}))
TRAIN = Schema(supplied=frozenset({"model", "graph", "folder", "resume", "experiment"}))
EVALUATE = Schema(supplied=frozenset({"model", "graph", "part", "folder", "progress"}))


@dataclass(frozen=True)
class Experiment:
    """A checked experiment; make one with :func:`.load`.

    Attributes:
        options: The sections of the file, as written.
        source: Where they came from, for messages.
    """

    options: Mapping[str, Any]
    source: str = "experiment"

    @property
    def data_name(self) -> str:
        """What the data are called: the name of a data set, a file, or a kind."""
        [kind] = [name for name in DATA if name in self.options["data"]]
        named = self.options["data"][kind]
        return {"path": Path(str(named)).name, "dataset": str(named)}.get(kind, kind)

    def read(self, root: str | Path | None = None) -> Interactions:
        """The log, filtered.

        Args:
            root: Folder in which the data lie; ``None`` is the default of the data set,
                or the current folder for a path.

        Raises:
            DataError: The log is not there, or cannot be read.
        """
        options = dict(self.options["data"])
        [kind] = [name for name in DATA if name in options]
        if kind == "path":
            options["path"] = str(Path(root or ".") / options["path"])
            if not Path(options["path"]).is_file():
                missing = missing_file(Path(options["path"]))
                raise DataError(
                    f"{missing}. Paths in an experiment are relative to the current "
                    "folder, or to that of --data"
                )
            log = build(PLAIN, DATA[kind], options)
        elif kind == "dataset":
            options = {"name": options.pop("dataset"), **options}
            options |= {} if root is None else {"root": str(root)}
            log = build(PLAIN, DATA[kind], options)
        else:
            log = build(PLAIN, DATA[kind], options[kind])
        for entry in self.options.get("filters") or ():
            name, given, _ = FILTER.pick(FILTERS, entry, "")
            log = build(FILTER, FILTERS[name], given, log=log)
        return log  # type: ignore[no-any-return]

    def graph(self, root: str | Path | None = None) -> HeteroData:
        """The log, split, as a graph with all its relations."""
        name, given, _ = FILTER.pick(SPLITS, self.options["split"], "")
        split = build(FILTER, SPLITS[name], given, log=self.read(root))
        return build_graph(split, self.steps(root))

    def steps(self, root: str | Path | None = None) -> list[BaseTransform]:
        """What adds relations to the graph; ``root`` as for :meth:`read`.

        Raises:
            OptionError: Options are out of their range; it names their places.
        """
        entries = self.options.get("graph") or ()
        picked = [STEP.pick(GRAPH, entry, "") for entry in entries]
        steps: list[BaseTransform] = []
        invalid: list[InvalidOption] = []
        for place, (name, given, _) in enumerate(picked):
            where = f"graph[{place}].{name}"
            try:
                steps.append(build(STEP, GRAPH[name], given, where, root=root))
            except OptionError as error:
                invalid += error.invalid
        if invalid:
            raise OptionError("experiment", invalid)
        return steps

    @property
    def seed(self) -> int:
        """The seed of the weights and of the batches."""
        default = parameters(fit)["seed"].default
        return int((self.options.get("train") or {}).get("seed", default))

    def model(self, graph: HeteroData) -> Model:
        """The untrained model, its weights drawn with the experiment's seed."""
        name, given, _ = MODEL.pick(MODELS, self.options["model"], "")
        sizes = {f"num_{kind}s": graph[kind].num_nodes for kind in ("user", "item")}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            where = f"model.{name}"
            return build(MODEL, MODELS[name], given, where, **sizes)  # type: ignore[no-any-return]

    def fit(self, model: Model, graph: HeteroData, **supplied: Any) -> Run:
        """Train the model, with the options of the section ``train``."""
        given = self.options.get("train")
        supplied |= {"model": model, "graph": graph, "experiment": self.resolved()}
        return build(TRAIN, fit, given, **supplied)  # type: ignore[no-any-return]

    def evaluate(self, model: Model, graph: HeteroData, **supplied: Any) -> Report:
        """Rank the items, with the options of the section ``evaluate``."""
        given = self.options.get("evaluate")
        supplied |= {"model": model, "graph": graph}
        return build(EVALUATE, evaluate, given, **supplied)  # type: ignore[no-any-return]

    def resolved(self) -> dict[str, Any]:
        """All sections with every default filled in: a file that repeats this one."""
        options = dict(self.options)
        filled: dict[str, Any] = {"data": options["data"]}
        filled["filters"] = _resolve_all(FILTER, FILTERS, options.get("filters"))
        [filled["split"]] = _resolve_all(FILTER, SPLITS, [options["split"]])
        filled["graph"] = _resolve_all(STEP, GRAPH, options.get("graph"))
        [filled["model"]] = _resolve_all(MODEL, MODELS, [options["model"]])
        filled["train"] = resolve(TRAIN, fit, options.get("train"))
        filled["evaluate"] = resolve(EVALUATE, evaluate, options.get("evaluate"))
        return filled


def _resolve_all(
    schema: Schema,
    table: Mapping[str, Callable[..., Any]],
    entries: Sequence[Any] | None,
) -> list[dict[str, Any]]:
    picked = [schema.pick(table, entry, "") for entry in entries or ()]
    return [{name: resolve(schema, table[name], given)} for name, given, _ in picked]
