"""CPU seconds and wall seconds of a training loop next to a busy process.

Usage: python benchmarks/threads.py [--neighbours N] [--repeats N]

Each line is the median of fresh processes that run the same loop, forward and backward:
a transformer of two layers over 256 sequences of 50 positions (D = 64), and the product
of their last states with a catalogue of 12,101 items. Neighbours
are processes that keep a core busy. The variants differ only in how OpenMP waits. What
counts is the ratio between the lines, measured in turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "graphseq"
NEIGHBOUR = "while True: pass"
LOOP = """
import json, sys, time
import runtime  # the file alone: importing graphseq sets the variables
if json.loads(sys.argv[1]):
    runtime.sleep_while_waiting()
import torch
from torch import nn
with runtime.limit_threads():
    layer = nn.TransformerEncoderLayer(64, 2, 256, dropout=0.5, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2)
    items = nn.Embedding(12101, 64)
    read, target = torch.randint(12101, (256, 50)), torch.randint(12101, (256,))
    def step():
        last = encoder(items(read))[:, -1]
        nn.functional.cross_entropy(last @ items.weight.T, target).backward()
    step()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(6):
        step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps([wall, cpu, torch.get_num_threads()]))
"""
VARIANTS = {"spinning threads": False, "sleeping (graphseq)": True}
SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")


def measure(sleeping: bool) -> list[float]:
    """[wall seconds, CPU seconds, threads] of a fresh process."""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    code = f"import sys; sys.path.append({str(PACKAGE)!r})" + LOOP
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(sleeping)],
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Threads next to a busy process.")
    parser.add_argument("--neighbours", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    busy = [
        subprocess.Popen([sys.executable, "-c", NEIGHBOUR])
        for _ in range(options.neighbours)
    ]
    results: dict[str, list[list[float]]] = {name: [] for name in VARIANTS}
    try:
        for _ in range(options.repeats):  # in turns, under the same load
            for name, sleeping in VARIANTS.items():
                results[name].append(measure(sleeping))
    finally:
        for process in busy:
            process.kill()
    print(f"{os.cpu_count()} cores, {options.neighbours} busy neighbours")
    print(f"{'':20}{'threads':>8}{'wall s':>9}{'CPU s':>9}")
    for name, rows in results.items():
        wall, cpu, threads = (
            statistics.median(column) for column in zip(*rows, strict=True)
        )
        print(f"{name:20}{threads:>8.0f}{wall:>9.2f}{cpu:>9.2f}")


if __name__ == "__main__":
    main()
