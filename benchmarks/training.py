"""One SASRec epoch on Amazon Beauty over every target, full softmax: CPU s and memory.

One thread; each way in a process of its own, in turns, so that peak memory is its own
and all meet the same load. Compared with the same epoch with torch's
``cross_entropy`` on the full logits, and with the three matrix products of the softmax
alone, the lower bound.

    OMP_NUM_THREADS=1 python -m benchmarks.training path/to/Beauty.txt [--repeat 3]
    OMP_NUM_THREADS=1 python -m benchmarks.training path/to/Beauty.txt --until 0.0485
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

BATCH = 384
CHUNK = 64


def sasrec(path: str, *, naive: bool = False, **options: Any) -> dict[str, Any]:
    """An epoch, or several with validation, through the public ``fit``."""
    import torch
    import torch.nn.functional as F

    import graphseq as gs
    from graphseq.models import backbone as module

    if naive:
        module.cross_entropy = lambda h, w, t: F.cross_entropy(h @ w.T, t)
    log = gs.read_log(path, format="sequences")
    graph = gs.build_graph(gs.leave_one_out(log))
    torch.manual_seed(0)
    model = gs.models.SASRec(log.num_users, log.num_items)
    given = {"max_epochs": 1, "monitor": None} | options
    given |= {"batch_size": BATCH, "patience": None, "progress": False, "threads": 1}
    start = time.process_time()
    run = gs.fit(model, graph, **given)
    found = {"cpu": run.cpu_seconds, "with import": time.process_time() - start}
    if monitor := given["monitor"]:
        found["values"] = [row[monitor] for row in run.history]
        found["times"] = [row["cpu_seconds"] for row in run.times]
        report = gs.evaluate(model, graph)
        found["test"] = {kind: report[kind][monitor] for kind in ("kept", "excluded")}
    return found


def products(path: str) -> dict:
    """The three matrix products of the softmax, in chunks that stay in the cache."""
    import torch

    import graphseq as gs

    torch.set_num_threads(1)
    log = gs.read_log(path, format="sequences")
    targets = len(log) - 3 * log.num_users
    items = torch.randn(log.num_items, 64)
    rows, block = torch.randn(CHUNK, 64), torch.empty(CHUNK, log.num_items)
    gradient = torch.zeros_like(items)
    start = time.process_time()
    for _ in range(-(-targets // CHUNK)):
        torch.mm(rows, items.T, out=block)
        torch.mm(block, items)
        gradient.addmm_(block.T, rows)
    return {"cpu": time.process_time() - start}


WAYS = {
    "graphseq": sasrec,
    "graphseq, bf16-softmax": lambda path: sasrec(path, precision="bf16-softmax"),
    "graphseq, bf16-mixed": lambda path: sasrec(path, precision="bf16-mixed"),
    "full logits, torch": lambda path: sasrec(path, naive=True),
    "three products alone": products,
}


def apart(way: str, path: str) -> dict:
    """One way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", path, "--way", way]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="Beauty.txt")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--until", type=float, help="time to this validation NDCG@10")
    parser.add_argument("--precision", default="32-true", help="with --until")
    given = parser.parse_args()
    if given.way:
        found = WAYS[given.way](given.path)
        found["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
    elif given.until:
        options = {"max_epochs": 15, "precision": given.precision}
        found = sasrec(given.path, monitor="NDCG@10", **options)
        total = 0.0
        for epoch, (value, cpu) in enumerate(
            zip(found["values"], found["times"], strict=True), 1
        ):
            total += cpu
            print(f"epoch {epoch:2}  NDCG@10 {value:.4f}  {total:6.1f} CPU s in all")
            if value >= given.until:
                break
        print("test after all epochs:", found["test"])
    else:
        rounds = [
            {way: apart(way, given.path) for way in WAYS} for _ in range(given.repeat)
        ]
        print("| way | CPU s, median | ratio to ours, median | peak MB |")
        print("|---|---|---|---|")
        for way in WAYS:
            cpu = statistics.median(r[way]["cpu"] for r in rounds)
            ratios = [r[way]["cpu"] / r["graphseq"]["cpu"] for r in rounds]
            peak = max(r[way]["mb"] for r in rounds)
            print(
                f"| {way} | {cpu:.1f} | {statistics.median(ratios):.2f} | {peak:.0f} |"
            )


if __name__ == "__main__":
    main()
