"""Published rows are compared with experiments under the protocol of the row."""

import csv
import re
from functools import cache
from importlib import import_module as extension
from pathlib import Path
from typing import Any

import pytest

from graphseq.config import experiments_of
from graphseq.config.fingerprint import fingerprint

ROOT = Path(__file__).resolve().parents[2]


@cache
def page() -> str:
    text: str = extension("published_page").page()
    return text


def row(model: str, source: str, data: str = "amazon-beauty") -> Any:
    found = [
        r
        for r in extension("evidence").published()
        if r.model == model and r.data == data and r.source.startswith(source)
    ]
    [one] = found
    return one


def aiming(published: Any) -> list[str]:
    return [run.name for run in extension("published_page").aiming([published])]


def test_every_published_value_is_on_the_page() -> None:
    for published in extension("evidence").published():
        assert f"- {published.source}" in page()
        for value in published.values.values():
            assert f"- {value:.4f}" in page()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("BPR-MF", ("BPRMF", "", "")),
        ("S3-Rec-MIP", ("S3Rec", "mip", "Transformer")),
        ("GC-SAN", ("GCSAN", "", "")),
        ("GRU4Rec", ("GRU4Rec", "", "GRU")),
        ("SASRec on GRU4Rec", ("SASRec", "", "GRU")),
        ("TiSASRec", None),
    ],
)
def test_names_of_models_in_tables_are_identified(name: str, known: object) -> None:
    assert extension("evidence").identify(name) == known


def test_an_experiment_aims_at_its_model_variant_data_and_split() -> None:
    sasrec = aiming(row("SASRec", "ICLRec"))
    assert "beauty/sasrec:ce-prefix" in sasrec
    assert "beauty/sasrec:propagated" not in sasrec  # other features
    assert "beauty/sasrec:published-weights" not in sasrec  # not trained here
    assert not any("mclsr" in name for name in sasrec)
    assert "clothing:mclsr" in aiming(row("MCLSR", "MCLSR", "amazon-clothing"))
    assert "beauty/gru4rec:targets" in aiming(row("GRU4Rec", "ICLRec"))
    if mip := aiming(row("S3-Rec-MIP", "EC4SRec")):
        assert all("full" not in name and "isp" not in name for name in mip)


def test_a_row_on_another_encoder_needs_an_experiment_with_it() -> None:
    attention, gru = row("CL4SRec", "EC4SRec"), row("CL4SRec on GRU4Rec", "EC4SRec")
    assert "beauty/cl4srec:targets" in aiming(attention)
    assert not set(aiming(attention)) & set(aiming(gru))


def test_ratios_are_taken_under_the_protocol_of_the_row() -> None:
    published = extension("published_page")
    excluded, kept = row("SASRec", "ICLRec"), row("SASRec", "EC4SRec")
    assert (excluded.protocol, kept.protocol) == ("excluded", "kept")
    result, found = published.nearest(excluded)
    means = result.means("excluded")
    assert found["HR@20"] == pytest.approx(means["HR@20"] / 0.0901)
    assert means != result.means("kept")


def results() -> list[dict[str, str]]:
    with (ROOT / "experiments" / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_means_are_over_the_seeds_newest_row_first() -> None:
    evidence = extension("evidence")
    [run] = [r for r in evidence.experiments() if r.name == "pop:beauty"]
    rows = [{"HR@5 kept": v, "seed": s} for s, v in (("0", "0.25"), ("1", "0.75"))]
    made = evidence.Result(run, (0, 1), tuple(rows))
    assert made.means("kept") == {"HR@5": 0.5}
    assert made.means("excluded") == {}


def test_impossible_values_are_marked_and_left_out_of_the_ratios() -> None:
    published = extension("published_page")
    doubted = row("SASRec", "EC4SRec")
    assert list(published.doubtful(doubted)) == ["NDCG@10"]
    assert "- 0.0281 †" in page()
    ours = {"HR@5": 0.0365, "NDCG@10": 9.0}
    assert published.ratios(doubted, ours) == {"HR@5": 1.0}
    several = row("MCLSR", "MCLSR", "amazon-clothing")  # several targets a user
    assert published.doubtful(several) == {}


def test_a_row_without_a_run_says_so_and_gives_the_command() -> None:
    evidence, published = extension("evidence"), extension("published_page")
    for run in published.aiming(evidence.published()):
        assert f"\n   {run.command}\n" in page()
        if evidence.result(run) is None:
            shown = f"     - ours: {run.name}\n     - *not run yet*\n"
            assert page().count(shown) >= 2  # under each protocol
    unknown = row("BPR-MF", "EC4SRec")
    assert published.verdict(unknown) == "not compared: protocol unknown"


def test_a_contrastive_model_is_listed_with_sasrec_of_its_sampler_and_loss() -> None:
    evidence, published = extension("evidence"), extension("published_page")
    runs = [r for r in evidence.experiments() if r.model == "ICLRec"]
    baselines = [published.baselines([run])[0] for run in runs]
    assert any(baseline is not None for baseline in baselines)
    for run, baseline in zip(runs, baselines, strict=True):
        if baseline is not None:
            assert baseline.model == "SASRec"
            for option in ("sampler", "loss"):
                assert baseline.option(option) == run.option(option)
            assert (baseline.data, baseline.split) == (run.data, run.split)
    assert "SASRec, same sampler and loss" in page()
    [plain] = [r for r in evidence.experiments() if r.name == "pop:beauty"]
    assert published.baselines([plain]) == []


def test_every_result_belongs_to_an_experiment_as_it_stands() -> None:
    evidence = extension("evidence")
    written = experiments_of(str(evidence.EXPERIMENTS))
    known = {fingerprint(experiment.options) for experiment in written}
    seed_only = re.compile(r"(train\.seed=\d+)?")
    stale = {
        row["experiment"]
        for row in results()
        if seed_only.fullmatch(row["settings"]) and row["fingerprint"] not in known
    }
    assert stale == set(), "these files changed after their run: run them again"
