"""Every file under experiments/ is complete, checked, and trains for one step."""

import itertools
from pathlib import Path

import pytest

from graphseq.config import Experiment, check, load, read_yaml

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "experiments").rglob("*.yaml"))
TINY = {"path": str(ROOT / "datasets" / "tiny.csv")}


def on_tiny(experiment: Experiment) -> Experiment:
    """The same experiment on the hand-made log, for one epoch of one batch or so."""
    train = {**(experiment.options.get("train") or {}), "max_epochs": 1}
    train |= {"progress": False, "accelerator": "cpu", "precision": "32-true"}
    options = {**experiment.options, "data": TINY, "filters": [], "train": train}
    return check(options, experiment.source)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_an_experiment_trains_and_evaluates_on_the_tiny_log(path: Path) -> None:
    experiment = on_tiny(load(path))
    graph = experiment.graph()
    model = experiment.model(graph)
    run = experiment.fit(model, graph)
    report = experiment.evaluate(model, graph, part="test")
    assert run.finished
    assert all(v >= 0 for means in report.means.values() for v in means.values())


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_an_experiment_opens_with_its_claim_and_its_command(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = itertools.takewhile(lambda line: line.startswith("#"), lines)
    words = " ".join(line.lstrip("# ") for line in header)
    commands = (f"graphseq train {path.relative_to(ROOT)}", "python experiments/")
    assert any(command in words for command in commands)
    assert len(words) > 100, "say the claim, the expected figures and the time"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_an_experiment_names_a_published_data_set_or_a_synthetic_log(
    path: Path,
) -> None:
    assert "path" not in read_yaml(path)["data"]
