from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from graphseq.constants import INTERACTS, PRECEDES
from graphseq.data import Vocabulary, leave_one_out, synthetic
from graphseq.errors import ConfigError, GraphError, GraphSeqError
from graphseq.evaluation import Report, compare, evaluate
from graphseq.graphs import Attributes, build_graph
from graphseq.models import POP
from graphseq.models.base import Model
from graphseq.training import fit, load_run


def test_history_chooses_the_protocols(small) -> None:
    both = evaluate(*small)
    assert [*both.means] == ["kept", "excluded"]
    for protocol in ("kept", "excluded"):
        one = evaluate(*small, history=protocol)
        assert [*one.means] == [protocol]
        assert one[protocol] == both[protocol]
    with pytest.raises(KeyError, match="this report has"):
        one["kept"]


def test_metrics_and_columns_of_a_report(small) -> None:
    report = evaluate(*small, ks=(10, 5, 5))
    assert report.facts["ks"] == [5, 10]
    names = ["HR", "Recall", "NDCG", "MRR", "popularity", "coverage"]
    expected = {f"{name}@{k}" for name in names for k in (5, 10)} | {"MRR"}
    assert set(report["kept"]) == expected
    columns = {name for name in expected if not name.startswith("coverage")}
    keys = {"user_index", "protocol", "targets", "best_rank"}
    keys |= {"history_length", "target_events"}
    assert set(report.per_user.columns) == columns | keys
    assert report.per_user["targets"].to_list() == [2] * 12
    assert report.frame()["protocol"].to_list() == ["kept", "excluded"]
    for name in columns:
        users = report.per_user.filter(pl.col("protocol") == "kept")[name]
        assert users.mean() == pytest.approx(report["kept"][name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part": "train"}, "part: expected 'validation' or 'test'"),
        ({"history": "masked"}, "history: expected 'both' or 'kept' or 'excluded'"),
        ({"ks": ()}, "ks: expected a list of a whole number of 1 or more"),
        ({"ks": (0,)}, "ks: expected a list of a whole number of 1 or more"),
    ],
)
def test_invalid_options_are_refused(small, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(*small, **options)


def test_a_graph_of_other_size_or_without_the_part_is_refused(small) -> None:
    model, graph = small
    with pytest.raises(GraphError, match="no validation users"):
        evaluate(model, graph, part="validation")
    graph["item"].num_nodes = 31
    with pytest.raises(GraphError, match="for 30 items, and the graph has 31"):
        evaluate(model, graph)


def test_a_missing_relation_is_refused(small, monkeypatch) -> None:
    model, graph = small
    monkeypatch.setattr(type(model), "requires", (INTERACTS, PRECEDES))
    with pytest.raises(GraphError, match="precedes"):
        evaluate(model, graph)


def test_cold_and_known_targets_are_counted(written) -> None:
    model, graph = written(
        torch.rand(2, 5), [[0], [1]], [[0, 4], [2]], [(0, 0), (1, 2)]
    )
    facts = evaluate(model, graph).facts
    assert facts["cold_targets"] == facts["known_targets"] == pytest.approx(1 / 3)
    model, graph = written(torch.rand(2, 5), [[0], [1]], [[1], [0]], [(0, 0), (1, 1)])
    facts = evaluate(model, graph).facts
    assert facts["known_targets"] == 0, "the histories of other users do not count"


def test_numbers_of_numpy_are_those_of_python(small, tmp_path) -> None:
    given = {"noise": np.float64(0.5), "noise_seed": np.int64(1)}
    found = evaluate(*small, ks=[*np.arange(5, 15, 5)], folder=tmp_path, **given)
    assert found.facts["ks"] == [5, 10]
    again = Report.load(tmp_path, noise=0.5, noise_seed=1)
    assert again.means == found.means
    assert "noise: 0.5" in again.protocol_text()


def test_progress_can_be_shown(small, capsys) -> None:
    quiet = evaluate(*small)
    assert evaluate(*small, progress=True).means == quiet.means


# Oracle U-14: HR and NDCG at 5, 10, 20.
POPULAR = {
    ("amazon-beauty/Beauty.txt", "train"): {
        "excluded": [0.0075, 0.0041, 0.0115, 0.0055, 0.0203, 0.0076],
        "kept": [0.0072, 0.0040, 0.0114, 0.0053, 0.0195, 0.0073],
    },
    ("amazon-sports/Sports_and_Outdoors.txt", "train"): {
        "excluded": [0.0057, 0.0041, 0.0091, 0.0052, 0.0151, 0.0067],
        "kept": [0.0055, 0.0040, 0.0090, 0.0051, 0.0149, 0.0066],
    },
    ("amazon-toys/Toys_and_Games.txt", "train"): {
        "excluded": [0.0056, 0.0039, 0.0090, 0.0049, 0.0134, 0.0060],
        "kept": [0.0055, 0.0038, 0.0089, 0.0049, 0.0132, 0.0060],
    },
    ("amazon-toys/Toys_and_Games.txt", "all"): {
        "excluded": [0.0066, 0.0046, 0.0113, 0.0061, 0.0164, 0.0073],
    },
    ("yelp-2019/Yelp.txt", "train"): {
        "excluded": [0.0056, 0.0036, 0.0095, 0.0049, 0.0156, 0.0064],
        "kept": [0.0058, 0.0038, 0.0100, 0.0051, 0.0163, 0.0067],
    },
}
LARGE = [key for key in POPULAR if "Sports" in key[0] or "Yelp" in key[0]]
LARGE.append(("amazon-toys/Toys_and_Games.txt", "all"))


class Popular(Model):
    """Scores an item by how often it was chosen."""

    def __init__(self, num_users: int, counts: torch.Tensor) -> None:
        super().__init__()
        self.num_users, self.num_items, self.counts = num_users, len(counts), counts

    def represent(self, batch, graph):
        return torch.ones(len(batch), 1)

    def item_vectors(self, graph):
        return self.counts[:, None].float()

    def losses(self, batch, graph):
        return {}


def by_item_number(path):
    """The lines of a file of sequences, whose items are numbered from 1."""
    lines = [
        [int(item) - 1 for item in line.split()[1:]]
        for line in path.read_text().splitlines()
    ]
    return lines, 1 + max(map(max, lines))


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        pytest.param(*key, marks=[pytest.mark.slow] if key in LARGE else [])
        for key in POPULAR
    ],
)
def test_popularity_has_the_exact_published_figures(
    shared, written, name, counted
) -> None:
    # Ties fall by the file's own item numbers, so the graph is made by hand.
    lines, num_items = by_item_number(shared / "data" / name)
    train = [(u, item) for u, line in enumerate(lines) for item in line[:-2]]
    empty = torch.zeros(len(lines), num_items, device="meta")
    histories, targets = [line[:-1] for line in lines], [line[-1:] for line in lines]
    _, graph = written(empty, histories, targets, train)
    stop = -2 if counted == "train" else None
    events = [item for line in lines for item in line[:stop]]
    counts = torch.tensor(events).bincount(minlength=num_items)
    report = evaluate(Popular(len(lines), counts), graph)
    for protocol, values in POPULAR[name, counted].items():
        means = report[protocol]
        found = [means[f"{m}@{k}"] for k in (5, 10, 20) for m in ("HR", "NDCG")]
        assert [round(value, 4) for value in found] == values, protocol


def test_a_saved_report_never_becomes_a_smaller_one(small, tmp_path) -> None:
    whole = evaluate(*small, ks=(5, 10), folder=tmp_path, comirec=True)
    found = evaluate(*small, ks=(3, 5), history="kept", folder=tmp_path)
    assert [*found.means] == ["kept"] and found.facts["ks"] == [3, 5]
    assert "HR@10" not in found["kept"] and "HR@10" not in found.per_user.columns
    saved = Report.load(tmp_path)
    assert [*saved.means] == ["kept", "excluded"] and saved.facts["ks"] == [3, 5, 10]
    for protocol in ("kept", "excluded"):
        assert saved[protocol].items() >= whole[protocol].items()
    assert found["kept"].items() <= saved["kept"].items()
    assert compare(tmp_path, tmp_path, "NDCG@10", history="excluded").difference == 0


def test_users_have_raw_ids_and_dense_ones_under_another_name(small) -> None:
    model, graph = small
    assert "user" not in evaluate(model, graph).per_user.columns, "without a vocabulary"
    graph["user"].vocabulary = Vocabulary([60, 50, 40, 30, 20, 10])
    rows = evaluate(model, graph, history="kept").per_user
    assert rows["user"].to_list() == [60, 50, 40, 30, 20, 10]
    assert rows["user_index"].to_list() == [0, 1, 2, 3, 4, 5]
    graph["item"].vocabulary = Vocabulary([f"i{n}" for n in range(30)])
    model.scores[3] = torch.nan
    with pytest.raises(GraphSeqError, match=r"scores item 'i\d+' NaN for user 30"):
        evaluate(model, graph)


def test_a_report_with_diversity_is_evaluated_again_without_attributes(
    tmp_path: Path,
) -> None:
    log = synthetic.cycle(20, 8, length=6)
    kinds = {raw: [f"kind {n % 3}"] for n, raw in enumerate(log.items.ids)}
    with_kinds = build_graph(leave_one_out(log), [Attributes(kinds)])
    model = POP(20, 8)
    fit(model, with_kinds, folder=tmp_path, progress=False)
    first = evaluate(model, with_kinds, metrics=["diversity", "Gini"], folder=tmp_path)
    assert "diversity@10" in first["kept"]
    again = evaluate(model, load_run(tmp_path).graph(), folder=tmp_path)
    assert "diversity@10" not in again["kept"]
    assert again["kept"]["Gini@10"] == first["kept"]["Gini@10"]
