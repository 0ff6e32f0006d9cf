"""Sessions, and messages where Spark cannot run."""

from pathlib import Path
from typing import Any

import pytest

from graphseq.cli import main
from graphseq.errors import ConfigError
from graphseq.folders import hashes
from graphseq.spark.session import check_installed, first_line, session

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


def test_a_session_that_runs_is_used_and_stays(spark: Any) -> None:
    with session() as found:
        assert found is spark
    assert spark.range(2).count() == 2
    with (
        pytest.raises(ConfigError, match=r"another spark\.master"),
        session("local[7]"),
    ):
        pass
    with (
        pytest.raises(ConfigError, match=r"another spark\.driver\.memory"),
        session(conf={"spark.driver.memory": "9g"}),
    ):
        pass


def test_the_command_line_builds_the_same_graph(
    spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--k-core", "2", "--item-item", "cosine:3", "--transitions", "1"]
    for engine in ("local", "spark"):
        output = ["--output", str(tmp_path / engine), "--engine", engine]
        assert main(["build", TINY, *output, *options]) == 0
    assert hashes(tmp_path / "local") == hashes(tmp_path / "spark")
    capsys.readouterr()
    assert main(["show", str(tmp_path / "spark"), "--provenance"]) == 0
    assert "--engine spark" in capsys.readouterr().out
    plan = ["--output", str(tmp_path / "plan"), "--engine", "spark", "--dry-run"]
    assert main(["build", TINY, *plan]) == 0
    assert "multiply-adds" in capsys.readouterr().out
    assert not (tmp_path / "plan").exists()


def test_only_the_first_line_of_an_error_is_reported() -> None:
    assert first_line(RuntimeError("\n a cause\n\tat Java\n")) == "a cause"
    assert first_line(RuntimeError()) == "RuntimeError"


def test_a_missing_java_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("graphseq.spark.session.NEEDED", ())
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="Java 17 or later"):
        check_installed()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="not found on the PATH"):
        check_installed()
