"""What a queue finds to do, from files on disk and a table of results."""

from pathlib import Path

import pytest
import yaml

from graphseq.cli.jobs import Plan, find, plan
from graphseq.errors import ConfigError
from graphseq.report import append

POP = {
    "data": {"cycle": {"num_users": 8, "num_items": 4, "length": 5}},
    "split": {"leave_one_out": {}},
    "model": {"POP": {}},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two experiments in it, entered."""
    monkeypatch.chdir(tmp_path)
    for name, k in {"a/one": 1, "b/two": 2}.items():
        path = tmp_path / "experiments" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(POP | {"evaluate": {"ks": [k]}}))
    return tmp_path


def planned(
    *experiments: str, seeds: list[int] | None = None, settings: tuple[str, ...] = ()
) -> Plan:
    asked = experiments or ("experiments",)
    results = Path("results.csv")
    return plan(asked, settings=settings, seeds=seeds, runs="runs", results=results)


def names(made: Plan) -> list[str]:
    return [job.name for job in made.jobs]


def test_files_folders_and_patterns_are_found_once_each(here: Path) -> None:
    one, two = "experiments/a/one.yaml", "experiments/b/two.yaml"
    assert find(["experiments"]) == [one, two]
    assert find(["experiments/*/t*.yaml", "experiments", two]) == [two, one]
    assert find([str(here / one)]) == [one]


def test_what_names_no_file_is_told(here: Path) -> None:
    with pytest.raises(ConfigError, match="experimnts is no experiment file"):
        find(["experiments", "experimnts"])


def test_every_file_comes_with_the_first_seed_before_any_with_the_second(
    here: Path,
) -> None:
    made = planned(seeds=[0, 7, 7])
    expected = ["a/one seed 0", "b/two seed 0", "a/one seed 7", "b/two seed 7"]
    assert names(made) == expected
    assert [job.own_seed for job in made.jobs] == [True, True, False, False]
    assert len({job.folder for job in made.jobs}) == 4


def test_without_seeds_a_file_has_its_own(here: Path) -> None:
    path = here / "experiments" / "a" / "one.yaml"
    path.write_text(yaml.safe_dump(POP | {"train": {"seed": 3}}))
    assert names(planned()) == ["a/one seed 3", "b/two seed 0"]


def test_a_row_counts_by_what_the_file_says_and_by_its_seed(here: Path) -> None:
    first = planned().jobs[0]
    row = {"model": "POP", "data": "cycle", "seed": 0}
    append("results.csv", row | {"fingerprint": first.fingerprint})
    append("results.csv", row | {"fingerprint": ""})  # a row of older times
    assert names(planned()) == ["b/two seed 0"]
    assert planned().recorded == ["a/one seed 0"]
    assert names(planned(seeds=[0, 1])) == [
        "b/two seed 0",
        "a/one seed 1",
        "b/two seed 1",
    ]
    assert len(planned(settings=("evaluate.history=kept",)).jobs) == 2


def test_a_comment_makes_no_new_experiment_and_an_option_does(here: Path) -> None:
    path = here / "experiments" / "a" / "one.yaml"
    before = planned().jobs[0]
    path.write_text(f"# a claim\n{path.read_text()}train: {{threads: 1}}\n")
    assert planned().jobs[0].folder == before.folder
    path.write_text(path.read_text().replace("ks:", "history: kept\n  ks:"))
    assert planned().jobs[0].folder != before.folder


def test_a_file_that_cannot_be_run_stops_no_other(here: Path) -> None:
    path = here / "experiments" / "a" / "one.yaml"
    path.write_text(yaml.safe_dump(POP | {"model": {"POPP": {}}}))
    made = planned()
    assert names(made) == ["b/two seed 0"]
    [(name, reason)] = made.refused
    assert name == "experiments/a/one.yaml"
    assert "POPP" in reason


def test_a_file_that_asks_for_no_epoch_is_left_out(here: Path) -> None:
    made = planned("experiments/a", settings=("train.max_epochs=0",))
    assert made.jobs == []
    assert made.untrained == ["experiments/a/one.yaml"]
