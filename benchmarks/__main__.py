"""All benchmarks, one after the other: ``python -m benchmarks``, or ``make bench``.

They read Amazon Beauty from the folder of ``graphseq get amazon-beauty``: the one that
``GRAPHSEQ_DATA`` names, else the cache. Without it, the benchmarks that need it are
skipped. ``python -m benchmarks.scale``, ``benchmarks.spark``, ``benchmarks.recommend``,
``benchmarks.warm_start`` and ``benchmarks.cold_items`` take long,
``benchmarks.accelerators`` needs what is compiled, and ``benchmarks.authors`` needs
programs of others; they are run separately.
"""

import os
import subprocess
import sys

from benchmarks.cases import beauty_file

NEEDS_DATA = ("training", "where_time_goes", "models", "filters", "evaluation")
OTHERS = ("startup", "reading", "graphs", "propagation", "threads")


def main() -> int:
    beauty = beauty_file()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    failed = 0
    for name in (*NEEDS_DATA, *OTHERS):
        print(f"\n## {name}\n", flush=True)
        if name in NEEDS_DATA and beauty is None:
            print("skipped, Amazon Beauty not found: run graphseq get amazon-beauty")
            continue
        command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"]
        command += [str(beauty)] if name in NEEDS_DATA else []
        own = dict(os.environ) if name == "threads" else environment
        failed += subprocess.run(command, env=own, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
