"""CPU seconds of imports and of first mistakes at the command line.

Usage: python -m benchmarks.startup

Each row is the best of three fresh processes: user and system time.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

CODE = {
    "import graphseq": "import graphseq",
    "graphseq.read_log": "import graphseq; graphseq.read_log",
    "import torch": "import torch",
    "import torch_geometric": "import torch_geometric",
    "graphseq.build_graph": "import graphseq; graphseq.build_graph",
    "graphseq.fit": "import graphseq; graphseq.fit",
}
COMMANDS = (
    "--help",
    "build nothing.csv --output graph",
    "build log.csv --output graph --columns user=a item=b",
    "build log.csv --output graph --user-user coutn",
    "show nothing",
    "train nothing.yaml",
    "evaluate nothing",
    "compare nothing nothing",
    "get nothing",
)


def seconds(words: list[str], folder: str) -> float:
    """CPU seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    rows = {name: ["-c", code] for name, code in CODE.items()}
    rows |= {f"graphseq {c}": ["-m", "graphseq", *c.split()] for c in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "log.csv").write_text("user,item,time\na,b,1\n")
        for name, words in rows.items():
            best = min(seconds(words, folder) for _ in range(3))
            print(f"{name:<55} {best:5.2f} CPU s", flush=True)


if __name__ == "__main__":
    main()
