"""The cost of the Spark engine compared with the local one: one build, two sizes.

    python -m benchmarks.spark                      # 1 and 5 million events

Logs are those of ``logs.books``, as CSV with a time; item-item edges, ``count:50``.
Both engines have two cores (``local[2]``, two threads). Wall time and memory are of all
processes together, Java's and Python's, from start to end; CPU seconds, of all that
have ended. Adds rows to benchmarks/spark.csv.
"""

import csv
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import polars as pl

from benchmarks.logs import books

RESULTS = Path(__file__).with_name("spark.csv")
COLUMNS = ["engine", "events", "wall_s", "cpu_s", "peak_gb", "load", "hash"]
SIZES = (1_000_000, 5_000_000)
SUBREAPER = 36  # prctl: adopt orphaned grandchildren, to count their CPU time


def write_log(events: int, file: Path) -> None:
    log = books(events)
    rows = pl.DataFrame({"user": log.user, "item": log.item})
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=0)
    times = pl.int_range(10**9, 10**9 + len(log), eager=True).alias("time")
    shuffled.with_columns(times).write_csv(file)


def measure(engine: str, file: Path, output: Path) -> dict[str, object]:
    """One build in processes of its own."""
    command = [sys.executable, "-m", "graphseq", "build", str(file), "--output"]
    command += [str(output), "--user-user", "none", "--no-log", "--engine", engine]
    command += ["--master", "local[2]"] if engine == "spark" else []
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    before, began = os.times(), time.monotonic()
    build = subprocess.Popen(command, env=environment, start_new_session=True)
    most = 0
    while build.poll() is None:
        most = max(most, session_memory(build.pid))
        time.sleep(0.5)
    wall = time.monotonic() - began
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    description = (output / "graph.json").read_text()
    return {
        "engine": engine,
        "wall_s": round(wall, 1),
        "cpu_s": round(used, 1),
        "peak_gb": round(most / 1e9, 2),
        "load": round(os.getloadavg()[0], 1),
        "hash": description.partition('"graph_hash": "')[2][:12],
    }


def session_memory(leader: int) -> int:
    """Bytes that all processes of a session hold, shared pages counted once."""
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(stat[3]) == leader:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                pss = next(line for line in lines if line.startswith("Pss:"))
                total += 1024 * int(pss.split()[1])
    return total


def main() -> None:
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file, tempfile.TemporaryDirectory() as name:
        rows = csv.DictWriter(file, COLUMNS)
        if is_new:
            rows.writeheader()
        for events in sizes:
            log = Path(name, f"{events}.csv")
            write_log(events, log)
            for engine in ("local", "spark"):
                row = measure(engine, log, Path(name, f"{engine}-{events}"))
                rows.writerow({**row, "events": events})
                file.flush()
                print(row)


if __name__ == "__main__":
    main()
