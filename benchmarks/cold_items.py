"""Items without events: a tenth of the items of Amazon Beauty, held out of training.

Models are trained without these items, which are then added by their attributes, or by
vectors made of them: TF-IDF of the attributes, centred, reduced by a singular value
decomposition to rows of unit length. The test users are those whose last event is one
of the new items. Reported are metrics of the target among all items and among the new
ones, and NDCG@10 of the usual test users, before the addition and after it (history
excluded). ``nearest`` ranks by the cosine to the mean vector of the history.

    OMP_NUM_THREADS=1 python -m benchmarks.cold_items LOG ATTRIBUTES [SEED] [EPOCHS]
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.data import hold_out_items
from graphseq.data.attributes import read_attributes
from graphseq.data.cold_items import ColdItems
from graphseq.graphs import Attributes, ItemVectors, extend_items
from graphseq.nn import Features, Pretrained, Propagated, embed_items
from graphseq.sequences.batch import Batch, histories
from graphseq.sequences.rows import newest

SIZE = 128  # numbers of a vector
COMMON = 5  # an attribute of fewer items describes no new item
Make = Callable[[int], Features | None]
Score = Callable[[Batch], torch.Tensor]
FEATURES: dict[str, tuple[str, Make]] = {
    "ids": ("", lambda items: None),
    "vectors, linear": ("x", lambda items: Pretrained(items, size=SIZE)),
    "vectors, MLP": ("x", lambda items: Pretrained(items, size=SIZE, adapter="mlp")),
    "vectors and ids": ("x", lambda items: Pretrained(items, size=SIZE, ids=True)),
    "ids over attributes": ("has", lambda items: Propagated(items, relation="has")),
    "ids over attributes, last": (
        "has",
        lambda items: Propagated(items, relation="has", readout="last"),
    ),
}
"""What describes new items, and the item features, by name."""


class Data(NamedTuple):
    """The held-out items, the graph of the others, and what describes both."""

    cold: ColdItems
    graph: HeteroData
    steps: dict[str, Any]


def vectors_of(pairs: pl.DataFrame) -> pl.DataFrame:
    """A vector for each item, from its attributes alone."""
    items, item = gs.data.Vocabulary.number(pairs["item"])
    names, name = gs.data.Vocabulary.number(pairs["attribute"])
    matrix = torch.zeros(len(items), len(names))
    matrix[torch.tensor(item), torch.tensor(name)] = 1
    matrix = F.normalize(matrix * (len(items) / matrix.sum(dim=0)).log())
    u, s, _ = torch.linalg.svd(matrix - matrix.mean(dim=0), full_matrices=False)
    rows = F.normalize(u[:, :SIZE] * s[:SIZE])
    return pl.DataFrame({"item": items.ids, "vector": rows.numpy()})


def read(log: str, attributes: str, seed: int) -> Data:
    """The log without some items that attributes describe."""
    pairs = read_attributes(Path(attributes).absolute(), root=".").cast(pl.String)
    described = pairs.filter(pl.len().over("attribute") >= COMMON)
    among = described["item"].unique(maintain_order=True)
    cold = hold_out_items(gs.read_log(log), fraction=0.1, seed=seed, among=among)
    lists = pairs.group_by("item", maintain_order=True).agg("attribute")
    table = dict(lists.iter_rows())
    steps = {"x": ItemVectors(vectors_of(pairs)), "has": Attributes(table)}
    return Data(cold, gs.build_graph(cold.split, [*steps.values()]), steps)


def hit_rates(score: Score, graph: HeteroData, cold: ColdItems) -> list[float]:
    """HR@10 and HR@20 of the targets among all items, HR@10 among the new ones.

    Many items have the same attributes. Items of equal scores count in random order:
    these are expected rates. ``evaluate`` ranks the known ones first.
    """
    size, rows = graph["item"].num_nodes, cold.test
    first, hits = size - len(cold.items), np.zeros(3)
    for part in torch.arange(len(rows.user)).split(512):
        batch = histories(rows, part, 2**31 - 1, size)
        scores = score(batch).float()
        scores = F.pad(scores, (0, 1)).scatter(1, batch.items, -torch.inf)[:, :size]
        own = scores.gather(1, rows.target[part][:, None])
        for number, (k, start) in enumerate(((10, 0), (20, 0), (10, first))):
            above = (scores[:, start:] > own).sum(dim=1)
            equal = (scores[:, start:] == own).sum(dim=1)
            hits[number] += float(((k - above) / equal).clamp(0, 1).sum())
    return list(hits / len(rows.user))


def nearest(graph: HeteroData) -> Score:
    """The cosine to the mean vector of the history, without a model."""
    x = graph["item"].x
    return lambda batch: embed_items(x, batch.items).mean(dim=1) @ x.T


def main(log: str, attributes: str, seed: int, epochs: int) -> None:
    data = read(log, attributes, seed)
    cold, graph, new = data.cold, data.graph, len(data.cold.items)
    users, items = (graph[kind].num_nodes for kind in ("user", "item"))
    print(
        f"{users:,} users, {items:,} items in training, {new:,} new items, "
        f"{len(cold.test.user):,} users with a new item as target; seed {seed}\n"
    )
    rates = "HR@10", "HR@20", "HR@10 among new"
    row("ranking by", *rates, "usual NDCG@10", "after", "epochs", "CPU s")
    row(*["---"] * 8)
    every = extend_items(graph, [data.steps["x"]], cold.items)
    popular = gs.models.POP(users, items + new)
    row("chance", 10 / (items + new), 20 / (items + new), 10 / new, *["–"] * 4)
    row("POP", *hit_rates(score_of(popular, every), every, cold), *["–"] * 4)
    row("nearest", *hit_rates(nearest(every), every, cold), *["–"] * 4)
    for name, (step, make) in FEATURES.items():
        torch.manual_seed(seed)
        model = gs.models.SASRec(users, gs.Backbone(items, features=make(items)))
        start = time.process_time()
        options: dict[str, Any] = {"max_epochs": epochs, "patience": 4, "seed": seed}
        options |= {"precision": "bf16-softmax", "threads": 1, "progress": False}
        run = gs.fit(model, graph, **options)
        spent = str(run.epochs), f"{time.process_time() - start:.0f}"
        usual = gs.evaluate(model, graph)["excluded"]["NDCG@10"]
        if not step:
            row(name, *["–"] * 3, usual, "–", *spent)
            continue
        larger, extended = gs.add_items(
            model, graph, [data.steps[step]], items=cold.items
        )
        after = gs.evaluate(larger, extended)["excluded"]["NDCG@10"]
        found = hit_rates(score_of(larger, extended), extended, cold)
        row(name, *found, usual, after, *spent)


def score_of(model: gs.models.Model, graph: HeteroData) -> Score:
    """The scores of a model in evaluation mode."""
    model.eval()
    return lambda batch: model.score(newest(batch, model.max_length), graph)


def row(*cells: str | float) -> None:
    """Print a row of the table."""
    shown = (cell if isinstance(cell, str) else f"{cell:.4f}" for cell in cells)
    print("|", " | ".join(shown), "|", flush=True)


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    main(given[1], given[2], int(given.get(3, 0)), int(given.get(4, 16)))
