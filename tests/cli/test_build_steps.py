"""``graphseq build --engine``: what is checked before Spark starts."""

from pathlib import Path

import pytest

from graphseq.cli import main

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--master", "local[2]"], "--master is an option of Spark"),
        (["--spark-conf", "spark.a=b"], "--spark-conf is an option of Spark"),
        (["--engine", "spark", "--times", TINY], "needs --engine local"),
        (["--engine", "spark", "--spark-conf", "memory=2g"], "pairs such as"),
        (["--engine", "spark", "--spark-conf", "spark.x"], "pairs such as"),
        (["--engine", "sparc"], 'Choose from: "local", "spark"'),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: list[str],
    complaint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = str(tmp_path / "deep" / "g")
    assert main(["build", TINY, "--output", output, *options]) == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_missing_spark_is_reported_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    output = ["--output", str(tmp_path / "deep" / "graph")]
    assert main(["build", TINY, *output, "--engine", "spark"]) == 2
    message = capsys.readouterr().err
    assert "pyspark and pyarrow and pandas, which are not installed" in message
    assert "pip install 'graphseq[spark]'" in message
    assert list(tmp_path.iterdir()) == []


def test_missing_java_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphseq.spark.session.NEEDED", ())
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    output = ["--output", str(tmp_path / "graph")]
    assert main(["build", TINY, *output, "--engine", "spark"]) == 2
    assert "Install Java 17 or later" in capsys.readouterr().err


def test_the_next_command_quotes_the_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "my graph")
    assert main(["build", TINY, "--output", output]) == 0
    assert f"next: graphseq show '{output}'" in capsys.readouterr().out
