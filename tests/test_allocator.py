"""The allocator's thresholds are set where there are any, and only by default."""

import platform
import subprocess
import sys

import pytest

from graphseq.allocator import keep_pages

FAULTS = """
import resource, numpy as np
from graphseq.allocator import keep_pages
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
    fresh = 20 * 2**23 // 4096  # pages that twenty arrays would fetch anew
    assert faults("keep_pages()") < fresh / 10


@glibc
def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not keep_pages()


@glibc
def test_it_can_be_asked_twice() -> None:
    assert keep_pages()
    assert keep_pages()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_pages()
