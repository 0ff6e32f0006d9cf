"""Kill a run at many moments, resume it, and print what came of it as JSON.

A script of its own and not a test, because it forks: a process that has trained cannot
be forked safely, so this one never trains. Each child trains, and dies by SIGKILL when
it has come to a given event; then another child resumes the run, and may die again.

Usage: python killed_runs.py FOLDER
"""

import gc
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torchmetrics import Metric

from graphseq.data import leave_one_out, synthetic
from graphseq.folders import RUN
from graphseq.graphs import build_graph
from graphseq.models import Backbone, SASRec
from graphseq.nn import Transformer
from graphseq.training import fit, trainer  # noqa: F401  (imports Lightning once)
from graphseq.training.run import CHECKPOINT, HISTORY, WEIGHTS

EPOCHS = 4
FIRST, OTHER = 7, 8  # seeds of the model's own weights
UNRECORDED = ("writing the graph", "writing the first checkpoint", "before anything")
"""Deaths before the initial weights are on record: these the user must make again."""


def made(seed: int) -> SASRec:
    """The model that is trained."""
    torch.manual_seed(seed)
    encoder = Transformer(8, 8, layers=1, heads=1)
    backbone = Backbone(12, dim=8, loss="bce", max_length=8, encoder=encoder)
    return SASRec(30, backbone)


def train(folder: Path, seed: int) -> None:
    """One attempt; the model is created again, as after a reboot, from a seed.

    The graph too: polars' threads do not survive a fork, so the parent uses none.
    """
    graph = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=0)))
    model = made(seed)
    options = {"max_epochs": EPOCHS, "batch_size": 30, "lr": 0.01, "threads": 1}
    fit(model, graph, folder=folder, progress=False, resume=True, **options)


def dying(name: str, number: int) -> Callable[[], None]:
    """Arrange for this process to be killed at an event of a kind, counted from 1."""
    seen = 0

    def event(kind: str) -> None:
        nonlocal seen
        seen += kind == name
        if kind == name and seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    losses, save, replace = SASRec.losses, safetensors.torch.save_file, os.replace

    def counted_losses(self: SASRec, *arguments: Any) -> Any:
        event("step")
        return losses(self, *arguments)

    def torn_save(made: Any, path: Path, words: Any) -> None:
        save(made, path, words)
        whole = Path(path).read_bytes()
        Path(path).write_bytes(whole[: len(whole) // 2])
        event("torn file")
        Path(path).write_bytes(whole)

    def counted_replace(source: Any, target: Any) -> None:
        event(f"before {Path(target).name}")
        replace(source, target)
        event(f"after {Path(target).name}")

    def arm() -> None:
        SASRec.losses = counted_losses  # type: ignore[method-assign]
        safetensors.torch.save_file = torn_save  # type: ignore[assignment]
        os.replace = counted_replace  # type: ignore[assignment]

    return arm


def child(folder: Path, seed: int, arm: Callable[[], None] = lambda: None) -> int:
    """Train in a fork; returns the signal that killed it, or 0."""
    pid = os.fork()
    if pid == 0:
        try:
            arm()
            train(folder, seed)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"the child failed with {os.WEXITSTATUS(status)}")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def at_random(folder: Path, seed: int, epochs: int, seconds: float) -> int:
    """Train in a fork and kill it from outside, some time after a number of epochs."""
    pid = os.fork()
    if pid == 0:
        train(folder, seed)
        os._exit(0)
    done = 0
    while not done and epochs_of(folder) < epochs:
        time.sleep(0.001)
        done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def epochs_of(folder: Path) -> int:
    """Epochs that the history knows of."""
    history = folder / HISTORY
    return len(history.read_text().splitlines()) - 1 if history.exists() else 0


def main(root: Path) -> None:
    """Print {moment: signals of its deaths}; the folders are left for the test."""
    made(FIRST)  # fill the caches of signatures and of the subclasses
    isinstance(root, Metric)  # of Metric here, and not in each of 50 children
    gc.freeze()  # what is imported need not be searched, and copied, by each child
    child(root / "unbroken", FIRST)
    steps = 6  # an epoch has this many
    moments = {
        "in the first epoch": [("step", 2)],
        "in a later epoch": [("step", 2 * steps + 3)],
        "twice in an epoch": [("step", steps + 2), ("step", 3)],
        "writing the graph": [("torn file", 1)],
        "writing the first checkpoint": [("torn file", 2)],
        "writing the best weights": [("torn file", 3)],
        "writing a checkpoint": [("torn file", 6)],
        "between weights and history": [(f"after {WEIGHTS}", 2)],
        "between history and record": [(f"after {HISTORY}", 2)],
        "between record and checkpoint": [(f"before {CHECKPOINT}", 3)],
        "after a checkpoint": [(f"after {CHECKPOINT}", 3)],
        "after the last checkpoint": [(f"after {CHECKPOINT}", EPOCHS + 1)],
        "marking the end": [(f"before {RUN}", EPOCHS + 2)],
        "before anything": [(f"before {RUN}", 1)],
    }
    deaths = {}
    for moment, kills in moments.items():
        again = FIRST if moment in UNRECORDED else OTHER
        seeds = [FIRST, again, again]
        deaths[moment] = [
            child(root / moment, seed, dying(*kill))
            for seed, kill in zip(seeds, kills, strict=False)
        ]
        child(root / moment, again)
    chance, folder = random.Random(0), root / "at random"
    deaths["at random"] = [
        at_random(folder, seed, epochs, chance.uniform(0, 0.02))
        for seed, epochs in ((FIRST, 1), (OTHER, 1), (OTHER, 2), (OTHER, 2))
    ]
    child(folder, OTHER)
    print(json.dumps(deaths))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
