"""The cost of co-occurrence as logs grow, compared with scipy and implicit.

    python -m benchmarks.scale              # all; appends to benchmarks/scale.csv
    python -m benchmarks.scale hubs         # effect of --hub-cap
    python -m benchmarks.scale graphseq item 8898041    # one row, in this process

Two threads, each way in a process of its own; logs are those of ``logs.books``. Scipy
computes the full product without pruning, and is skipped if that would take more than
8 GB. implicit (``pip install implicit``) is skipped if it is not installed.
"""

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.logs import beauty, books
from graphseq.data import Interactions, Split
from graphseq.data.split import held_out
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.graphs.build import interaction_matrix
from graphseq.graphs.cost import estimate

TOP, THREADS = 50, "2"
RESULTS = Path(__file__).with_name("scale.csv")
COLUMNS = ["way", "nodes", "events", "multiply_adds", "edges"]
COLUMNS += ["wall_s", "cpu_s", "peak_gb", "load"]
ROOM = 8e9  # bytes that scipy's product may take
CURVE = (100_000, 300_000, 1_000_000, 3_000_000, 8_898_041, 20_000_000, 50_000_000)
Run = Callable[[], int]
"""Does the work and returns the number of edges."""


def graphseq(log: Interactions, kind: str) -> Run:
    full, step = everything(log), CoOccurrence(kind, top_k=TOP)  # type: ignore[arg-type]
    small = everything(Interactions.from_arrays([0] * 2, [0, 1]))
    build_graph(small, [step])  # imports and compiles in advance

    def run() -> int:
        index = build_graph(full, [step])[kind, "co_occurs", kind].edge_index
        return int(index.shape[1])

    return run


def scipy(log: Interactions, kind: str) -> Run:
    nodes = chosen(log, kind)
    made = estimate(log, [CoOccurrence(kind, top_k=None)])[0]  # type: ignore[arg-type]
    if (need := 12 * (made.edges or 0)) > ROOM:
        raise SystemExit(f"skipped: {need / 1e9:.0f} GB")
    return lambda: int((nodes @ nodes.T).nnz)


def implicit(log: Interactions, kind: str) -> Run:
    try:
        from implicit.nearest_neighbours import ItemItemRecommender
    except ImportError:
        raise SystemExit("skipped: implicit is not installed") from None
    nodes = chosen(log, kind).T.tocsr().astype(np.float64)
    model = ItemItemRecommender(K=TOP + 1, num_threads=int(THREADS))  # and itself

    def run() -> int:
        model.fit(nodes, show_progress=False)
        return int(model.similarity.nnz)

    return run


WAYS = {"graphseq": graphseq, "scipy": scipy, "implicit": implicit}


def everything(log: Interactions) -> Split:
    """A split that trains on all events."""
    none = np.empty(0, np.int64)
    nothing_held_out = held_out(none, log.item, none, none, none)
    return Split(log, nothing_held_out, nothing_held_out, "none", {}, {})


def chosen(log: Interactions, kind: str) -> csr_matrix:
    matrix = interaction_matrix(build_graph(everything(log)), "this benchmark")
    return matrix if kind == "user" else matrix.T.tocsr()


def measure(way: str, kind: str, events: int) -> dict[str, object]:
    log = books(events)
    [cost] = estimate(log, [CoOccurrence(kind, top_k=TOP)])  # type: ignore[arg-type]
    run, load = WAYS[way](log, kind), os.getloadavg()[0]
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    wall, cpu = time.perf_counter(), time.process_time()
    edges = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e9  # type: ignore[index]
    results = (cost.operations, edges, f"{wall:.3f}", f"{cpu:.3f}", f"{peak:.3f}")
    values = (way, kind, events, *results, f"{load:.1f}")
    return dict(zip(COLUMNS, values, strict=True))


def hubs() -> None:
    """Fractions of the exact best edges and of the work that remain under each cap."""
    print(
        "| log | nodes | weight | cap | hubs | multiply-adds | CPU s | edges | weight |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    ways = [("user", "count"), ("user", "iuf"), ("item", "count")]
    for name, log, caps, cases in (
        ("Beauty", beauty(), (400, 200, 100, 50, 20), ways),
        ("Books' size", books(), (5000, 2000, 1000, 500, 200), ways[:1]),
    ):
        for kind, weight in cases:
            nodes = chosen(log, kind)
            sizes = np.bincount(nodes.indices, minlength=nodes.shape[1])
            exact = total = None
            for cap in (None, *caps):
                step = CoOccurrence(kind, weight=weight, hub_cap=cap)  # type: ignore[arg-type]
                work = estimate(log, [step])[0].operations or 0
                began = time.process_time()
                kept = step.pruned(nodes)
                seconds = time.process_time() - began
                exact, total = exact if exact is not None else kept, total or work
                there = csr_matrix((np.ones_like(kept.data), kept.indices, kept.indptr))
                there.resize(kept.shape)
                both = exact.multiply(there)
                weights = [each.data.sum(dtype=float) for each in (both, exact)]
                hub = 0 if cap is None else int((sizes > cap).sum())
                print(
                    f"| {name} | {kind} | {weight} | {cap or 'none'} | {hub:,} | "
                    f"{work / total:.1%} | {seconds:.2f} | {both.nnz / exact.nnz:.1%} "
                    f"| {weights[0] / weights[1]:.1%} |",
                    flush=True,
                )


def main() -> None:
    if sys.argv[1:] == ["hubs"]:
        hubs()
    elif len(sys.argv) == 4:
        way, kind, events = sys.argv[1:]
        row = measure(way, kind, int(events))
        csv.DictWriter(sys.stdout, COLUMNS).writerow(row)
    else:
        every()


def every() -> None:
    """All rows, cheap ones first."""
    cases = [(way, "item", events) for events in CURVE for way in WAYS]
    cases += [("graphseq", "user", CURVE[4])]
    environment = os.environ | {"OMP_NUM_THREADS": THREADS}
    with RESULTS.open("a", encoding="utf-8") as results:
        if not results.tell():
            print(*COLUMNS, sep=",", file=results)
        for case in cases:
            command = [sys.executable, "-m", "benchmarks.scale", *map(str, case)]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            output = done.stdout if done.returncode == 0 else done.stderr
            print(*case, (output.strip().splitlines() or ["killed"])[-1], flush=True)
            if done.returncode == 0:
                print(output.strip().splitlines()[-1], file=results, flush=True)


if __name__ == "__main__":
    main()
