"""Lists for one million users on a catalogue of the size of Amazon Beauty.

The log is synthetic: one million users, 12,101 items, about nine events each. SASRec is
not trained, which changes no time. Reported are the CPU seconds and the peak memory of
loading the run, and of writing ten items for everyone to a Parquet file.

    OMP_NUM_THREADS=1 python -m benchmarks.recommend [USERS]
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import graphseq as gs
from graphseq.data import Interactions
from graphseq.recommend import write_lists
from graphseq.runtime import format_bytes, peak_memory
from graphseq.training import load_run

ITEMS, LENGTH = 12_101, 8.9


def synthetic_log(users: int) -> Interactions:
    """Users of at least five events; items by a power law."""
    rng = np.random.default_rng(0)
    lengths = 5 + rng.geometric(1 / (LENGTH - 4), users) - 1
    user = np.repeat(np.arange(users), lengths)
    item = np.minimum(rng.zipf(1.3, len(user)) - 1, rng.integers(0, ITEMS, len(user)))
    return Interactions.from_arrays(user, item % ITEMS, np.arange(len(user)))


def make_run(users: int, folder: Path) -> None:
    """An untrained run of SASRec, with its graph."""
    log = synthetic_log(users)
    log = Interactions.from_arrays(
        log.user, log.item, log.time, items=gs.data.Vocabulary.numbered(ITEMS)
    )
    graph = gs.build_graph(gs.leave_one_out(log))
    torch.manual_seed(0)
    model = gs.models.SASRec(log.num_users, log.num_items)
    gs.fit(model, graph, folder=folder, max_epochs=0, monitor=None, progress=False)


def report(part: str, start: float) -> None:
    seconds = time.process_time() - start
    print(f"| {part} | {seconds:.1f} | {format_bytes(peak_memory())} |", flush=True)


def main(run: Path, path: Path) -> None:
    print("| part | CPU s | peak memory so far |\n|---|---|---|")
    start = time.process_time()
    loaded = load_run(run)
    recommender = gs.Recommender(loaded.model(), loaded.graph())
    report("load the run", start)
    start = time.process_time()
    rows = write_lists(recommender.batches(k=10), path)
    report(f"write {rows:,} rows", start)
    size = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    lists = format_bytes(path.stat().st_size)
    print(f"\nrun folder: {format_bytes(size)}; lists: {lists}")


if __name__ == "__main__":
    import subprocess

    if len(sys.argv) == 3:
        make_run(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        number = sys.argv[1] if len(sys.argv) == 2 else "1000000"
        with tempfile.TemporaryDirectory() as place:
            made = Path(place) / "run"
            command = [sys.executable, "-m", "benchmarks.recommend", number, str(made)]
            subprocess.run(command, check=True)
            main(made, Path(place) / "lists.parquet")
