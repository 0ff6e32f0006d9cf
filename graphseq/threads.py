"""How many threads a tensor operation uses: a default that leaves others their share.

OpenMP threads that wait for work spin, and on a machine that others use too they spin
away the time in which someone else would have finished: two to three times the CPU
seconds, for no gain in wall time. Two rules avoid it. Threads sleep instead of
spinning (:func:`prepare`, before torch is imported), and there are never more of them
than cores that are free (:func:`free_cores`). ``benchmarks/threads.py`` measures both.

A variable that is set in the environment (``OMP_NUM_THREADS``, ``OMP_WAIT_POLICY``, …)
and a number that is passed always win over these defaults.
"""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

SLEEPING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # the standard's word; libgomp, which torch ships
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's libraries
}

_limit: ContextVar[int | None] = ContextVar("graphseq_threads", default=None)


def prepare() -> None:
    """Ask OpenMP's threads to sleep while they wait.

    It has an effect only before torch is imported, imports nothing itself, and leaves
    alone what the environment already says.
    """
    for name, value in SLEEPING.items():
        os.environ.setdefault(name, value)


def free_cores() -> int:
    """Cores that this process may use and that nobody else is using; at least one.

    Allowed are the cores of the process's affinity mask and of its cgroup's quota; of
    the machine's cores, the busy ones are subtracted (:func:`busy_cores`).
    """
    idle = (os.cpu_count() or 1) - busy_cores()
    return max(1, min(allowed_cores(), round(idle)))


def allowed_cores() -> int:
    """Cores of the affinity mask, or fewer if the cgroup has a smaller quota."""
    mask = getattr(os, "sched_getaffinity", None)
    cores = len(mask(0)) if mask else os.cpu_count() or 1
    return max(1, min(cores, int(cgroup_quota() or cores)))


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores that the container's CPU quota amounts to; ``None`` if there is none."""
    try:
        if (root / "cpu.max").exists():  # version 2
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no cgroup, or the quota is "max"
        return None


def busy_cores(loadavg: Path = Path("/proc/loadavg"), samples: int = 7) -> float:
    """Cores that run something else now.

    Counts the runnable threads of the machine, without the one that counts, and takes
    the median of some milliseconds. The load average would still hold what this process
    did a minute ago, and not yet hold what another has just begun; it stands in where
    the system does not count runnable threads.
    """
    try:
        return statistics.median(_runnable(loadavg) - 1 for _ in range(samples))
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):  # not every system counts it
        return 0.0


def _runnable(loadavg: Path) -> float:
    time.sleep(0.005)
    return float(loadavg.read_text().split()[3].split("/")[0])


def default() -> int:
    """Threads to use when nobody says: ``OMP_NUM_THREADS``, or the free cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return max(1, int(asked)) if asked.isdecimal() else free_cores()


def in_force() -> int:
    """Threads that an enclosing :func:`limited` has set; else :func:`default`."""
    return _limit.get() or default()


@contextmanager
def limited(number: int | None = None) -> Iterator[int]:
    """Run torch with so many intra-op threads, and restore the number afterwards.

    Args:
        number: Threads; ``None`` keeps what an enclosing ``limited`` has set, and
            takes :func:`default` where there is none.

    Yields:
        The number in force.

    Raises:
        ValueError: If ``number`` is not positive.
    """
    import torch

    if number is not None and number < 1:
        raise ValueError(f"threads must be 1 or more, got {number}")
    number = number or in_force()
    before, token = torch.get_num_threads(), _limit.set(number)
    torch.set_num_threads(number)
    try:
        yield number
    finally:
        torch.set_num_threads(before)
        _limit.reset(token)


def environment(number: int) -> dict[str, str]:
    """Variables that give a process started with them so many threads.

    They are a default there, too: a number that is passed in it still wins.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return SLEEPING | dict.fromkeys(names, str(number))
