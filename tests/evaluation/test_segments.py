"""Metrics of segments of users, against loops over users."""

import math
from typing import Any

import polars as pl
import pytest
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.constants import INTERACTS
from graphseq.data.synthetic import communities
from graphseq.errors import ConfigError
from graphseq.evaluation import Report
from graphseq.evaluation.segments import segments


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = communities(
        num_users=60, num_items=40, num_communities=4, mean_length=6.0, seed=1
    )
    return gs.build_graph(gs.leave_one_out(log))


@pytest.fixture(scope="module")
def report(graph: HeteroData) -> Report:
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    return gs.evaluate(gs.models.ItemKNN(*sizes), graph, ks=[5])


def by_loops(report: Report, of: dict[Any, Any], protocol: str) -> dict[Any, Any]:
    """The users and the mean NDCG@5 of each segment."""
    values: dict[Any, list[float]] = {}
    for row in report.per_user.iter_rows(named=True):
        if row["protocol"] == protocol:
            values.setdefault(of[row["user"]], []).append(row["NDCG@5"])
    return {key: (len(v), sum(v) / len(v)) for key, v in values.items()}


def found(table: pl.DataFrame, column: str, protocol: str) -> dict[Any, Any]:
    rows = table.filter(pl.col("protocol") == protocol).iter_rows(named=True)
    return {row[column]: (row["users"], row["NDCG@5"]) for row in rows}


def approx(expected: dict[Any, Any]) -> dict[Any, Any]:
    return {key: (n, pytest.approx(mean)) for key, (n, mean) in expected.items()}


def test_users_have_the_length_of_their_history_and_the_events_of_their_target(
    graph: HeteroData, report: Report
) -> None:
    counts = graph[INTERACTS].edge_index[1].bincount(minlength=40)
    held_out = graph.test
    for n, row in enumerate(
        report.per_user[: len(held_out.user)].iter_rows(named=True)
    ):
        assert row["user_index"] == held_out.user[n]
        length = held_out.history_ptr[n + 1] - held_out.history_ptr[n]
        assert row["history_length"] == length
        targets = held_out.target[held_out.target_ptr[n] : held_out.target_ptr[n + 1]]
        assert row["target_events"] == min(int(counts[i]) for i in targets)


@pytest.mark.parametrize("protocol", ["kept", "excluded"])
def test_segments_by_bins_are_those_of_a_loop(report: Report, protocol: str) -> None:
    lengths = dict(report.per_user.select("user", "history_length").iter_rows())
    names = {
        user: "< 5" if n < 5 else "5 to < 8" if n < 8 else ">= 8"
        for user, n in lengths.items()
    }
    table = report.by("history_length", [5, 8])
    expected = by_loops(report, names, protocol)
    assert len(expected) == 3
    assert found(table, "history_length", protocol) == approx(expected)
    order = table.filter(pl.col("protocol") == protocol)["history_length"].to_list()
    assert order == ["< 5", "5 to < 8", ">= 8"]
    weighted = sum(n * mean for n, mean in expected.values()) / len(lengths)
    assert weighted == pytest.approx(report[protocol]["NDCG@5"])


def test_without_bins_each_value_is_a_segment(report: Report) -> None:
    lengths = dict(report.per_user.select("user", "history_length").iter_rows())
    table = report.by("history_length")
    expected = by_loops(report, lengths, "kept")
    assert found(table, "history_length", "kept") == approx(expected)
    shown = table.filter(pl.col("protocol") == "kept")["history_length"].to_list()
    assert shown == sorted(expected)


def test_any_column_of_a_frame_makes_segments(report: Report) -> None:
    users = report.per_user["user"].unique().to_list()
    frame = pl.DataFrame({"user": users[1:], "country": [*"ab" * 40][: len(users) - 1]})
    of = {**dict(frame.iter_rows()), users[0]: None}
    table = report.by("country", frame=frame)
    expected = by_loops(report, of, "excluded")
    assert set(expected) == {"a", "b", None}
    assert found(table, "country", "excluded") == approx(expected)
    assert table["country"].to_list()[-1] is None


def report_of(ids: list[Any]) -> Report:
    """User n has an NDCG@5 of n."""
    values = [float(n) for n in range(len(ids))]
    rows = {"user": ids, "user_index": range(len(ids)), "protocol": "kept"}
    table = pl.DataFrame(rows | {"history_length": 3, "NDCG@5": values})
    return Report({"kept": {"NDCG@5": sum(values) / len(ids)}}, table, {})


@pytest.mark.parametrize(
    "users",
    [["007", "8", "9"], ["7", "8", "ana"], ["7", None, None, "007"], [9, 7, 70], []],
)
@pytest.mark.parametrize("ids", [[7, 8, 9], ["7", "8", "9"], ["007", "8", "b"]])
def test_a_user_and_its_decimal_string_are_one(ids: Any, users: Any) -> None:
    frame = pl.DataFrame({"user": users, "g": [f"g{n}" for n in range(len(users))]})
    known = {str(user): f"g{n}" for n, user in enumerate(users) if user is not None}
    report = report_of(ids)
    of = {user: known.get(str(user)) for user in ids}
    table = report.by("g", frame=frame)
    assert found(table, "g", "kept") == approx(by_loops(report, of, "kept"))


def test_fractions_are_no_users() -> None:
    frame = pl.DataFrame({"user": [7.9, 8.0], "g": ["a", "b"]})
    with pytest.raises(ConfigError, match=r"user of the frame: ids must .*Float64"):
        report_of([7, 8]).by("g", frame=frame)


@pytest.mark.parametrize("bins", [None, [2]])
def test_nan_is_null(bins: list[int] | None) -> None:
    report = report_of([7, 8, 9, 10])
    values = [1.0, math.nan, 3.0, None]
    table = report.by(
        "g", bins, frame=pl.DataFrame({"user": [7, 8, 9, 10], "g": values})
    )
    names = [1.0, None, 3.0, None] if bins is None else ["< 2", None, ">= 2", None]
    of = dict(zip([7, 8, 9, 10], names, strict=True))
    assert found(table, "g", "kept") == approx(by_loops(report, of, "kept"))
    assert table["users"].to_list() == [1, 1, 2]


@pytest.mark.parametrize("name", ["protocol", "user", "users", "_order", "NDCG@5"])
def test_names_of_the_result_are_refused(name: str) -> None:
    frame = pl.DataFrame({"user": [7, 8], name: [7, 8]})
    with pytest.raises(ConfigError, match=rf"be named '{name}'.*Rename the column"):
        report_of([7, 8]).by(name, frame=frame)


def test_wrong_segments_are_refused(report: Report) -> None:
    frame = pl.DataFrame({"user": ["1", "1"], "age": [3, 4]})
    with pytest.raises(
        ConfigError, match=r"no column 'age' of users; .*history_length"
    ):
        report.by("age")
    with pytest.raises(ConfigError, match="no column 'NDCG@5' of users"):
        report.by("NDCG@5")
    with pytest.raises(ConfigError, match="no column 'protocol' of users"):
        report.by("protocol")
    with pytest.raises(ConfigError, match="bins must be ascending"):
        report.by("history_length", [5, 3])
    with pytest.raises(ConfigError, match="bins must be ascending"):
        report.by("history_length", [])
    with pytest.raises(ConfigError, match="several rows for user '1'"):
        report.by("age", frame=frame)
    with pytest.raises(ConfigError, match="the frame has no column user"):
        report.by("age", frame=frame.select("age"))
    named = pl.DataFrame({"user": ["1", "2"], "kind": ["new", "old"]})
    with pytest.raises(ConfigError, match="bins divide numbers, and kind has values"):
        report.by("kind", [1], frame=named)


def test_other_types_are_refused_by_name(
    report: Report, unchecked_shapes: None
) -> None:
    for bins in (5, [math.nan], ["5"], [True]):
        with pytest.raises(ConfigError, match="bins is a list of finite numbers"):
            segments(report.per_user, "history_length", bins)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="frame is a frame of polars; found dict"):
        segments(report.per_user, "age", frame={"user": []})  # type: ignore[arg-type]


def test_bounds_keep_all_their_digits() -> None:
    frame = pl.DataFrame({"user": [7, 8], "when": [1_000_000, 1_000_002]})
    table = report_of([7, 8]).by("when", [1_000_001, 1_000_002.5], frame=frame)
    names = ["< 1000001", "1000001 to < 1000002.5"]
    assert table["when"].unique(maintain_order=True).to_list() == names
