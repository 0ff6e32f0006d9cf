"""Updating a graph with the newest events, compared with a full build.

    python -m benchmarks.update [EVENTS]

A heavy-tailed log (1,000,000 events of 60,000 users and 30,000 items by default)
is sorted by time; its last 0.1 %, 1 % and 10 % are the new events. The
split is leave-one-out, so that each user of a new event also gets another target. CPU
seconds of one thread, the lowest of three runs; reading and saving are not in them.
"""

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

import numpy as np
import polars as pl

from benchmarks.logs import heavy_tailed
from graphseq.data import Interactions, append, leave_one_out
from graphseq.graphs import CoOccurrence, build_graph, graph_hash, update_graph

EVENTS, RUNS = 1_000_000, 3
FRACTIONS = (0.001, 0.01, 0.1)
TITLES = ("edges", "new events", "rows computed", "of the work", "update", "build")


def log_in_time(events: int) -> pl.DataFrame:
    """Raw ids of a heavy-tailed log, in order of time."""
    users, items = events * 6 // 100, events * 3 // 100
    log = heavy_tailed(users, items, events)
    times = np.random.default_rng(1).permutation(len(log))
    frame = log.frame().with_columns(time=pl.Series(times))
    return frame.sort("time")


def seconds(work: Callable[..., object], *arguments: object) -> float:
    found = []
    for _ in range(RUNS):
        began = time.process_time()
        work(*arguments)
        found.append(time.process_time() - began)
    return min(found)


def main(events: int) -> None:
    frame = log_in_time(events)
    print(f"### Updates of a log of {len(frame):,} events (CPU seconds, one thread)\n")
    print(f"| {' | '.join(TITLES)} | speed-up |\n|---|---|---|---|---|---|---|")
    for kind in ("user", "item"):
        for weight in ("count", "cosine"):
            steps = [CoOccurrence(kind, weight=weight)]  # type: ignore[arg-type]
            for fraction in FRACTIONS:
                cut = round(len(frame) * (1 - fraction))
                parts = frame.head(cut), frame.tail(len(frame) - cut)
                old, new = map(Interactions.from_frame, parts)
                split = leave_one_out(append(old, new))
                older = build_graph(leave_one_out(old), steps)
                done, [of] = update_graph(older, split, steps)
                assert graph_hash(done) == graph_hash(build_graph(split, steps))
                update = seconds(update_graph, older, split, steps)
                build = seconds(build_graph, split, steps)
                print(
                    f"| {kind}-{kind}, {weight} | {fraction:.1%} | {of.rows:,} of "
                    f"{of.all_rows:,} | {of.work / of.all_work:.1%} | {update:.2f} | "
                    f"{build:.2f} | {build / update:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS)
