"""``-q`` and ``-v``: every command takes them, and what they print."""

import logging
import os
from pathlib import Path
from typing import Annotated

import pytest

from graphseq import Backbone, build_graph, fit, leave_one_out
from graphseq.cli import main
from graphseq.cli.app import join_hyphens
from graphseq.cli.verbosity import flags_last, with_verbosity
from graphseq.data import synthetic
from graphseq.errors import ConfigError
from graphseq.models import SASRec
from graphseq.runtime import is_quiet, timed

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


def command(name: Annotated[str, "kept"], /, *, size: int = 1) -> int:
    """A command."""
    with timed("graphseq.data", f"read {name}"):
        return size + 10 * is_quiet()


def test_a_command_is_quiet_while_it_runs() -> None:
    run = with_verbosity(command)
    assert (run.__name__, run.__doc__) == ("command", "A command.")
    assert run("log", size=2) == 2
    assert run("log", size=2, quiet=True) == 12
    assert not is_quiet()


def test_a_quiet_environment_stays_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHSEQ_QUIET", "1")
    assert with_verbosity(command)("log", quiet=True) == 11
    assert os.environ["GRAPHSEQ_QUIET"] == "1"


def test_verbose_logs_versions_and_times_and_ends_with_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_verbosity(command)("log", verbose=True)
    lines = capsys.readouterr().err
    for words in ("python 3.", "graphseq ", "torch ", "cores", "read log: 0."):
        assert words in lines
    assert "graphseq.cli: command took " in lines
    with timed("graphseq.data", "read again"):
        pass
    assert capsys.readouterr().err == ""
    assert logging.getLogger("graphseq").handlers == []


def test_the_flags_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        with_verbosity(command)("log", quiet=True, verbose=True)


def test_the_flags_stand_before_or_after_the_command() -> None:
    assert flags_last(["-q", "show", "g"]) == ["show", "-q", "g"]
    assert flags_last(["show", "g", "-q"]) == ["show", "g", "-q"]
    assert flags_last([]) == [] and flags_last(["--help"]) == ["--help"]
    assert join_hyphens(["--json", "-v"]) == ["--json", "-v"]
    assert join_hyphens(["--users", "-ana", "-q"]) == ["--users=-ana", "-q"]


def test_build_and_show_with_the_flags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = str(tmp_path / "graph")
    assert main(["-v", "build", TINY, "--output", graph]) == 0
    logged = capsys.readouterr().err
    assert "read tiny.csv as delimited: " in logged and "build took" in logged
    assert main(["show", graph, "-q", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.startswith("{")


def test_a_quiet_training_prints_no_epochs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = build_graph(leave_one_out(synthetic.cycle(20, 12, length=8)))
    for value, shown in (("1", False), ("", True)):
        monkeypatch.setenv("GRAPHSEQ_QUIET", value)
        model = SASRec(20, Backbone(12, dim=8, max_length=8))
        fit(model, graph, max_epochs=1)
        assert ("epoch   1" in capsys.readouterr().out) == shown
