"""The demo: a synthetic log, its graphs, and three models."""

import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch_geometric.data import HeteroData

from graphseq import graphs
from graphseq.data import leave_one_out
from graphseq.data.synthetic import communities
from graphseq.errors import ConfigError
from graphseq.evaluation import Report, evaluate
from graphseq.graphs import CoOccurrence
from graphseq.models import Model, create
from graphseq.plots import plot_items, plot_learning
from graphseq.report import table
from graphseq.schema import describe
from graphseq.training import Run, fit

SIZES = {"num_users": 1500, "num_items": 600, "num_communities": 15}
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "POP": ({}, {}),
    "SASRec": (
        {"backbone": {"encoder": {"Transformer": {"dropout": 0.2}}}},
        {"lr": 3e-3, "max_epochs": 12},
    ),
    "MCLSR": ({}, {"lr": 1e-2, "max_epochs": 15}),
}
"""Options of each model, and of its training, for a log of this size."""

MARK = "about.txt"
ABOUT = "Written by graphseq demo; the next demo replaces this folder.\n"


@dataclass(frozen=True)
class Trained:
    """A model with its run and its report on the test part."""

    model: Model
    run: Run
    report: Report


def run(
    output: str | Path = "demo",
    *,
    seed: int = 0,
    sizes: Mapping[str, int] = SIZES,
    epochs: int | None = None,
) -> dict[str, Trained]:
    """Create a log, build its graphs, train the models, print a table, and plot.

    Args:
        output: Folder for the graph, the runs and the plots.
        seed: Seed of the log and the models.
        sizes: Users, items and communities of the log.
        epochs: Maximum number of epochs; ``None`` uses those of ``MODELS``.

    Returns:
        The trained models by name.

    Raises:
        ConfigError: The folder contains something other than an earlier demo.
    """
    console, started = Console(soft_wrap=True, highlight=False), time.perf_counter()
    output = _fresh(Path(output))
    console.rule("1. a log: users who drift from community to community")
    log = communities(**sizes, seed=seed)
    console.print(repr(log))
    console.rule("2. its graphs, of training events only")
    steps = [CoOccurrence("user", top_k=50), CoOccurrence("item", top_k=50)]
    graph = graphs.build_graph(leave_one_out(log), steps)
    graphs.save_graph(graph, output / "graph")
    found = graphs.summary(graph)
    console.print(found)
    console.rule("3. three models")
    sections = {
        "data": {"communities": {**sizes, "seed": seed}},
        "split": {"leave_one_out": {}},
        "graph": describe(steps),
    }
    trained = {}
    for name in MODELS:
        console.print(f"{name:<7}", end="")
        trained[name] = one = _train(name, graph, output, sections, seed, epochs)
        cost = f"{one.run.epochs:>3} epochs  {one.run.cpu_seconds:5.1f} CPU s"
        console.print(cost)
    console.rule("4. every item ranked for every user, whose last item was held out")
    console.print(table({name: one.report for name, one in trained.items()}, ks=[10]))
    console.print(trained["POP"].report.protocol_text(), style="dim")
    found.plot(output / "degrees.png")
    plot_learning({name: t.run for name, t in trained.items()}, output / "learning.png")
    plot_items(
        trained["SASRec"].model,
        output / "items.png",
        graph=graph,
        colour="communities",
    )
    console.rule(f"done in {time.perf_counter() - started:.0f} s")
    console.print(NEXT.format(output=output, folder=shlex.quote(str(output))))
    return trained


NEXT = """\
plots:     {output}/learning.png  {output}/degrees.png  {output}/items.png
next:      graphseq recommend {folder}/runs/SASRec --users user-1 user-2
           graphseq compare {folder}/runs/SASRec {folder}/runs/MCLSR
           graphseq show {folder}/graph --node item:item-1 --plot neighbours.png"""


def _fresh(output: Path) -> Path:
    """The folder, cleared of the graph and the runs of an earlier demo."""
    if output.is_dir() and any(output.iterdir()) and not (output / MARK).is_file():
        raise ConfigError(
            f"{output} contains something other than an earlier demo, which is kept. "
            "Choose another folder: --output FOLDER"
        )
    for name in ("graph", "runs"):
        shutil.rmtree(output / name, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    (output / MARK).write_text(ABOUT, encoding="utf-8")
    return output


def _train(
    name: str,
    graph: HeteroData,
    output: Path,
    sections: Mapping[str, Any],
    seed: int,
    epochs: int | None,
) -> Trained:
    options, training = MODELS[name]
    if epochs is not None:
        training = {**training, "max_epochs": epochs}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = graph["user"].num_nodes, graph["item"].num_nodes
        model = create({name: options}, *sizes)
    folder = output / "runs" / name
    run = fit(
        model,
        graph,
        folder=folder,
        seed=seed,
        progress=False,
        experiment=sections,
        **training,
    )
    return Trained(model, run, evaluate(model, graph, part="test", folder=folder))
