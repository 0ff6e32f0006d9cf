"""Measure each way in a process of its own: CPU seconds and peak memory.

A case prepares its data and returns the function to time. A fresh process for each
keeps the memory of one case out of the peak of another; all use one thread.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphseq.data.datasets import data_folders

Case = Callable[[], tuple[Callable[[], object], int]]
"""Prepares the data; returns the function to time and the number of repeats."""

MEMORY_LIMIT = 12 * 10**9  # bytes of address space; larger cases fail early
GIGA = 1e9
KIBI = 1024


def beauty_file() -> Path | None:
    """Amazon Beauty in the folder of ``graphseq get``; ``None`` if it is absent."""
    files = [folder / "amazon-beauty" / "Beauty.txt" for folder in data_folders()]
    return next((file for file in files if file.is_file()), None)


def main(module: str, cases: dict[str, Case], title: str) -> None:
    """Measure all cases and print a Markdown table; given a case, measure it.

    Names are ``task: way``; ratios are relative to the first way of a task.
    """
    if len(sys.argv) == 2:
        print(json.dumps(_measure(cases[sys.argv[1]])))
        return
    print(f"### {title}\n")
    print("| task | way | CPU s, median | lowest | of | times ours | peak memory |")
    print("|---|---|---|---|---|---|---|")
    ours: dict[str, float] = {}
    for name in cases:
        found = _in_process(module, name)
        task, way = name.split(": ", 1)
        if "failed" in found:
            print(f"| {task} | {way} | {found['failed']} | | | | |", flush=True)
            continue
        median = statistics.median(found["seconds"])
        ours.setdefault(task, median)
        spread = f"{min(found['seconds']):.3g} | {len(found['seconds'])}"
        memory = f"{found['peak']:.2f} GB ({found['before']:.2f} before)"
        ratio = f"{median / ours[task]:.1f}"
        print(
            f"| {task} | {way} | {median:.3g} | {spread} | {ratio} | {memory} |",
            flush=True,
        )


def _in_process(module: str, name: str) -> dict[str, Any]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    done = subprocess.run(
        [sys.executable, "-m", module, name],
        capture_output=True,
        text=True,
        env=os.environ | dict.fromkeys(names, "1"),
        cwd=Path(__file__).resolve().parents[1],
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        memory = "alloc" in last.lower() or "memory" in last.lower()
        return {"failed": "out of 12 GB of memory" if memory else last[:120]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(case: Case) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    run, repeats = case()
    before, seconds = _peak(), []
    for _ in range(repeats):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return {"seconds": seconds, "peak": _peak(), "before": before}


def _peak() -> float:
    """Peak resident memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBI / GIGA
