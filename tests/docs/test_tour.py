"""The tour of the documentation runs, and each wish takes ten lines at most."""

import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "tour.py"
TEXT = SCRIPT.read_text("utf-8")
WISHES = re.split(r"(?m)^(?=# \d+\. )", TEXT)[1:]


def test_there_are_thirty_wishes_of_ten_lines() -> None:
    numbers = [int(re.findall(r"\d+", wish)[0]) for wish in WISHES]
    assert numbers == [*range(1, len(WISHES) + 1)]
    assert len(WISHES) >= 30
    for wish in WISHES:
        lines = [line for line in wish.splitlines() if line and line[0] != "#"]
        assert 1 <= len(lines) <= 10, wish


@pytest.mark.usefixtures("unchecked_shapes")
def test_the_tour_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(TEXT, SCRIPT, "exec"), {"__name__": "tour"})
    written = {path.name for path in tmp_path.iterdir()}
    pictures = {"degrees.svg", "neighbourhood.svg", "curves.svg", "items.svg"}
    assert written >= pictures | {"runs", "study", "report.html", "exported"}
    assert "±" in capsys.readouterr().out
