"""Threads and memory of this process.

OpenMP threads that wait for work spin, and on a shared machine they spin away the time
in which another process would have finished: two to three times the CPU seconds, for no
gain in wall time. So they sleep while they wait (:func:`sleep_while_waiting`, which has
to run before torch is imported), and there are never more of them than the process has
cores (:func:`allowed_cores`). ``benchmarks/threads.py`` measures it.

Training keeps freed memory for its next step (:func:`keep_freed_memory`), but not
without limit (:func:`release_freed_memory`).

Variables set in the environment (``OMP_NUM_THREADS``, ``OMP_WAIT_POLICY``, …) and
numbers passed by the caller take precedence over these defaults.
"""

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar

SLEEPING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # the OpenMP standard; libgomp, which torch ships
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's libraries
}
QUIET = "GRAPHSEQ_QUIET"  # environment: print results and errors only
PARENT = "GRAPHSEQ_PARENT"  # set for children whose standard input is a pipe
CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h
KEPT_BYTES = 2**28  # at the top of the heap, not returned to the system
LARGEST_BLOCK = 2**25  # bytes of a block from the heap; glibc's own upper limit
MOST_FREE_BYTES = 2**30  # inside the heap, where freed blocks of all sizes add up

_limit: ContextVar[int | None] = ContextVar("graphseq_threads", default=None)
_limiting = threading.Lock()
_limited: list[int] = []
"""torch's number outside :func:`limit_threads`, once for each thread inside it."""


def sleep_while_waiting() -> None:
    """Make OpenMP's threads sleep while they wait; call it before importing torch.

    Variables that are set already are left as they are.
    """
    for name, value in SLEEPING.items():
        os.environ.setdefault(name, value)


def allowed_cores() -> int:
    """Cores of the affinity mask, or fewer if the cgroup has a smaller quota."""
    mask = getattr(os, "sched_getaffinity", None)
    cores = len(mask(0)) if mask else os.cpu_count() or 1
    return max(1, min(cores, int(cgroup_quota() or cores)))


def cgroup_quota(root: Path = CGROUP) -> float | None:
    """Cores that the container's CPU quota amounts to; ``None`` without a quota."""
    try:
        if (root / "cpu.max").exists():  # version 2
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no cgroup, or the quota is "max"
        return None


def default_threads() -> int:
    """Threads by default: ``OMP_NUM_THREADS``, or else the allowed cores."""
    variable = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return max(1, int(variable)) if variable.isdecimal() else allowed_cores()


def current_threads() -> int:
    """Threads set by an enclosing :func:`limit_threads`, or else the default."""
    return _limit.get() or default_threads()


@contextmanager
def limit_threads(number: int | None = None) -> Iterator[int]:
    """Run torch with a number of intra-op threads, and restore the former number.

    Several threads can be inside at the same time: each restores the number of before
    the first of them entered, since torch keeps one number for the process.

    Args:
        number: Threads; ``None`` keeps those of an enclosing ``limit_threads``, and
            takes :func:`default_threads` where there is none.

    Yields:
        The number of threads in use.

    Raises:
        ValueError: If ``number`` is not positive.
    """
    import torch

    if number is not None and number < 1:
        raise ValueError(f"threads must be 1 or more, got {number}")
    number = number or current_threads()
    with _limiting:
        outermost = _limited[0] if _limited else torch.get_num_threads()
        before = _limit.get() or outermost
        _limited.append(outermost)
        token = _limit.set(number)
        torch.set_num_threads(number)
    try:
        yield number
    finally:
        with _limiting:
            torch.set_num_threads(before)
            _limited.pop()
        _limit.reset(token)


def is_quiet() -> bool:
    """Whether progress is not printed, because the environment says so."""
    return bool(os.environ.get(QUIET))


@contextmanager
def timed(module: str, work: str) -> Iterator[None]:
    """Log at level DEBUG how long a block took.

    Args:
        module: Name of the module, ``__name__``.
        work: What the block does.
    """
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        logging.getLogger(module).debug("%s: %.2f s", work, seconds)


def thread_environment(number: int) -> dict[str, str]:
    """Variables that make ``number`` threads the default of a child process."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return SLEEPING | dict.fromkeys(names, str(number))


@contextmanager
def interrupted_by_signals() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP interrupt as Ctrl-C does, so that locks are released.

    Signals that are ignored, as under ``nohup``, stay so. Only the main thread can
    receive signals; in others nothing changes.

    Yields:
        The signals received so far.
    """
    received: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []
    former = {}
    for number in (getattr(signal, name) for name in names):
        if signal.getsignal(number) is not signal.SIG_IGN:
            former[number] = signal.signal(number, interrupt)
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def end_with_parent() -> None:
    """Interrupt this process when its parent ends, as SIGTERM does; for children.

    The standard input of a child with the variable :data:`PARENT` is a pipe, which its
    parent never writes to and which closes with the parent, however that ends. The
    standard input is empty from then on.
    """
    if not os.environ.pop(PARENT, ""):  # children of this process are not meant
        return
    pipe = os.dup(0)
    with open(os.devnull) as empty:
        os.dup2(empty.fileno(), 0)

    def wait() -> None:
        os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end with parent", daemon=True).start()


def peak_memory() -> int:
    """Peak memory of this process so far, in bytes; 0 where it is not measured."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def available_memory(proc: Path = PROC, cgroup: Path = CGROUP) -> int | None:
    """Bytes that this process can still allocate; ``None`` if the system has no count.

    The smaller of what the machine can provide without swapping and what is left of the
    container's memory limit. The page cache counts as free.
    """
    found = [_machine_memory(proc), _container_memory(cgroup)]
    return min((size for size in found if size is not None), default=None)


def _machine_memory(proc: Path) -> int | None:
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines if ":" in line)
        return 1024 * int(values["MemAvailable"].split()[0])
    except (OSError, ValueError, LookupError):
        return None


def _container_memory(cgroup: Path) -> int | None:
    """What a cgroup limit of version 2 or 1 leaves; ``None`` without a limit."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        try:
            most = int((cgroup / limit).read_text())  # ValueError for "max": no limit
            taken = int((cgroup / used).read_text())
            stat = (cgroup / limit).with_name("memory.stat").read_text().split()
        except (OSError, ValueError):
            continue
        values = dict(zip(stat[::2], map(int, stat[1::2]), strict=True))
        return max(0, most - taken + values.get(cached, 0))
    return None


def format_bytes(size: int) -> str:
    """Bytes with a unit: 512 kB, 1.34 GB."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:,.3g} TB"


def keep_freed_memory() -> bool:
    """Keep freed memory in the process, where the C library is glibc.

    Every training step allocates and frees buffers of a few megabytes. By default glibc
    returns this memory to the system and requests it again, page by page, zeroed: 6 %
    of a SASRec epoch on Amazon Beauty (``benchmarks/where_time_goes.py``). The
    thresholds set here keep up to 256 MB of it, which were in use before. Thresholds in
    the environment (``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_THRESHOLD_``) win.

    Returns:
        Whether both thresholds were set.
    """
    if not _malloc_is_ours():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # for example musl, which has no mallopt
        return False
    values = ((TRIM_THRESHOLD, KEPT_BYTES), (MMAP_THRESHOLD, LARGEST_BLOCK))
    return all(mallopt(name, value) == 1 for name, value in values)


class _HeapInfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``; ``fordblks`` are the free bytes of the heap."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def release_freed_memory(most: int = MOST_FREE_BYTES) -> bool:
    """Return freed memory to the system where the process holds too much of it.

    Batches differ in size, so blocks that are freed are cut, and a large one fits into
    none of the pieces: with tables of 20 MB the heap grew by up to 10 MB in every step,
    to 3.8 GB in an epoch of 2.2 million events, where 0.4 GB were in use. Larger tables
    do not come from the heap, smaller ones fit again.

    Args:
        most: Bytes that may be free inside the main heap, from which the thread that
            trains takes its memory.

    Returns:
        Whether memory was returned: never where the C library is not glibc 2.33 or
        later, or the environment has a threshold (see :func:`keep_freed_memory`).
    """
    if not _malloc_is_ours():
        return False
    try:
        library = ctypes.CDLL(None)
        heap_info, trim = library.mallinfo2, library.malloc_trim
    except (OSError, AttributeError):  # for example musl
        return False
    heap_info.restype = _HeapInfo
    free: int = heap_info().fordblks
    return free > most and bool(trim(0))


def _malloc_is_ours() -> bool:
    """Whether this is Linux, and the environment sets no threshold."""
    set_outside = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"} & {*os.environ}
    return sys.platform.startswith("linux") and not set_outside
