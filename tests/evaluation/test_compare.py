from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from graphseq.errors import ConfigError, RunError
from graphseq.evaluation import Report, compare
from graphseq.plain_yaml import dump

FACTS = {"part": "test", "training_hash": "a" * 64, "held_out_hash": "b" * 64}


def full_report(values) -> Report:
    """A report that can be saved and loaded."""
    facts = dict.fromkeys(("cold_targets", "known_targets"), 0.0)
    facts |= dict.fromkeys(("targets", "items"), 9) | {"ks": [10], "graph_hash": "c"}
    return report(values, **facts)


def report(values, protocol="excluded", **facts) -> Report:
    values = np.asarray(values, float)
    table = pl.DataFrame(
        {"user_index": np.arange(len(values)), "protocol": protocol, "NDCG@10": values}
    )
    means = {protocol: {"NDCG@10": float(values.mean()), "coverage@10": 0.5}}
    return Report(means, table, FACTS | {"users": len(values)} | facts)


def test_the_difference_is_a_minus_b_over_the_same_users() -> None:
    found = compare(report([1, 1, 0, 0.5]), report([0, 1, 0.5, 0]))
    assert (found.a, found.b, found.difference) == (0.625, 0.375, 0.25)
    assert (found.users, found.better, found.worse) == (4, 2, 1)
    assert found.interval[0] <= 0.25 <= found.interval[1]
    assert "a - b = +0.2500 (+66.7%)" in str(found)


def test_equal_runs_do_not_differ_significantly() -> None:
    found = compare(report([0.3, 0.1, 0.7]), report([0.3, 0.1, 0.7]))
    assert (found.difference, found.interval, found.p_value) == (0, (0, 0), 1)
    assert "do not differ significantly" in str(found)


def test_a_constant_lead_is_certain() -> None:
    found = compare(report([0.5] * 9), report([0.25] * 9), resamples=999)
    assert found.interval == (0.25, 0.25)
    assert found.p_value == 1 / 1000


@pytest.mark.parametrize("kind", ["few values", "many values"])
def test_interval_and_p_value_are_those_of_a_large_sample(kind) -> None:
    # With 4,000 users the bootstrap must agree with the paired t-test.
    draw = np.random.default_rng(0)
    each = draw.normal(0.02, 0.5, 4000)
    each = np.round(each, 1) if kind == "few values" else each
    found = compare(report(each), report(np.zeros(4000)), resamples=20_000)
    test = stats.ttest_1samp(each, 0)
    low, high = test.confidence_interval(0.95)
    assert found.interval == pytest.approx((low, high), abs=8e-4)
    assert found.p_value == pytest.approx(test.pvalue, abs=0.01)


def test_the_seed_fixes_the_result_and_blocks_bound_memory(monkeypatch) -> None:
    a, b = report(np.linspace(0, 1, 60)), report(np.linspace(1, 0, 60) ** 2)
    first = compare(a, b, seed=3)
    assert compare(a, b, seed=3) == first
    assert compare(a, b, seed=4).interval != first.interval
    monkeypatch.setattr("graphseq.evaluation.intervals.DRAWS", 61)
    small = compare(a, b, seed=3)
    assert small.interval == pytest.approx(first.interval, abs=0.01)


@pytest.mark.parametrize(
    ("fact", "words"),
    [("training_hash", "training events"), ("held_out_hash", "held-out data"),
     ("part", "parts of the split")],
)  # fmt: skip
def test_reports_of_different_data_are_refused(fact, words) -> None:
    with pytest.raises(RunError, match=f"different {words}"):
        compare(report([1, 0]), report([1, 0], **{fact: "c" * 64}))


def test_a_missing_metric_or_protocol_is_explained() -> None:
    a = report([1, 0])
    with pytest.raises(ConfigError, match=r"did you mean 'NDCG@10'"):
        compare(a, a, "NDGC@10")
    with pytest.raises(ConfigError, match="no metric 'coverage@10' by user"):
        compare(a, a, "coverage@10")
    with pytest.raises(ConfigError, match=r"graphseq evaluate RUN --history both \(in"):
        compare(a, a, history="kept")
    with pytest.raises(ConfigError, match="resamples: expected a whole number of 1"):
        compare(a, a, resamples=0)
    with pytest.raises(ConfigError, match="confidence"):
        compare(a, a, confidence=1.0)


def test_runs_folders_and_paths_are_read(tmp_path, written) -> None:
    from graphseq.evaluation import evaluate

    kinds = []
    for name, scores in (("a", [[3, 2, 1]] * 4), ("b", [[1, 2, 3]] * 4)):
        model, graph = written(scores, [[0]] * 4, [[1]] * 3 + [[2]])
        kinds.append(evaluate(model, graph, folder=tmp_path / name))
    expected = compare(*kinds)
    assert expected.difference > 0
    run = SimpleNamespace(folder=tmp_path / "a")
    held = SimpleNamespace(folder=None, report=kinds[0])
    for a in (tmp_path / "a", str(tmp_path / "a"), run, held,
              tmp_path / "a" / "report-test.json"):  # fmt: skip
        assert compare(a, tmp_path / "b") == expected
    with pytest.raises(RunError, match="contains no report"):
        compare(tmp_path, tmp_path / "b")
    with pytest.raises(RunError, match=r"report-validation\.json or report-test\.json"):
        compare(tmp_path / "a" / "other.json", tmp_path / "b")
    with pytest.raises(RunError, match="contains no report"):  # of validation
        compare(tmp_path / "a" / "report-validation.json", tmp_path / "b")
    with pytest.raises(RunError, match="reads a report, a run, or the folder"):
        compare(3, kinds[0])


def test_lists_of_one_run_are_the_runs() -> None:
    draw = np.random.default_rng(0)
    a, b = report(draw.random(50)), report(draw.random(50))
    assert compare([a], (b,)) == compare(a, b)


def test_one_run_a_side_supports_no_claim_about_seeds() -> None:
    zero = report(np.zeros(40))
    found = compare([report([0.1] * 40), report([-0.1] * 40)], zero)
    assert found.seeds == (2, 1) and "40 users, 2 and 1 runs" in str(found)
    assert not found.covers_seeds and found.resamples == 10_000
    assert "fewer than 2 runs of each model support no claim about other" in str(found)
    zeros = [zero, report(np.full(40, 1e-15))]  # copies would be refused
    both = compare([report([0.1] * 40), report([-0.1] * 40)], zeros)
    assert both.covers_seeds and both.resamples == 0
    assert "covers the choice of users and of training seeds" in str(both)


def test_one_user_gives_no_interval_and_no_p_value() -> None:
    found = compare(report([0.5]), report([0.25]))
    assert found.interval is None and found.p_value is None
    assert found.difference == 0.25
    assert "1 user:" in str(found) and "need two users or more" in str(found)
    assert "a is better for 1 user, b for 0" in str(found)
    several = [report([0.5]), report([0.6])]
    assert compare(several, several).interval is None


def test_where_one_variance_is_all_the_interval_is_that_of_students_t() -> None:
    """Users agree and the runs of b are equal, so that the runs of a are a sample."""
    shift = np.array([0.02, 0.05, 0.03])
    runs = [report(np.full(40, value)) for value in shift]
    found = compare(runs, [report(np.full(40, tiny)) for tiny in (0, 1e-15)])
    test = stats.ttest_1samp(shift, 0)
    low, high = test.confidence_interval(0.95)
    assert found.interval == pytest.approx((low, high))
    assert found.p_value == pytest.approx(test.pvalue)
    draw = np.random.default_rng(0)
    each = draw.normal(0.02, 0.5, 4000)
    sides = [
        [report(values + tiny) for tiny in (0, 1e-15)]
        for values in (each, np.zeros(4000))
    ]
    found = compare(*sides)
    assert found.p_value == pytest.approx(stats.ttest_1samp(each, 0).pvalue)


def test_equal_runs_of_several_seeds_do_not_differ() -> None:
    runs = [report([0.3, 0.1, 0.7]), report([0.2, 0.4, 0.7])]
    found = compare(runs, runs)
    assert found.p_value == 1 and found.interval is not None
    assert found.interval[0] < 0 < found.interval[1]


@pytest.mark.parametrize("seeds", [2, 3, 5, 7])
def test_users_are_counted_as_if_means_were_exact(seeds) -> None:
    """Values are multiples of 0.1; for half of the users both sums are the same."""
    draw = np.random.default_rng(seeds)
    a = draw.integers(0, 11, (seeds, 400))
    b = draw.permuted(a, axis=0)
    b[:, ::2] = draw.integers(0, 11, (seeds, 200))
    found = compare([report(row / 10) for row in a], [report(row / 10) for row in b])
    better = sum(int(x) > int(y) for x, y in zip(a.sum(0), b.sum(0), strict=True))
    worse = sum(int(x) < int(y) for x, y in zip(a.sum(0), b.sum(0), strict=True))
    assert (found.better, found.worse) == (better, worse)
    same = compare(
        [report(row / 10) for row in a], [report(row / 10) for row in a[::-1]]
    )
    assert (same.better, same.worse, same.difference, same.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("column", ["history_length", "target_events", "targets"])
def test_columns_of_users_are_no_metrics(column) -> None:
    plain = report([1, 0])
    table = plain.per_user.with_columns(pl.lit(3).alias(column))
    full = Report(plain.means, table, plain.facts)
    with pytest.raises(
        ConfigError, match=rf"no metric '{column}' by user.*\['NDCG@10'"
    ):
        compare(full, full, column)


def test_every_run_of_a_list_has_to_be_of_the_same_data() -> None:
    fine, other = report([0.1, 0.2]), report([0.1, 0.2], training_hash="c" * 64)
    with pytest.raises(RunError, match="different training events"):
        compare([fine, other], fine)
    with pytest.raises(ConfigError, match="a list of one or more; found none"):
        compare([], fine)


def test_a_high_confidence_is_not_rounded_up() -> None:
    chance = np.random.default_rng(0)
    one, other = (report(chance.random(60)) for _ in range(2))
    for confidence, words in ((0.999, "99.9% interval"), (0.95, "95% interval")):
        assert words in str(compare(one, other, "NDCG@10", confidence=confidence))


def test_a_list_has_runs_of_one_training_and_no_copies(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a-0", "a-1", "copy", "other")]
    rates = {"a-0": 0.1, "a-1": 0.1, "copy": 0.1, "other": 0.5}
    for folder, values in zip(folders, ([1, 0], [0, 1], [1, 0], [0, 0]), strict=True):
        folder.mkdir()
        train = {"lr": rates[folder.name], "seed": values[0], "threads": 2}
        train |= {"new": 1} if folder.name == "a-1" else {}  # of a later version
        (folder / "experiment.yaml").write_text(dump({"train": train}))
        full_report(values).save(folder)
    first, second, copy, other = folders
    assert compare([first, second], other).seeds == (2, 1)
    with pytest.raises(ConfigError, match=r"differ in .* \(lr: 0.1 and 0.5\)"):
        compare(second, [first, other])
    with pytest.raises(ConfigError, match="copy of a list have the same values for"):
        compare([first, copy], other)


def test_the_sign_of_a_relative_difference_is_that_of_the_difference() -> None:
    found = str(compare(report([-1.0, -1.0]), report([-2.0, -2.0])))
    assert "a - b = +1.0000 (+50.0%)" in found


def test_one_user_has_no_interval_to_speak_of() -> None:
    found = str(compare([report([0.1]), report([0.2])], [report([0.3]), report([0])]))
    assert "without an interval" in found and "covers" not in found


def test_a_list_has_runs_of_one_model_with_different_seeds() -> None:
    one, two = report([0.1, 0.9, 0.3], model="A"), report([0.2, 0.8, 0.1], model="A")
    other = report([0.5, 0.5, 0.2], model="B")
    with pytest.raises(ConfigError, match=r"runs.a is given twice; list runs with"):
        compare(["runs/a", "runs/../runs/a"], one)
    with pytest.raises(ConfigError, match=r"of one model with .* model: A and B"):
        compare([one, other], one)
    two.facts["model"] = {"A": {"encoder": {"GRU": {"dim": 4}}, "loss": "ce"}}
    one.facts["model"] = {"A": {"new": 1, "loss": "ce", "encoder": {"GRU": {"dim": 4}}}}
    assert compare([one, two], other).seeds == (2, 1), "in any order, of any version"
    for encoder, found in (
        ({"GRU": {"dim": 8}}, r"encoder\.dim: 4 and 8"),
        ({"Caser": {}}, "encoder: GRU and"),
    ):
        other.facts["model"] = {"A": {"encoder": encoder}}
        with pytest.raises(ConfigError, match=found):
            compare([one, other], one)
    assert compare([one, two], other).seeds == (2, 1)
    with pytest.raises(ConfigError, match="a report is given twice"):
        compare([one, one], other)
    with pytest.raises(ConfigError, match=r"runs.a is given twice"):
        compare(["runs/a", "runs/a/report-test.json"], one)
    noisy = report([0.2, 0.8, 0.1], model="A", noise=0.1, noise_seed=1)
    with pytest.raises(ConfigError, match=r"evaluated alike; found the noise"):
        compare([one, noisy], other)
    assert compare(one, noisy).seeds == (1, 1)
