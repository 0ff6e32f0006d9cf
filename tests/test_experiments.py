"""Every experiment under experiments/ is checked, and trains for a step."""

import csv
import itertools
from pathlib import Path
from typing import Any

import pytest

from graphseq.config import Experiment, check, experiments_of, read_yaml
from graphseq.config.claims import check_claims
from graphseq.config.fingerprint import fingerprint
from graphseq.config.variants import split_name

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "experiments"
EXPERIMENTS = experiments_of(str(FOLDER))
NAMES = [Path(e.source).absolute().relative_to(FOLDER).as_posix() for e in EXPERIMENTS]
FILES = sorted({Path(split_name(e.source)[0]).absolute() for e in EXPERIMENTS})
TINY = {"path": str(ROOT / "datasets" / "tiny.csv")}
TASTES = {"sweet": ["honey", "jam", "figs"], "warm": ["tea", "coffee"]}
TASTED = {item: [taste] for taste, items in TASTES.items() for item in items}
ABOUT_TINY = {"Attributes": {"Attributes": {"source": TASTED}}}  # not of Beauty
WITH_STAGES = ("S3Rec", "DSSRec", "SRMA")


def about_few(options: Any) -> Any:
    """The options, with attributes of all items: each is of many of the few items."""
    if isinstance(options, list):
        return [about_few(each) for each in options]
    if not isinstance(options, dict):
        return options
    found = {name: about_few(value) for name, value in options.items()}
    return found | {"max_fraction": 1} if options.get("relation") == "has" else found


def on_tiny(experiment: Experiment) -> Experiment:
    """The same experiment on a small log, for one epoch after one of pre-training."""
    [(name, given)] = experiment.options["model"].items()
    objective = (given or {}).get("objective", {})
    first = int(name in WITH_STAGES and bool(objective.get("pretrain_epochs")))
    if first:
        given = {**given, "objective": {**objective, "pretrain_epochs": 1}}
    parts = (given or {}).get("auxiliaries", [])
    if joins := [part for part in parts if "NextItemFirst" in part]:
        others = [part for part in parts if part not in joins]
        given = {**given, "auxiliaries": [{"NextItemFirst": {"epochs": 1}}, *others]}
        first = 1
    train = {**(experiment.options.get("train") or {}), "max_epochs": 1 + first}
    train |= {"progress": False, "accelerator": "cpu", "precision": "32-true"}
    graph = [
        ABOUT_TINY.get(next(iter(step)), step)
        for step in experiment.options.get("graph") or ()
    ]
    options = {**experiment.options, "data": TINY, "filters": [], "graph": graph}
    model = about_few({name: given})
    return check(options | {"model": model, "train": train}, experiment.source)


def without_sizes(options: Any) -> Any:
    """The options, with 1 for each number but 0, which often leaves out a part."""
    if isinstance(options, list):
        return [without_sizes(each) for each in options]
    if isinstance(options, dict):
        return {name: without_sizes(value) for name, value in options.items()}
    return 1 if type(options) in (int, float) and options else options


def different() -> list[Experiment]:
    """The experiments that differ in more than data, claim and sizes of numbers."""
    found: dict[str, Experiment] = {}
    for experiment in EXPERIMENTS:
        small = {**on_tiny(experiment).options, "claim": {}}
        found.setdefault(fingerprint(without_sizes(small)), experiment)
    return [*found.values()]


@pytest.mark.filterwarnings("ignore:.* epochs before all of its losses")  # one epoch
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("experiment", different(), ids=lambda e: e.name)
def test_an_experiment_trains_and_evaluates_on_the_tiny_log(
    experiment: Experiment,
) -> None:
    small = on_tiny(experiment)
    graph = small.graph()
    model = small.model(graph)
    run = small.fit(model, graph)
    report = small.evaluate(model, graph, part="test")
    assert run.finished
    assert all(v >= 0 for means in report.means.values() for v in means.values())


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(FOLDER).as_posix())
def test_a_file_opens_with_its_claim_and_its_command(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = [*itertools.takewhile(lambda line: line.startswith("#"), lines)]
    words = " ".join(line.lstrip("# ") for line in header)
    assert words.startswith("Claim: ") and len(words) > 100
    command = f"Command: graphseq train {path.relative_to(ROOT)}"
    name = path.relative_to(FOLDER).as_posix()
    assert any(n.startswith(f"{name}:") for n in NAMES) == (f"{command}:" in words)
    assert command in words


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(FOLDER).as_posix())
def test_an_experiment_names_a_published_data_set(path: Path) -> None:
    read = read_yaml(path)
    written = [read, *(read.get("variants") or {}).values()]
    assert all("path" not in (each or {}).get("data", {}) for each in written)


@pytest.mark.parametrize("name", ["results.csv", "studies/results.csv"])
def test_every_row_of_the_results_is_of_an_experiment_as_it_is_written(
    name: str,
) -> None:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    known = {
        f"experiments/{name}": fingerprint(experiment.options)
        for name, experiment in zip(NAMES, EXPERIMENTS, strict=True)
    }
    assert {
        row["experiment"]: row["fingerprint"] for row in rows
    }.items() <= known.items()


def test_claims_are_compared_with_the_results() -> None:
    with (FOLDER / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    verdicts = [*check_claims(EXPERIMENTS, rows)]
    assert {"reached", "missed", "never"} <= {
        word for v in verdicts for word in str(v).split(": ")[-1].split()[:1]
    }
