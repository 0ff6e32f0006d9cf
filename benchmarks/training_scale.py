"""The cost of training and evaluation as users and items grow, up to the size of Books.

One epoch of SASRec with a sampled softmax, and the ranks of all test users among all
items under both protocols, on the logs of ``logs.books`` (459,133 users, 313,966 items
and 8,898,041 events at full size). One thread; each size in a process of its own, whose
peak memory includes Python, torch, the log and the graph.

    python -m benchmarks.training_scale              # appends to training_scale.csv
    python -m benchmarks.training_scale 556128       # one size, in this process
"""

import csv
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

import graphseq as gs
from benchmarks.logs import books

SIZES = (556_128, 2_224_510, 8_898_041)
SAMPLED, BATCH = 1024, 4096
RESULTS = Path(__file__).with_name("training_scale.csv")
COLUMNS = ["users", "items", "events", "epoch_cpu_s", "evaluation_cpu_s"]
COLUMNS += ["peak_gb", "load"]


def measure(events: int) -> dict[str, float]:
    torch.set_num_threads(1)
    graph = gs.build_graph(gs.leave_one_out(books(events)))
    users, items = graph["user"].num_nodes, graph["item"].num_nodes
    backbone = gs.models.Backbone(
        items, encoder=gs.nn.Transformer(), loss="sampled", num_negatives=SAMPLED
    )
    model = gs.models.SASRec(users, backbone)
    options = {"max_epochs": 1, "monitor": None, "batch_size": BATCH}
    run = gs.fit(model, graph, threads=1, progress=False, **options)
    start = time.process_time()
    gs.evaluate(model, graph)
    return {
        "users": users,
        "items": items,
        "events": events,
        "epoch_cpu_s": round(run.cpu_seconds, 1),
        "evaluation_cpu_s": round(time.process_time() - start, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    if sizes := sys.argv[1:]:
        print(*measure(int(sizes[0])).values(), sep=",")
        return
    for events in SIZES:
        command = [sys.executable, "-m", "benchmarks.training_scale", str(events)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        row = answer.stdout.splitlines()[-1].split(",")
        print(*row, flush=True)
        is_new = not RESULTS.exists()
        with RESULTS.open("a", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([COLUMNS] * is_new + [row])


if __name__ == "__main__":
    main()
