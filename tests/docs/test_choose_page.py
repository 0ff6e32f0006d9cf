"""The table of models agrees with the code and with the recorded results."""

import csv
import re
from importlib import import_module as extension
from pathlib import Path

import pytest

from graphseq.models import MODELS

ROOT = Path(__file__).resolve().parents[2]


def test_every_model_has_a_row_that_links_to_its_section() -> None:
    page = extension("choose_page").page()
    linked = re.findall(
        r"^   \* - `(\w+) <\.\./models\.html#(\w+)>`__$", page, re.MULTILINE
    )
    assert [name for name, _ in linked] == list(MODELS)
    sections = extension("models_page").page()
    for name, anchor in linked:
        assert anchor == name.lower()  # which docutils makes of the heading
        assert f"\n{name}\n---" in f"\n{sections}"
    assert "   :class: results sortable\n" in page


@pytest.mark.parametrize(
    ("model", "kind", "reads"),
    [
        ("POP", "closed form", "pairs"),
        ("EASE", "closed form", "pairs"),
        ("BPRMF", "factors", "pairs, user ids"),
        ("LightGCN", "graph", "pairs, user ids"),
        ("XSimGCL", "graph, contrast", "pairs, user ids"),
        ("SASRec", "encoder", "sequences"),
        ("Caser", "encoder", "sequences, user ids"),
        ("SRGNN", "graph", "sequences"),
        ("CL4SRec", "encoder, contrast", "sequences"),
        (
            "MCLSR",
            "graph, contrast",
            "sequences, user–user edges, item–item edges",
        ),
    ],
)
def test_kind_and_input_are_those_of_the_model(
    model: str, kind: str, reads: str
) -> None:
    page = extension("choose_page")
    assert (page.kind(model), page.reads(model)) == (kind, reads)


def test_metrics_and_cost_are_those_of_the_best_recorded_run() -> None:
    with (ROOT / "experiments" / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    [ease] = [
        row for row in rows if (row["model"], row["data"]) == ("EASE", "amazon-beauty")
    ]
    measured = extension("choose_page").measured
    assert measured("EASE") == [
        f"{float(ease['NDCG@10 kept']):.4f}",
        f"{float(ease['NDCG@10 excluded']):.4f}",
        f"{float(ease['cpu_seconds']):.0f}",
        "–",  # no epochs
    ]
    best = max(
        float(row["NDCG@10 excluded"])
        for row in rows
        if row["experiment"].startswith("experiments/beauty/caser.yaml")
    )
    assert measured("Caser")[1] == f"{best:.4f}"
    assert extension("choose_page").MISSING == "–"  # which sortable.js puts last


def test_a_paper_is_cited_by_its_authors_venue_and_year() -> None:
    paper = extension("choose_page").paper
    assert paper("SASRec") == "Kang & McAuley, ICDM 2018"
    assert paper("CoSeRec") == "Liu et al., 2021, arXiv:2108.06479"
    assert paper("TVRec") == "NeurIPS 2025"
    assert paper("POP") == "–"
