"""The serving example under load: latency, and requests a second of one core.

python -m benchmarks.serving EXPORTED [--requests 2000] [--clients 1 4]

One server process with one thread for its products; clients in another process keep
their connections. Requests are divided by the server's CPU seconds, so that the load
of the machine does not count. Memory is that of the server after the requests.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(process: int) -> float:
    """Resident memory of a process, in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def connect(port: int) -> HTTPConnection:
    """A connection on which small packets are not delayed."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(port: int, bodies: list[bytes]) -> list[float]:
    """Send requests one after the other; the seconds of each."""
    connection = connect(port)
    seconds = []
    for body in bodies:
        start = time.perf_counter()
        connection.request(
            "POST", "/recommend", body, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        content = answer.read()
        seconds.append(time.perf_counter() - start)
        assert answer.status == 200, content
    return seconds


def start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A server, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        "-m",
        "uvicorn",
        "--app-dir",
        str(ROOT / "examples" / "serving"),
        "app:app",
    ]
    words += ["--port", str(port), "--log-level", "warning"]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {
        **os.environ,
        **threads,
        "MODEL": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    server = subprocess.Popen([sys.executable, *words], env=environment)
    for _ in range(600):
        try:
            connect(port).close()
            return server, port
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the server did not start")


def main() -> None:
    """Print a line for each number of clients."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    given = parser.parse_args()
    users = pl.read_parquet(given.folder / "users.parquet")
    items = pl.read_parquet(given.folder / "items.parquet")["item"].to_list()
    random.seed(0)
    rows = users.sample(given.requests, seed=0, with_replacement=True)
    histories = [
        [items[row] for row in known[-50:]] for known in rows["history"].to_list()
    ]
    bodies = {
        "users": [json.dumps({"users": [raw]}).encode() for raw in rows["user"]],
        "histories": [
            json.dumps({"histories": [known]}).encode() for known in histories
        ],
    }
    server, port = start(given.folder)
    try:
        ask(port, bodies["users"][:100])
        print(
            "request    clients  p50 ms  p99 ms  requests / server CPU s  resident MB"
        )
        for kind, every in bodies.items():
            for clients in given.clients:
                before = cpu_seconds(server.pid)
                with ThreadPoolExecutor(clients) as pool:
                    parts = [every[n::clients] for n in range(clients)]
                    each = [*pool.map(ask, [port] * clients, parts)]
                rate = len(every) / (cpu_seconds(server.pid) - before)
                times = sorted(1000 * seconds for part in each for seconds in part)
                p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
                print(
                    f"{kind:<10} {clients:>7} {p50:>7.2f} {p99:>7.2f} {rate:>24.0f} "
                    f"{resident(server.pid):>12.0f}"
                )
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
