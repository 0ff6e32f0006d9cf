"""The default number of threads, and that it is given back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphseq import threads


def test_variables_that_are_set_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("KMP_BLOCKTIME", raising=False)
    threads.prepare()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["KMP_BLOCKTIME"] == "0"


def test_preparing_imports_no_torch() -> None:
    code = (
        "import sys, graphseq.threads as t; t.prepare(); t.default();"
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
    assert threads.cgroup_quota(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("300000", 3.0), ("-1", None)])
def test_the_quota_of_cgroup_1_is_read(
    tmp_path: Path, quota: str, cores: float | None
) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert threads.cgroup_quota(tmp_path) == cores


def test_no_cgroup_is_no_quota(tmp_path: Path) -> None:
    assert threads.cgroup_quota(tmp_path / "absent") is None


def test_busy_is_what_runs_now_and_not_this_process(tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text("9.00 5.00 0.50 3/98 77")
    assert threads.busy_cores(tmp_path / "loadavg") == 2


def test_a_moments_flicker_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = iter([2.0, 1.0, 9.0, 2.0, 2.0, 1.0, 7.0])
    monkeypatch.setattr(threads, "_runnable", lambda path: next(counted))
    assert threads.busy_cores() == 1


def test_elsewhere_the_load_average_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0.0, 0.0))
    assert threads.busy_cores(tmp_path / "absent") == 1.5


@pytest.mark.parametrize(
    ("cores", "allowed", "busy", "expected"),
    [(8, 8, 0.2, 8), (8, 8, 3.0, 5), (8, 2, 3.0, 2), (2, 2, 1.1, 1), (2, 2, 40.0, 1)],
)
def test_free_cores_are_those_allowed_and_not_busy(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    allowed: int,
    busy: float,
    expected: int,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(threads, "allowed_cores", lambda: allowed)
    monkeypatch.setattr(threads, "busy_cores", lambda: busy)
    assert threads.free_cores() == expected


def test_the_environment_wins_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7,2")
    assert threads.default() == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setattr(threads, "free_cores", lambda: 3)
    assert threads.default() == 3


def test_the_number_holds_inside_and_is_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "default", lambda: 2)
    before = torch.get_num_threads()
    with threads.limited() as outer:
        assert outer == torch.get_num_threads() == 2
        with threads.limited(3), threads.limited() as nested:
            assert nested == torch.get_num_threads() == 3
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_it_is_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), threads.limited(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_zero_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more, got 0"), threads.limited(0):
        pass
