"""The command that lists, prints and copies the installed experiments."""

from pathlib import Path

import pytest

from graphseq.cli import main
from graphseq.config import experiment_names
from graphseq.package_data import installed


def test_files_are_listed_with_their_variants(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["experiments"]) == 0
    lines = capsys.readouterr().out.splitlines()
    [sasrec] = [line for line in lines if line.startswith("beauty/sasrec.yaml ")]
    assert "ce-targets" in sasrec.split()
    assert not [line for line in lines if line.startswith("presets")]


def test_a_file_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiments", "beauty/sasrec.yaml"]) == 0
    expected = (installed("experiments") / "beauty" / "sasrec.yaml").read_text("utf-8")
    assert capsys.readouterr().out == expected


def test_a_misspelled_file_is_refused_with_a_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["experiments", "../beauty/sasrec.yaml"]) == 2
    assert "did you mean 'beauty/sasrec.yaml'?" in capsys.readouterr().err


def test_copies_work_as_experiments_and_nothing_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    assert main(["experiments", "--output", str(folder)]) == 0
    assert len(experiment_names(str(folder))) > 100
    (folder / "pop.yaml").write_text("my own")
    assert main(["experiments", "--output", str(folder)]) == 2
    assert "will not be overwritten" in capsys.readouterr().err
    assert (folder / "pop.yaml").read_text() == "my own"
