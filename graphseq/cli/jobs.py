"""What a queue has to do: experiments times seeds, without those that are recorded."""

import csv
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphseq.errors import ConfigError, GraphSeqError


@dataclass(frozen=True)
class Job:
    """One run of an experiment.

    Attributes:
        experiment: The file.
        seed: Of this run.
        fingerprint: What the experiment says, as a short word.
        folder: Its run folder, the same whenever it is asked for again.
        monitor: Metric that says which epoch is best.
        epochs: Epochs after which it stops at the latest.
        own_seed: Whether the file itself says this seed.
    """

    experiment: str
    seed: int
    fingerprint: str
    folder: Path
    monitor: str | None
    epochs: int
    own_seed: bool

    @property
    def name(self) -> str:
        """What it is called on the screen."""
        path = Path(self.experiment)
        return f"{path.parent.name}/{path.stem} seed {self.seed}".lstrip("/")


@dataclass
class Plan:
    """The jobs, and what is left out of them.

    Attributes:
        jobs: To be done, in this order.
        recorded: Names of those that have their row already.
        refused: Files that cannot be run, each with the reason.
        untrained: Files that ask for no epoch: something else makes their figures.
    """

    jobs: list[Job] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    untrained: list[str] = field(default_factory=list)


def find(experiments: Sequence[str]) -> list[str]:
    """Files that are named, that match, or that lie below a folder, each once.

    Raises:
        ConfigError: Something names no file.
    """
    found: dict[str, None] = {}
    for asked in experiments:
        path = Path(asked)
        if path.is_dir():
            matches = sorted(str(p) for p in path.rglob("*.yaml"))
        else:
            matches = [asked] if path.is_file() else sorted(glob.glob(asked))
        if not matches:
            raise ConfigError(
                f"{asked} is no experiment file, no folder of them, and matches none"
            )
        found |= dict.fromkeys(_short(name) for name in matches)
    return list(found)


def _short(name: str) -> str:
    """A file below the current folder as it is named from here."""
    near = os.path.relpath(name)
    return name if near.startswith("..") else Path(near).as_posix()


def plan(
    experiments: Sequence[str],
    *,
    settings: Sequence[str],
    seeds: Sequence[int] | None,
    runs: str,
    results: Path,
) -> Plan:
    """Check all files, and say what there is to do.

    Every file comes with the first seed before any comes with the second.
    """
    from graphseq.config import load
    from graphseq.config.fingerprint import fingerprint

    made, done = Plan(), recorded(results)
    jobs: list[list[Job]] = []
    for name in find(experiments):
        try:
            experiment = load(name, settings)
        except GraphSeqError as error:
            made.refused.append((name, str(error)))
            continue
        train = experiment.resolved()["train"]
        if train["max_epochs"] == 0:
            made.untrained.append(name)
            continue
        word, stem = fingerprint(experiment.options), Path(name).stem
        group = Path(name).resolve().parent.name
        jobs.append(
            [
                Job(
                    name,
                    seed,
                    word,
                    Path(runs) / f"{group}-{stem}-{word[:8]}-{seed}",
                    train["monitor"],
                    train["max_epochs"],
                    seed == experiment.seed,
                )
                for seed in dict.fromkeys(seeds or [experiment.seed])
            ]
        )
    for job in _by_turns(jobs):
        if (job.fingerprint, job.seed) in done:
            made.recorded.append(job.name)
        else:
            made.jobs.append(job)
    return made


def _by_turns(jobs: list[list[Job]]) -> Iterator[Job]:
    """The first of each list, then the second of each."""
    for turn in range(max(map(len, jobs), default=0)):
        yield from (each[turn] for each in jobs if turn < len(each))


def recorded(results: Path) -> set[tuple[str, int]]:
    """Fingerprint and seed of every row of a table of results; empty without one."""
    if not results.is_file():
        return set()
    with results.open(encoding="utf-8", newline="") as file:
        return {
            (row["fingerprint"], int(float(row["seed"])))
            for row in csv.DictReader(file)
            if row.get("fingerprint")
        }
