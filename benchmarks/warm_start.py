r"""Training goes on after more events: a warm start against a full retraining.

A run is trained on an earlier log. Then all events are there, with new users and items,
and SASRec is trained again from the beginning, and from the earlier run. The earlier
log has either the first nine tenths of all events by time, or (for a log that has only
the order of each user's events) the first nine tenths of each user's events, without a
random twentieth of the items. From the run, a few epochs begin with a high learning
rate that falls to zero. Reported are the test NDCG@10 (history excluded; also of the
targets that are new items) and CPU seconds.

    OMP_NUM_THREADS=1 python -m benchmarks.warm_start \
        LOG [FORMAT] [time|user] [CORE] [SEED]

CORE: users and items with fewer events are left out, of both logs (default 4).
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.data import Interactions, Split
from graphseq.evaluation import Report
from graphseq.training.schedules import CosineDecay

FULL = {"max_epochs": 40, "patience": 3}
FEW = {"lr": 3e-3, "lr_schedule": CosineDecay(), "max_epochs": 5, "evaluate_every": 5}
FEWER = FEW | {"max_epochs": 4, "evaluate_every": 4}
USUAL = {"batch_size": 384, "monitor": "NDCG@10", "threads": 1, "progress": False}


def earlier_events(log: Interactions, order: str, seed: int) -> Interactions:
    if order == "time":
        return log.subset(log.time <= np.quantile(log.time, 0.9))
    new = np.random.default_rng(seed).random(log.num_items) < 0.05
    place = np.arange(len(log)) - np.repeat(log.pointers[:-1], log.lengths)
    lengths = np.repeat(log.lengths, log.lengths)
    return log.subset((place < 0.9 * lengths) & ~new[log.item])


def graph_of(log: Interactions, core: int) -> tuple[HeteroData, Split]:
    split = gs.leave_one_out(gs.k_core(log, user=core, item=core))
    return gs.build_graph(split, [gs.CoOccurrence("item")]), split


def train(graph: HeteroData, seed: int, **options: Any) -> tuple[Report, float, int]:
    """The test report, CPU seconds and epochs of a run."""
    torch.manual_seed(seed)
    backbone = gs.models.Backbone(
        graph["item"].num_nodes,
        encoder=gs.nn.Transformer(),
        loss="ce",
        sampler="targets",
    )
    model = gs.models.SASRec(graph["user"].num_nodes, backbone)
    start = time.process_time()
    run = gs.fit(model, graph, seed=seed, **USUAL, **options)
    seconds = time.process_time() - start
    return gs.evaluate(model, graph), seconds, run.epochs


def main(path: str, format: str | None, order: str, core: int, seed: int) -> None:
    log = gs.read_log(path, format=format)
    old, _ = graph_of(earlier_events(log, order, seed), core)
    new, split = graph_of(log, core)
    sizes = [[g[kind].num_nodes for kind in ("user", "item")] for g in (old, new)]
    print(f"users and items: {sizes[0]} before, {sizes[1]} after; seed {seed}")
    is_new = ~new["item"].vocabulary.ids.is_in(old["item"].vocabulary.ids.implode())
    targets = is_new.to_numpy()[split.test.target]
    are_new = pl.DataFrame({"user_index": split.test.user.numpy(), "new": targets})
    print(f"{are_new['new'].mean():.1%} of the targets are new items")
    print(
        "| training | NDCG@10 | of new items | CPU s | epochs |\n|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "old"
        train(old, seed, folder=folder, **FULL)
        for name, options in ways(folder):
            report, seconds, epochs = train(new, seed, **options)
            ndcg = report["excluded"]["NDCG@10"]
            rows = report.per_user.join(are_new, on="user_index")
            rows = rows.filter((pl.col("protocol") == "excluded") & pl.col("new"))
            of_new = rows["NDCG@10"].mean()
            print(
                f"| {name} | {ndcg:.4f} | {of_new:.4f} | {seconds:.0f} | {epochs} |",
                flush=True,
            )


def ways(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "from the beginning", FULL
    for name, few in (("five epochs", FEW), ("four epochs", FEWER)):
        for new_items in ("fitted", "neighbours"):
            options = {**few, "start": folder, "new_items": new_items}
            yield f"{name} from the earlier run, new items {new_items}", options
    fresh = {**FEW, "start": folder, "new_items": "fresh"}
    yield "five epochs from the earlier run, new items fresh", fresh
    yield "five epochs from the beginning", FEW


if __name__ == "__main__":
    words = [*sys.argv[1:], "", "", "", ""][:5]
    path, format, order, core, seed = words
    main(path, format or None, order or "time", int(core or 4), int(seed or 0))
