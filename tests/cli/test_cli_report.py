"""The command that writes a page about several runs."""

from pathlib import Path

import pytest

import graphseq as gs
from graphseq.cli import main
from graphseq.data import synthetic


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs of a popularity ranker, evaluated."""
    graph = gs.build_graph(gs.leave_one_out(synthetic.cycle(40, 12, length=8)))
    for name in ("a", "b"):
        model = gs.models.POP(40, 12)
        gs.fit(model, graph, folder=tmp_path / "runs" / name, progress=False)
        gs.evaluate(model, graph, ks=(1, 5), folder=tmp_path / "runs" / name)
    return tmp_path / "runs"


def test_patterns_name_runs_and_what_cannot_be_read_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = str(tmp_path / "page.html")
    run = ["report", str(folder / "*"), "--html", page, "--metric"]
    assert main([*run, "NDCG@5"]) == 0
    assert capsys.readouterr().out == f"2 runs in {page}\n"
    assert main([*run, "NDCG@50"]) == 2
    message = capsys.readouterr().err
    assert "has no metric 'NDCG@50' of users; did you mean 'NDCG@5'?" in message
    assert main([*run, "coverage@5"]) == 2  # one value for all users
    assert "has no metric 'coverage@5' of users" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "none*")]) == 2
    assert "no run folder matches" in capsys.readouterr().err
