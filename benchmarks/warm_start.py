"""Training goes on after more events: a warm start against a full retraining.

Of a log in time order, the first nine tenths of the events train a run. Then all events
are there, with new users and items, and SASRec is trained again from the beginning, and
from the earlier run. Reported are the test NDCG@10 (history excluded) and CPU seconds.

    OMP_NUM_THREADS=1 python -m benchmarks.warm_start LOG [FORMAT] [SEED]
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.data import Interactions

EPOCHS, PATIENCE, FEW = 60, 4, 4


def graph_of(log: Interactions) -> HeteroData:
    log = gs.k_core(log, user=5, item=5)
    return gs.build_graph(gs.leave_one_out(log), [gs.CoOccurrence("item")])


def train(graph: HeteroData, seed: int, **options: object) -> tuple[float, float, int]:
    """NDCG@10, CPU seconds and epochs of a run."""
    torch.manual_seed(seed)
    model = gs.models.SASRec(graph["user"].num_nodes, graph["item"].num_nodes)
    start = time.process_time()
    run = gs.fit(model, graph, seed=seed, progress=False, threads=1, **options)
    seconds = time.process_time() - start
    report = gs.evaluate(model, graph)
    return report["excluded"]["NDCG@10"], seconds, run.epochs


def main(path: str, format: str | None, seed: int) -> None:
    log = gs.read_log(path, format=format)
    earlier = log.subset(log.time <= np.quantile(log.time, 0.9))
    old, new = graph_of(earlier), graph_of(log)
    sizes = [[g[kind].num_nodes for kind in ("user", "item")] for g in (old, new)]
    print(f"users and items: {sizes[0]} before, {sizes[1]} after; seed {seed}")
    print("| training | NDCG@10 | CPU s | epochs |\n|---|---|---|---|")
    usual = {"max_epochs": EPOCHS, "patience": PATIENCE}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "old"
        train(old, seed, folder=folder, **usual)
        ways = {
            "from the beginning": usual,
            "from the earlier run": {"max_epochs": FEW, "start": folder},
            "the same, new items fresh": {
                "max_epochs": FEW,
                "start": folder,
                "new_items": "fresh",
            },
            "as many epochs from the beginning": {"max_epochs": FEW},
        }
        for name, options in ways.items():
            ndcg, seconds, epochs = train(new, seed, **options)
            print(f"| {name} | {ndcg:.4f} | {seconds:.0f} | {epochs} |", flush=True)


if __name__ == "__main__":
    words = [*sys.argv[1:], None, None][:3]
    main(words[0], words[1], int(words[2] or 0))
