"""A build that does not fit in memory or on the disk is refused before the work."""

from pathlib import Path

import pytest

from graphseq.cli import main

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


def test_a_build_that_does_not_fit_in_memory_is_refused_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "graph")]
    log = tmp_path / "log.csv"
    rows = [f"u{user},{item},1" for user in range(60) for item in range(5)]
    log.write_text("user,item,time\n" + "\n".join(rows) + "\n")
    assert main(["build", str(log), *output, "--memory", "0.00003"]) == 2
    shown = capsys.readouterr().err
    for words in ("needs about", "multiply-adds", "--user-user count:20", "--k-core"):
        assert words in shown
    assert main(["build", TINY, *output, "--memory", "0.000001"]) == 2
    assert "reading" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [log]


def test_a_full_disk_is_reported_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Disk", (), {"free": 9}))
    assert main(["build", TINY, "--output", str(tmp_path / "graph")]) == 2
    assert "on the disk" in capsys.readouterr().err
