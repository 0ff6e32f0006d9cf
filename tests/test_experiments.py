"""Every file under experiments/ is complete, checked, and trains for one step."""

import itertools
from pathlib import Path

import pytest

from graphseq.config import Experiment, check, load, read_yaml

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "experiments").rglob("*.yaml"))
TINY = {"path": str(ROOT / "datasets" / "tiny.csv")}
TASTES = {"sweet": ["honey", "jam", "figs"], "warm": ["tea", "coffee"]}
TASTED = {item: [taste] for taste, items in TASTES.items() for item in items}
ABOUT_TINY = {"Attributes": {"Attributes": {"source": TASTED}}}  # for another's file


def on_tiny(experiment: Experiment) -> Experiment:
    """The same experiment on the hand-made log, for one epoch of one batch or so.

    With a stage of pre-training, for one epoch of it and one more.
    """
    [(name, given)] = experiment.options["model"].items()
    first = int(bool((given or {}).get("pretrain_epochs")))
    model = {name: {**(given or {}), "pretrain_epochs": 1} if first else given}
    train = {**(experiment.options.get("train") or {}), "max_epochs": 1 + first}
    train |= {"progress": False, "accelerator": "cpu", "precision": "32-true"}
    graph = [
        ABOUT_TINY.get(next(iter(step)), step)
        for step in experiment.options.get("graph") or ()
    ]
    options = {**experiment.options, "data": TINY, "filters": [], "graph": graph}
    return check(options | {"model": model, "train": train}, experiment.source)


@pytest.mark.filterwarnings("ignore:EC4SRec first trains")  # one epoch is enough
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
