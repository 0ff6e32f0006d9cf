"""Experiments, their results and the published figures, matched to each other.

Nothing is listed by hand: an experiment belongs to a published row if it trains that
model, in that variant, on that data set and split.
"""

import csv
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphseq.config import load
from graphseq.config.fingerprint import fingerprint
from graphseq.models import MODELS

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "experiments"
ENCODERS = {"GRU4Rec": "GRU", "Caser": "Convolution"}  # "CL4SRec on GRU4Rec"
NAMED_OTHERWISE = {"BPR-MF": "BPRMF", "SR-GNN": "SRGNN", "GC-SAN": "GCSAN"}
PROTOCOLS = ("kept", "excluded")


@dataclass(frozen=True)
class Experiment:
    """One file of ``experiments/``.

    Attributes:
        path: From the root of the repository.
        model: Name of the model's class.
        options: The model's, resolved.
        written: The model's, as they stand in the file.
        data: Name of the data set.
        split: Name of the split.
        extra: Whether the graph has relations besides those of the log.
        fingerprint: What the file says.
        command: What repeats it.
    """

    path: str
    model: str
    options: Mapping[str, Any]
    written: Mapping[str, Any]
    data: str
    split: str
    fingerprint: str
    command: str

    @property
    def name(self) -> str:
        """The file without what all have in common."""
        return self.path.removeprefix("experiments/").removesuffix(".yaml")

    @property
    def encoder(self) -> str:
        """Name of the encoder's class."""
        given = self.options.get("encoder")
        return next(iter(given)) if given else "Transformer"

    @property
    def plain(self) -> bool:
        """Whether the items have no features but a table, and weights are trained."""
        return not self.options.get("features") and "graphseq train" in self.command


@dataclass(frozen=True)
class Result:
    """The rows of an experiment, all seeds together.

    Attributes:
        experiment: Which.
        seeds: Those that were run.
        rows: One a seed, the newest.
    """

    experiment: Experiment
    seeds: tuple[int, ...]
    rows: tuple[Mapping[str, str], ...]

    def means(self, protocol: str) -> dict[str, float]:
        """Metric to its mean over the seeds."""
        ending = f" {protocol}"
        names = [n for n, v in self.rows[0].items() if n.endswith(ending) and v]
        return {
            name.removesuffix(ending): statistics.mean(
                float(r[name]) for r in self.rows
            )
            for name in names
        }


@dataclass(frozen=True)
class Published:
    """One row of a published table.

    Attributes:
        source: Paper and table.
        data: Name of our data set.
        split: Name of our split.
        history: ``kept``, ``excluded``, ``excluded (presumed)`` or ``unknown``.
        model: As it is called there.
        figures: Metric to value.
        notes: What is to be said of single figures.
    """

    source: str
    data: str
    split: str
    history: str
    model: str
    figures: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def protocol(self) -> str | None:
        """Under which of our protocols it is compared."""
        word = self.history.split()[0]
        return word if word in PROTOCOLS else None


@cache
def experiments() -> list[Experiment]:
    """Every experiment file, checked."""
    return [read(path) for path in sorted(EXPERIMENTS.rglob("*.yaml"))]


def read(path: Path) -> Experiment:
    """One experiment file."""
    loaded = load(path)
    resolved = loaded.resolved()
    ((model, options),) = resolved["model"].items()
    [split] = resolved["split"]
    written = loaded.options["model"][model] or {}
    place = path.relative_to(ROOT).as_posix()
    return Experiment(
        place,
        model,
        options,
        written,
        loaded.data_name,
        split,
        fingerprint(loaded.options),
        command_of(path.read_text("utf-8"), place),
    )


def command_of(text: str, path: str) -> str:
    """The command that the head of an experiment file gives."""
    found = re.search(r"Command: ((?:.*\\\n)*.*)", text)
    if found is None:
        return f"graphseq train {path}"
    return " ".join(found[1].replace("\\\n#", " ").split())


@cache
def table() -> list[dict[str, str]]:
    """The rows of ``results.csv``."""
    with (EXPERIMENTS / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def result(experiment: Experiment) -> Result | None:
    """What an experiment came to, as its file stands now; ``None`` if not run yet."""
    rows = [row for row in table() if row["fingerprint"] == experiment.fingerprint]
    newest = {int(row["seed"]): row for row in rows}
    if not newest:
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
    """Class, variant and encoder of a model as tables call it; ``None``: not here."""
    name, _, backbone = name.partition(" on ")
    plain = _bare(NAMED_OTHERWISE.get(name, name))
    starts = [n for n in MODELS if plain.startswith(_bare(n))]
    if not starts:
        return None
    model = max(starts, key=len)
    return model, plain[len(_bare(model)) :], ENCODERS.get(backbone, "Transformer")


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def matches(experiment: Experiment, row: Published) -> bool:
    """Whether an experiment aims at what a published row says."""
    known = identify(row.model)
    if known is None or not experiment.plain:
        return False
    model, variant, encoder = known
    if (experiment.model, experiment.data, experiment.split) != (
        model,
        row.data,
        row.split,
    ):
        return False
    said = experiment.options.get("variant")
    if said is not None and _bare(str(said)) != (variant or "full"):
        return False
    return "encoder" not in experiment.options or experiment.encoder == encoder


def zeros(experiment: Experiment) -> list[Experiment]:
    """SASRec with the sampler and the loss of an experiment, on the same data."""
    wanted = _learns(experiment)
    return [
        other
        for other in experiments()
        if other.model == "SASRec"
        and other.plain
        and (other.data, other.split) == (experiment.data, experiment.split)
        and _learns(other) == wanted
    ]


def _learns(experiment: Experiment) -> tuple[str, str]:
    """Sampler and loss; the loss of a model without a choice is the softmax."""
    model = MODELS[experiment.model]
    sampler = experiment.options.get("sampler", model.sampler)
    return str(sampler), str(experiment.options.get("loss", "ce"))
