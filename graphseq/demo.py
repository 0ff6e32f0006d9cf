"""The main job at the size of a demonstration: a log, its graphs, three models."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch_geometric.data import HeteroData

from graphseq import graphs, models
from graphseq.constants import ITEM_CO_OCCURS
from graphseq.data import leave_one_out
from graphseq.data.synthetic import communities
from graphseq.evaluation import Report, evaluate
from graphseq.models import Model
from graphseq.report import table
from graphseq.training import Run, fit

SIZES = {"num_users": 1500, "num_items": 600, "num_communities": 15}
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "POP": ({}, {}),
    "SASRec": ({"dropout": 0.2}, {"max_epochs": 20}),
    "MCLSR": ({}, {"max_epochs": 20}),
}
"""Model: its options, and those of its training."""


@dataclass(frozen=True)
class Trained:
    """A model with its run and its figures on the test part."""

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
    """Make a log, build its graphs, train the models, print a table, write plots.

    Args:
        output: Folder for the plots and the graph.
        seed: Of the log and of the models.
        sizes: Users, items and communities of the log.
        epochs: Epochs of each model at most; ``None`` takes those of ``MODELS``.

    Returns:
        The trained models by name.
    """
    console, started = Console(soft_wrap=True), time.perf_counter()
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    console.rule("1. a log: users who drift from community to community")
    log = communities(**sizes, seed=seed)
    console.print(repr(log), highlight=False)
    console.rule("2. its graphs, of training events only")
    kinds = ("user", "item")
    steps = [graphs.CoOccurrence(kind, top_k=50) for kind in kinds]
    graph = graphs.build_graph(leave_one_out(log), steps)
    found = graphs.summary(graph)
    console.print(found)
    console.rule("3. three models")
    trained = {}
    for name, (options, training) in MODELS.items():
        limit = {} if epochs is None else {"max_epochs": epochs}
        trained[name] = _train(name, graph, options, {**training, **limit}, seed)
        run = trained[name].run
        console.print(f"{name:<7} {run.epochs:>3} epochs  {run.cpu_seconds:5.1f} CPU s")
    console.rule("4. the whole catalogue ranked for every user, last item held out")
    console.print(table({name: t.report for name, t in trained.items()}, ks=[10]))
    console.print(trained["POP"].report.card(), highlight=False, style="dim")
    console.rule("5. pictures")
    found.plot(output / "degrees.png")
    plot_learning({n: t.run for n, t in trained.items()}, output / "learning.png")
    plot_items(trained["SASRec"].model, graph, output / "items.png")
    for picture in ("degrees.png", "learning.png", "items.png"):
        console.print(f"{output / picture}")
    console.print(f"done in {time.perf_counter() - started:.0f} s")
    return trained


def _train(
    name: str,
    graph: HeteroData,
    options: dict[str, Any],
    training: dict[str, Any],
    seed: int,
) -> Trained:
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = models.create({name: options}, *sizes)
    run = fit(model, graph, seed=seed, progress=False, **training)
    return Trained(model, run, evaluate(model, graph, part="test"))


def plot_learning(runs: Mapping[str, Run], path: Path, metric: str = "NDCG@10") -> None:
    """Draw the validation metric of every epoch; what is not trained is a level."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, run in runs.items():
        rows = [row for row in run.history if row.get(metric) is not None]
        if run.epochs == 0:
            axes.axhline(rows[0][metric], label=name, color="0.5", linestyle="--")
            continue
        epochs, values = [r["epoch"] for r in rows], [r[metric] for r in rows]
        axes.plot(epochs, values, marker="o", markersize=3, label=name)
    axes.set(
        xlabel="epoch", ylabel=f"validation {metric}, history kept", ylim=(0, None)
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def plot_items(model: Model, graph: HeteroData, path: Path) -> None:
    """Draw the item vectors on their two main axes.

    Colours are communities found in the item-item graph, of which a model that reads
    only sequences has never heard: neighbours in one picture are neighbours in both.
    """
    from matplotlib.figure import Figure

    with torch.no_grad():
        vectors = torch.nn.functional.normalize(model.item_vectors(graph).float())
    vectors = vectors - vectors.mean(dim=0)
    _, _, axes_of = torch.linalg.svd(vectors, full_matrices=False)
    x, y = (vectors @ axes_of[:2].T).T.numpy()
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.scatter(x, y, c=_communities(graph), cmap="tab20", s=14, linewidths=0)
    axes.set(
        title=f"{type(model).__name__}'s item vectors; colours from the item graph",
        xticks=[],
        yticks=[],
    )
    figure.savefig(path, dpi=130)


def _communities(graph: HeteroData) -> list[int]:
    """The community of every item in the item-item graph, by Louvain's method."""
    import networkx

    found = networkx.Graph()
    found.add_nodes_from(range(graph["item"].num_nodes))
    edges = graph[ITEM_CO_OCCURS]
    pairs = zip(*edges.edge_index.tolist(), edges.edge_weight.tolist(), strict=True)
    found.add_weighted_edges_from(pairs)
    parts = networkx.community.louvain_communities(found, seed=0)
    part_of = {item: part for part, items in enumerate(parts) for item in items}
    return [part_of[item] for item in range(len(part_of))]
