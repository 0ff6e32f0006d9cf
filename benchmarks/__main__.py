"""All benchmarks, one after the other: ``python -m benchmarks``, or ``make bench``.

They read Amazon Beauty from ``$GRAPHSEQ_SHARED/data`` (``../shared/data`` if it is not
set); those that need it are left out, with a word, where it is absent. What large logs
cost, ``python -m benchmarks.scale``, takes long and is asked for by itself.
"""

import os
import subprocess
import sys
from pathlib import Path

NEEDS_DATA = ("training", "where_time_goes", "models", "evaluation")
OTHERS = ("reading", "graphs", "propagation", "threads")


def main() -> int:
    shared = Path(os.environ.get("GRAPHSEQ_SHARED", "../shared"))
    beauty = shared / "data" / "amazon-beauty" / "Beauty.txt"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    failed = 0
    for name in (*NEEDS_DATA, *OTHERS):
        print(f"\n## {name}\n", flush=True)
        if name in NEEDS_DATA and not beauty.is_file():
            print(f"left out: there is no {beauty}; set GRAPHSEQ_SHARED")
            continue
        command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"]
        command += [str(beauty)] if name in NEEDS_DATA else []
        own = dict(os.environ) if name == "threads" else environment
        failed += subprocess.run(command, env=own, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
