"""The log stored with a graph: restored, verified, and read only on request."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data import Interactions, Vocabulary, leave_one_out, synthetic
from graphseq.errors import GraphError
from graphseq.folders import GRAPH
from graphseq.graphs import build_graph, graph_hash, load_graph, load_log, save_graph
from graphseq.graphs.content import ITEMS, LOG, USERS
from graphseq.graphs.hashing import log_hash
from graphseq.graphs.storage import read_log, write_log

LOGS = [LOG, USERS, ITEMS]


@pytest.fixture
def log() -> Interactions:
    return synthetic.cycle(num_users=30, num_items=9, length=7, seed=0)


@pytest.fixture
def folder(log: Interactions, tmp_path: Path) -> Path:
    return save_graph(build_graph(leave_one_out(log)), tmp_path / "graph", log=log)


events = st.lists(
    st.tuples(
        st.integers(-(2**62), 2**62),
        st.text(min_size=1, max_size=3),
        st.integers(-3, 2**24),  # no unix times, whose units would be compared
    ),
    max_size=30,
)


@given(events, st.booleans())
def test_any_log_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, str, int]],
    timed: bool,
) -> None:
    schema = {"user": pl.Int64, "item": pl.String, "time": pl.Int64}
    frame = pl.DataFrame(rows, schema, orient="row")
    log = Interactions.from_frame(frame if timed else frame.drop("time"))
    folder = tmp_path_factory.mktemp("log")
    metadata = json.loads(json.dumps(write_log(log, folder)))
    back = read_log(metadata, folder)
    assert back == log
    assert log_hash(back) == log_hash(log) == metadata["hash"]


def test_ids_that_no_event_names_come_back(tmp_path: Path) -> None:
    users, items = Vocabulary(["a", "b"]), Vocabulary(range(300))
    log = Interactions.from_arrays([1], [299], [5], users=users, items=items)
    assert read_log(write_log(log, tmp_path), tmp_path) == log


def test_the_log_is_stored_with_the_graph(log: Interactions, folder: Path) -> None:
    assert load_log(folder) == log
    assert {*LOGS, GRAPH} < {path.name for path in folder.iterdir()}


def test_the_log_is_no_part_of_the_hash(log: Interactions, folder: Path) -> None:
    plain = save_graph(build_graph(leave_one_out(log)), folder.with_name("plain"))
    assert graph_hash(load_graph(plain)) == graph_hash(load_graph(folder))


def test_loading_a_graph_does_not_read_its_log(folder: Path) -> None:
    for name in LOGS:
        (folder / name).unlink()
    assert load_graph(folder).validate()


def test_hashes_of_logs_differ_with_every_part(log: Interactions) -> None:
    frame = log.frame()
    times = pl.col("time") + 1
    others = [
        Interactions.from_frame(frame.reverse()),
        Interactions.from_frame(frame.head(-1)),
        Interactions.from_frame(frame.with_columns(pl.col("user").cast(pl.String))),
        Interactions.from_frame(frame.with_columns(times)),
        Interactions.from_frame(frame.drop("time")),
    ]
    assert len({log_hash(each) for each in [log, *others]}) == 6


def test_a_graph_without_a_log_says_what_to_do(
    log: Interactions, tmp_path: Path
) -> None:
    folder = save_graph(build_graph(leave_one_out(log)), tmp_path / "graph")
    with pytest.raises(GraphError, match=r"without its log.*Build it again"):
        load_log(folder)
    with pytest.raises(GraphError, match="it does not exist"):
        load_log(tmp_path / "nowhere")


def cut(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return apply


def reverse_items(folder: Path) -> None:
    pl.read_parquet(folder / ITEMS).reverse().write_parquet(folder / ITEMS)


def swap_columns(folder: Path) -> None:
    table = pl.read_parquet(folder / LOG)
    table.rename({"item": "time", "time": "item"}).write_parquet(folder / LOG)


DAMAGE = {
    "cut events": cut(LOG),
    "cut users": cut(USERS),
    "no items": lambda folder: (folder / ITEMS).unlink(),
    "other items": reverse_items,
    "other columns": swap_columns,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_of_the_log_is_noticed(folder: Path, kind: str) -> None:
    DAMAGE[kind](folder)
    with pytest.raises(GraphError, match=r"is damaged: .*Build the graph again"):
        load_log(folder)
    assert load_graph(folder).validate()
