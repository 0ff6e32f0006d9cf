"""The tables of results have every experiment that was run, with its numbers."""

import csv
import re
import statistics
from collections import defaultdict
from importlib import import_module as extension
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows() -> dict[str, list[str]]:
    """Experiment -> the cells of its row, with the model as the first."""
    page = extension("results_page").page()
    found = {}
    for block in re.split(r"^   \* - ", page, flags=re.MULTILINE)[1:]:
        first, *cells = re.split(r"\n     -", block)
        if named := re.fullmatch(r"\| (.+)\n       \| ``(.+)``", first):
            found[named[2]] = [named[1], *(cell.split("\n\n")[0] for cell in cells)]
    return {name: [c.strip() for c in cells] for name, cells in found.items()}


def test_every_recorded_experiment_has_a_row_with_its_means() -> None:
    evidence, found = extension("evidence"), rows()
    names = {run.fingerprint: run.name for run in evidence.experiments()}
    recorded: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    with (ROOT / "experiments" / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if name := names.get(row["fingerprint"]):
                recorded[name][row["seed"]] = row  # the newest of a seed is the last
    assert found.keys() == recorded.keys()
    for name, seeds in recorded.items():
        *_, hr_kept, ndcg_kept, hr, ndcg, number, seconds = found[name]
        k = 20 if name.startswith("clothing:") else 10
        shown = {"HR": (hr_kept, hr), "NDCG": (ndcg_kept, ndcg)}
        assert int(number) == len(seeds)
        assert seconds == f"{mean(seeds, 'cpu_seconds'):.0f}"
        for metric, cells in shown.items():
            for protocol, cell in zip(("kept", "excluded"), cells, strict=True):
                value = mean(seeds, f"{metric}@{k} {protocol}")
                assert cell.split(" ± ")[0] == f"{value:.4f}"
                assert ("±" in cell) == (len(seeds) > 1)


def mean(seeds: dict[str, dict[str, str]], column: str) -> float:
    return statistics.mean(float(row[column]) for row in seeds.values())


def test_rows_are_described_by_their_options() -> None:
    found = rows()
    assert found["beauty/schedules:sasrec-graph"][:3] == [
        "SASRec",
        "item graph",
        "targets, ce, cosine",
    ]
    assert found["beauty/ec4srec:gru-targets"][0] == "EC4SRec on GRU"
    assert found["beauty/s3rec:mip-targets"][0] == "S3Rec (MIP)"
    assert found["pop:beauty"][:3] == ["POP", "–", "closed form"]
    published = found["beauty/sasrec:published-weights"]
    assert published[2] == "weights of others"
    three = "item graph, transitions, user-item graph"
    assert found["beauty/filters:bsarec-relations"][1] == three


def test_the_best_row_of_a_data_set_is_the_first() -> None:
    names = list(rows())
    toys = [float(rows()[n][6].split()[0]) for n in names if "toys" in n]
    assert toys == sorted(toys, reverse=True)
    assert len(toys) > 5
