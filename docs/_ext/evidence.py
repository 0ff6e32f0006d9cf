"""Experiments, their results and the published results, matched to each other.

Nothing is listed by hand: an experiment aims at a published row if it trains the same
model, in the same variant, on the same data set and split.
"""

import csv
import os
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphseq import config
from graphseq.config.fingerprint import fingerprint
from graphseq.config.variants import split_name
from graphseq.models import MODELS

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "experiments"
ENCODERS = {"GRU4Rec": "GRU", "Caser": "Convolution"}  # "CL4SRec on GRU4Rec"
NAMED_OTHERWISE = {
    "BPR-MF": "BPRMF",
    "SR-GNN": "SRGNN",
    "GC-SAN": "GCSAN",
    "ComiRec-SA": "ComiRec",
}
PROTOCOLS = ("kept", "excluded")
SAME_EVENTS = {"ml-1m-cbit-5core": "ml-1m-5core"}  # in another order of ties
RELATIONS = {
    "item": "item graph",
    "precedes": "transitions",
    "interacts": "user-item graph",
    "has": "attributes",
}


@dataclass(frozen=True)
class Experiment:
    """One experiment of ``experiments/``.

    Attributes:
        path: Relative to the root of the repository, with the variant.
        model: Name of the model's class.
        options: Options of the model, with defaults.
        data: Name of the data set, or of the one with the same events.
        split: Name of the split.
        train: Options of the training, with defaults.
        fingerprint: Identifies the options of the experiment.
        command: Command that repeats the experiment.
    """

    path: str
    model: str
    options: Mapping[str, Any]
    data: str
    split: str
    train: Mapping[str, Any]
    fingerprint: str
    command: str

    @property
    def name(self) -> str:
        """The path without the common folder and ending."""
        return self.path.removeprefix("experiments/").replace(".yaml", "")

    @property
    def trained(self) -> bool:
        """Whether the weights are trained here, not published by others."""
        return "graphseq train" in self.command

    @property
    def plain(self) -> bool:
        """Whether it is trained without graph features and vectors of users."""
        features = self.part("features")[0]
        return self.trained and features in ("", "Embedding") and not self.users

    @property
    def encoder(self) -> str:
        """Name of the sequence encoder's class; empty without a backbone."""
        return self.part("encoder")[0] or encoder_of(self.model)

    @property
    def users(self) -> str:
        """What vectors of users join the states; empty if none do."""
        name, options = self.part("users")
        return str(options["source"]) if name else ""

    @property
    def normalized(self) -> bool:
        """Whether the item vectors are L2-normalised."""
        return self.part("features")[0] == "Normalized"

    @property
    def relations(self) -> list[str]:
        """The relations that the item vectors are propagated over."""
        name, options = self.part("features")
        if self.normalized:
            [(name, options)] = options["features"].items()
        if name == "Fused":
            return [part["Propagated"]["relation"] for part in options["parts"]]
        return [options["relation"]] if name == "Propagated" else []

    @property
    def variant(self) -> str:
        """The variant of the paper: ``full``, or a part of its objective."""
        _, objective = self.part("objective")
        if self.model == "EC4SRec" and not objective["target_weight"]:
            return "ssl"
        if self.model == "EC4SRec" and not objective["view_weight"]:
            return "sl"
        return _bare(str(objective.get("variant", "full")))

    def option(self, name: str, default: Any = None) -> Any:
        """An option of the model or of its backbone."""
        [backbone] = (self.options.get("backbone") or {"": {}}).values()
        return {**backbone, **self.options}.get(name, default)

    def part(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """Name and options of a part; an empty name if the model has none."""
        [(part, options)] = (self.option(name) or {"": {}}).items()
        return part, options


@dataclass(frozen=True)
class Result:
    """The rows of an experiment over all seeds.

    Attributes:
        experiment: The experiment.
        seeds: Seeds of the rows.
        rows: The newest row of each seed.
    """

    experiment: Experiment
    seeds: tuple[int, ...]
    rows: tuple[Mapping[str, str], ...]

    def means(self, protocol: str) -> dict[str, float]:
        """Metric -> mean over the seeds."""
        ending = f" {protocol}"
        names = [n for n, v in self.rows[0].items() if n.endswith(ending) and v]
        return {
            n.removesuffix(ending): statistics.mean(float(r[n]) for r in self.rows)
            for n in names
        }


@dataclass(frozen=True)
class Published:
    """One row of a published table.

    Attributes:
        source: Paper and table.
        data: Name of our data set.
        split: Name of our split.
        history: ``kept``, ``excluded``, ``excluded (presumed)`` or ``unknown``.
        model: Name in the table.
        values: Metric -> value.
        notes: Remarks on single values.
    """

    source: str
    data: str
    split: str
    history: str
    model: str
    values: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def protocol(self) -> str | None:
        """Our protocol under which the row is compared."""
        word = self.history.split()[0]
        return word if word in PROTOCOLS else None


@cache
def experiments() -> list[Experiment]:
    """Every experiment with a paper's model on a whole data set, checked.

    Those on a part of a data set are studies; compositions are on pages about them.
    """
    return [
        read(each)
        for each in config.experiments_of(str(EXPERIMENTS))
        if not each.options.get("filters") and {*each.options["model"]} <= {*MODELS}
    ]


def read(loaded: config.Experiment) -> Experiment:
    """One experiment."""
    resolved = loaded.resolved()
    [(model, options)] = resolved["model"].items()
    [split] = resolved["split"]
    data = loaded.data_name
    file, variant = split_name(loaded.name)
    path = Path(os.path.relpath(file, ROOT)).as_posix()
    name = f"{path}:{variant}" if variant else path
    command = command_of(Path(file).read_text("utf-8"), name)
    identity = fingerprint(loaded.options)
    return Experiment(
        path=name,
        model=model,
        options=options,
        data=SAME_EVENTS.get(data, data),
        split=split,
        train=resolved["train"],
        fingerprint=identity,
        command=command,
    )


def command_of(text: str, name: str) -> str:
    """The command in the comment of an experiment, else ``graphseq train NAME``."""
    _, variant = split_name(name)
    if variant:
        block = re.search(
            rf"((?:^  #.*\n)*)^  {re.escape(variant)}:", text, re.MULTILINE
        )
        text = block[1] if block else ""
    found = re.search(r"Command: (.*)", text)
    return found[1].strip() if found else f"graphseq train {name}"


@cache
def results() -> dict[str, dict[int, dict[str, str]]]:
    """Fingerprint -> seed -> the newest row of ``results.csv``."""
    found: dict[str, dict[int, dict[str, str]]] = {}
    with (EXPERIMENTS / "results.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["fingerprint"], {})[int(row["seed"])] = row
    return found


def result(experiment: Experiment) -> Result | None:
    """The result of an experiment as its file is now; ``None`` if not run yet."""
    newest = results().get(experiment.fingerprint)
    if newest is None:
        return None
    seeds = tuple(sorted(newest))
    return Result(experiment, seeds, tuple(newest[seed] for seed in seeds))


@cache
def published() -> list[Published]:
    """The rows of ``published.csv``, one a model and source."""
    grouped: dict[tuple[str, ...], list[dict[str, str]]] = {}
    with (EXPERIMENTS / "published.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            keys = ("source", "data", "split", "history", "model")
            grouped.setdefault(tuple(row[k] for k in keys), []).append(row)
    return [
        Published(
            *key,  # type: ignore[arg-type]
            {row["metric"]: float(row["value"]) for row in rows},
            tuple(dict.fromkeys(row["note"] for row in rows if row["note"])),
        )
        for key, rows in grouped.items()
    ]


def identify(name: str) -> tuple[str, str, str] | None:
    """Class, variant and encoder of a name in a table; ``None`` if not implemented."""
    name, _, backbone = name.partition(" on ")
    plain = _bare(NAMED_OTHERWISE.get(name, name))
    prefixes = [n for n in MODELS if plain.startswith(_bare(n))]
    if not prefixes:
        return None
    model = max(prefixes, key=len)
    encoder = ENCODERS[backbone] if backbone else encoder_of(model)
    return model, plain[len(_bare(model)) :], encoder


def encoder_of(model: str) -> str:
    """The encoder of a model's paper; empty if the model has no backbone."""
    if "backbone" not in getattr(MODELS[model], "part_defaults", {}):
        return ""
    [encoder] = (
        MODELS[model].part_defaults["backbone"].get("encoder", {"Transformer": {}})
    )
    return str(encoder)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def matches(experiment: Experiment, row: Published) -> bool:
    """Whether an experiment aims at a published row."""
    known = identify(row.model)
    if known is None or not experiment.plain:
        return False
    model, variant, encoder = known
    return (
        (experiment.model, experiment.data, experiment.split)
        == (model, row.data, row.split)
        and experiment.variant == (variant or "full")
        and experiment.encoder == encoder
    )


def baselines(experiment: Experiment) -> list[Experiment]:
    """SASRec with the sampler and the loss of an experiment, on the same data."""

    def signal(each: Experiment) -> tuple[str, str, str, str]:
        sampler = each.option("sampler", MODELS[each.model].sampler)
        return each.data, each.split, sampler, each.option("loss", "ce")

    wanted = signal(experiment)
    return [
        other
        for other in experiments()
        if other.model == "SASRec" and other.plain and signal(other) == wanted
    ]
