"""Threads and memory: defaults, limits, and what is restored."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from graphseq import runtime
from graphseq.runtime import keep_freed_memory, release_freed_memory


def test_variables_that_are_set_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("KMP_BLOCKTIME", raising=False)
    runtime.sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["KMP_BLOCKTIME"] == "0"


def test_it_does_not_import_torch() -> None:
    code = (
        "import sys, graphseq.runtime as r; r.sleep_while_waiting();"
        "r.default_threads();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "cores"),
    [("200000 100000", 2.0), ("max 100000", None), ("50000 100000", 0.5)],
)
def test_the_quota_of_cgroup_2_is_read(
    tmp_path: Path, text: str, cores: float | None
) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert runtime.cgroup_quota(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("300000", 3.0), ("-1", None)])
def test_the_quota_of_cgroup_1_is_read(
    tmp_path: Path, quota: str, cores: float | None
) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert runtime.cgroup_quota(tmp_path) == cores


def test_no_cgroup_is_no_quota(tmp_path: Path) -> None:
    assert runtime.cgroup_quota(tmp_path / "absent") is None


def test_the_environment_wins_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7,2")
    assert runtime.default_threads() == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setattr(runtime, "allowed_cores", lambda: 3)
    assert runtime.default_threads() == 3


def test_the_number_holds_inside_and_is_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "default_threads", lambda: 2)
    before = torch.get_num_threads()
    with runtime.limit_threads() as outer:
        assert outer == torch.get_num_threads() == 2
        with runtime.limit_threads(3), runtime.limit_threads() as nested:
            assert nested == torch.get_num_threads() == 3
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_it_is_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), runtime.limit_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_zero_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more, got 0"), runtime.limit_threads(0):
        pass


MEMINFO = "MemTotal:  24000 kB\nMemAvailable:   1000 kB\n"
STAT = "anon 5\ninactive_file 70\ntotal_inactive_file 90\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


V2 = {"memory.max": "500\n", "memory.current": "400\n", "memory.stat": STAT}
V1 = {
    "memory/memory.limit_in_bytes": "600\n",
    "memory/memory.usage_in_bytes": "400\n",
    "memory/memory.stat": STAT,
}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, 1_024_000),
        (V2, 170),
        (V1, 290),
        (V2 | {"memory.max": "max\n"}, 1_024_000),
        (V2 | {"memory.max": "9999999999\n"}, 1_024_000),
        (V2 | {"memory.current": "600\n"}, 0),
    ],
)
def test_the_tighter_of_machine_and_container_counts(
    tmp_path: Path, container: dict[str, str], expected: int
) -> None:
    proc = write(tmp_path / "proc", {"meminfo": MEMINFO})
    cgroup = write(tmp_path / "cgroup", container)
    assert runtime.available_memory(proc, cgroup) == expected


def test_a_system_that_does_not_say_leaves_it_open(tmp_path: Path) -> None:
    assert runtime.available_memory(tmp_path, tmp_path) is None


def test_the_most_that_was_used_grows_with_what_is_taken() -> None:
    before = runtime.peak_memory()
    taken = bytearray(before + 50_000_000)
    assert runtime.peak_memory() >= before + 40_000_000
    assert taken[-1] == 0


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (512_000, "512 kB"),
        (1_340_000_000, "1.34 GB"),
        (40 * 10**12, "40 TB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert runtime.format_bytes(size) == words


FAULTS = """
import resource, numpy as np
from graphseq.runtime import keep_freed_memory
{call}
for _ in range(3):
    np.ones(2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc has these thresholds"
)


def faults(call: str, **environment: str) -> int:
    """Page faults of twenty 8 MB arrays in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(call=call)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=__file__.rsplit("/tests/", 1)[0],
    )
    return int(done.stdout)


@glibc
def test_memory_is_reused_without_page_faults() -> None:
    fresh = 20 * 2**23 // 4096  # pages that twenty arrays would fetch again
    assert faults("keep_freed_memory()") < fresh / 10


@glibc
def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not keep_freed_memory()


@glibc
def test_it_can_be_called_twice() -> None:
    assert keep_freed_memory()
    assert keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_interrupt_as_ctrl_c_does(name: str) -> None:
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # ignored where nohup runs the tests
    try:
        with (
            runtime.interrupted_by_signals() as received,
            pytest.raises(KeyboardInterrupt, match=f"ended by {name}"),
        ):
            os.kill(os.getpid(), number)
            time.sleep(5)
        assert received == [number]
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with runtime.interrupted_by_signals() as received:
            os.kill(os.getpid(), signal.SIGHUP)
        assert received == []
    finally:
        signal.signal(signal.SIGHUP, before)


FRAGMENTS = """
import numpy as np
from pathlib import Path
from graphseq.runtime import keep_freed_memory, release_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

keep_freed_memory()
large, small = [], []
for _ in range(40):
    large.append(np.ones(2**20))
    small.append(np.ones(2**10))  # stays, so that freed neighbours do not merge
del large
before = resident()
released = release_freed_memory({most})
print(int(released), before - resident())
"""


@glibc
@pytest.mark.parametrize(("most", "freed"), [(2**28, 40 * 2**23), (2**29, 0)])
def test_freed_memory_is_returned_above_a_limit(most: int, freed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRAGMENTS.format(most=most)],
        env={},
        capture_output=True,
        text=True,
        check=True,
        cwd=__file__.rsplit("/tests/", 1)[0],
    )
    released, fewer = map(int, done.stdout.split())
    assert released == bool(freed)
    assert fewer == pytest.approx(freed, abs=2**24)


@glibc
def test_no_memory_is_released_where_the_environment_has_a_threshold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1000000")
    assert not release_freed_memory(0)
