"""A training epoch of the programs that authors published, next to ours: CPU seconds.

Fetch a program, and name its folder; nothing of it is part of this repository. Its
epoch is compared with ours in the same recipe (rows, batch size, loss, layers, length:
the experiments named below) and with our own, in which every position is a target.

Theirs and ours are two processes of one thread each, which train in turns, some steps
at a time. An epoch is the median step times the number of batches, and what precedes
the first step: clusters, the order of the rows. Reading, evaluation and checkpoints
are left out. ICLRec needs faiss-cpu, DuoRec and MCLRec need colorlog and colorama.
RecBole's folder is one into which pip has installed it; a step has 2,048 rows there.

    python -m benchmarks.authors ICLRec path/to/ICLRec path/to/Beauty.txt
    python -m benchmarks.authors RecBole path/to/folder path/to/Beauty.txt --steps 4
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from benchmarks import programs
from benchmarks.programs import Epoch

ROOT = Path(__file__).resolve().parents[1]
BEAUTY = ROOT / "experiments" / "beauty"
OUR_STEPS = 40  # at least; the steps of some programs take a hundred times as long
OURS = ["train.max_epochs=1", "train.monitor=null", "train.patience=null"]


@dataclass(frozen=True)
class Program:
    """A published program, and our experiments to compare it with.

    Attributes:
        epoch: Its adapter: folder, Beauty.txt and a temporary folder to an epoch.
        same: The experiment in the same recipe.
        own: The experiment in our own recipe; some models have none.
        updates: Steps of optimisers per batch.
        batch_size: Batch size of ``same``; ``None``: that of the experiment.
    """

    epoch: Callable[[Path, Path, Path], Epoch]
    same: str
    own: str | None
    updates: int = 1
    batch_size: int | None = None


PROGRAMS = {
    "ICLRec": Program(programs.iclrec, "iclrec.yaml:authors", "iclrec.yaml:targets"),
    "CoSeRec": Program(
        programs.coserec, "coserec.yaml:authors", "coserec.yaml:targets"
    ),
    "DuoRec": Program(programs.duorec, "duorec.yaml:prefix", "duorec.yaml:targets"),
    "MCLRec": Program(
        programs.mclrec, "mclrec.yaml:prefix", "mclrec.yaml:targets", updates=3
    ),
    "RecBole": Program(
        programs.recbole,
        "sasrec.yaml:ce-prefix",
        "sasrec.yaml:ce-targets",
        batch_size=2048,
    ),
    "BSARec": Program(programs.bsarec, "filters.yaml:bsarec", None),
    "WEARec": Program(programs.wearec, "filters.yaml:wearec", None),
}


class Measured(Exception):
    """Ends an epoch when enough steps were timed."""


class Steps:
    """CPU time at the end of every batch, whatever optimisers the process has.

    Args:
        updates: Steps of optimisers per batch.
        warm_up: Batches before those that are timed.
        timed: Batches to time.
    """

    def __init__(self, updates: int, warm_up: int, timed: int) -> None:
        self.updates, self.warm_up, self.timed = updates, warm_up, timed
        self.ends: list[float] = []
        register_optimizer_step_post_hook(self._updated)

    def start(self) -> None:
        """An epoch starts."""
        self.ends = [time.process_time()]

    def _updated(self, *_: Any) -> None:
        self.ends.append(time.process_time())
        if len(self.ends) > self.updates * (self.warm_up + self.timed):
            raise Measured

    def found(self, epoch: Epoch) -> dict[str, float]:
        """The rows, and the CPU seconds of a step, before it, and of the epoch."""
        start, *ends = self.ends[:: self.updates]
        timed = itertools.pairwise(ends[self.warm_up - 1 :])
        step = statistics.median(after - before for before, after in timed)
        before = max(0.0, ends[0] - start - step)
        total = before + step * epoch.batches
        return {"rows": epoch.rows, "step": step, "before": before, "epoch": total}


@dataclass
class Ours:
    """Epochs of our experiments on Amazon Beauty.

    Attributes:
        beauty: Beauty.txt, in a folder of data sets.
        steps: The clock.
        graphs: The graphs of the experiments so far.
    """

    beauty: Path
    steps: Steps
    graphs: dict[str, Any] = field(default_factory=dict)

    def train(self, name: str, batch_size: int | None) -> Epoch:
        """Train an epoch of an experiment, until enough steps are timed."""
        from graphseq.config import load

        changes = [] if batch_size is None else [f"train.batch_size={batch_size}"]
        experiment = load(BEAUTY / name, OURS + changes)
        if name not in self.graphs:
            self.graphs[name] = experiment.graph(self.beauty.parents[1])
        graph = self.graphs[name]
        model = experiment.model(graph)
        with self._watched() as sources, contextlib.suppress(Measured):
            experiment.fit(model, graph, progress=False, accelerator="cpu", threads=1)
        [source] = sources
        return Epoch(lambda: None, sum(map(len, source.batches)), len(source))

    @contextlib.contextmanager
    def _watched(self) -> Iterator[list[Any]]:
        """Start the clock where an epoch starts; yields what makes its batches."""
        from graphseq.training.module import Training

        sources: list[Any] = []
        loader, begin = Training.train_dataloader, Training.on_train_epoch_start

        def remembered(training: Training) -> Any:
            found: Any = loader(training)
            sources.extend(found.dataset.datasets)
            return found

        def begun(training: Training) -> None:
            self.steps.start()
            begin(training)

        with (
            mock.patch.object(Training, "train_dataloader", remembered),
            mock.patch.object(Training, "on_train_epoch_start", begun),
        ):
            yield sources


def serve(given: argparse.Namespace, scratch: Path) -> None:
    """Train and time an epoch for each side that is read; write what was found."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    program = PROGRAMS[given.name]
    steps = Steps(program.updates, given.warm_up, given.steps)
    ours = Ours(given.beauty, steps)
    epoch: Epoch | None = None
    for side in map(str.strip, sys.stdin):
        with contextlib.redirect_stdout(sys.stderr):
            if side == "theirs":
                epoch = epoch or program.epoch(given.folder, given.beauty, scratch)
                steps.start()
                with contextlib.suppress(Measured):
                    epoch.train()
                found = steps.found(epoch)
            else:
                size = program.batch_size if side == "same" else None
                found = steps.found(ours.train(getattr(program, side), size))
        print(json.dumps(found), flush=True)


def measured(given: argparse.Namespace, sides: list[str]) -> list[dict[str, Any]]:
    """Rounds of all sides, in two processes."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.authors", given.name]
    command += [given.folder, given.beauty, "--serve"]
    command += ["--warm-up", str(given.warm_up)]
    steps = given.steps, max(given.steps, OUR_STEPS)
    theirs, ours = ([*command, "--steps", str(number)] for number in steps)
    threads = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    pipes |= {"stderr": subprocess.DEVNULL, "text": True, "env": threads}
    with (
        subprocess.Popen(theirs, **pipes) as a,
        subprocess.Popen(ours, **pipes) as b,
    ):
        rounds = []
        for _ in range(given.repeat):
            found = {}
            for side in sides:
                process: Any = a if side == "theirs" else b
                print(side, file=process.stdin, flush=True)
                found[side] = json.loads(process.stdout.readline())
            rounds.append(found)
            print(json.dumps(found), file=sys.stderr, flush=True)
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=PROGRAMS)
    parser.add_argument("folder", type=Path, help="the program, as published")
    parser.add_argument("beauty", type=Path, help="amazon-beauty/Beauty.txt")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=10, help="steps, at least 1")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        with tempfile.TemporaryDirectory() as folder:
            serve(given, Path(folder))
        return
    sides = ["theirs", "same"] + (["own"] if PROGRAMS[given.name].own else [])
    rounds = measured(given, sides)
    print("| program | side | rows | CPU s a step | before | an epoch | theirs / it |")
    print("|---|---|---|---|---|---|---|")
    for side in sides:
        parts = ("rows", "step", "before", "epoch")
        rows, step, before, epoch = (
            statistics.median(found[side][part] for found in rounds) for part in parts
        )
        times = [found["theirs"]["epoch"] / found[side]["epoch"] for found in rounds]
        ratio = f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"
        cells = f"{rows:,.0f} | {step:.3f} | {before:.1f} | {epoch:.1f} | {ratio}"
        print(f"| {given.name} | {side} | {cells} |")


if __name__ == "__main__":
    main()
