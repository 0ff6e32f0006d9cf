"""How much memory this process has taken, and how much it may still take."""

import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")


def most_used() -> int:
    """Bytes of memory that this process held at most so far; 0 if nobody counts."""
    try:
        import resource
    except ImportError:  # no POSIX
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def available(proc: Path = PROC, cgroup: Path = CGROUP) -> int | None:
    """Bytes that this process could still take; ``None`` if the system does not say.

    The least of what the machine can give without swapping and of what is left of the
    memory limit of the container. What files are kept in memory counts as free.
    """
    found = [_of_machine(proc), _of_container(cgroup)]
    return min((size for size in found if size is not None), default=None)


def _of_machine(proc: Path) -> int | None:
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        figures = dict(line.split(":", 1) for line in lines if ":" in line)
        return 1024 * int(figures["MemAvailable"].split()[0])
    except (OSError, ValueError, LookupError):
        return None


def _of_container(cgroup: Path) -> int | None:
    """What a limit of version 2 or 1 leaves; ``None`` if there is no limit."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        try:
            most = int((cgroup / limit).read_text())  # "max" is no number
            taken = int((cgroup / used).read_text())
            stat = (cgroup / limit).with_name("memory.stat").read_text().split()
        except (OSError, ValueError):
            continue
        figures = dict(zip(stat[::2], map(int, stat[1::2]), strict=True))
        return max(0, most - taken + figures.get(cached, 0))
    return None


def spelt(size: int) -> str:
    """Bytes in words: 512 kB, 1.34 GB."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:,.3g} TB"
