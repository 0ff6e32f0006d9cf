"""Costs foretold against costs paid."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.transforms import Constant

from graphseq.constants import PRECEDES
from graphseq.data import Interactions, leave_one_out, synthetic
from graphseq.graphs import CoOccurrence, Transitions, build_graph
from graphseq.graphs.cost import Estimate, estimate, peak
from graphseq.graphs.progress import Advance, progress_callback

EVENTS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9)), min_size=3)


def log_of(pairs: list[tuple[int, int]]) -> Interactions:
    user, item = zip(*[(9, 0), (9, 1), (9, 2), *pairs], strict=True)
    return Interactions.from_arrays(list(user), list(item))


def test_a_number_of_neighbours_beyond_the_nodes_keeps_all_edges() -> None:
    log = log_of([(u, i) for u in range(8) for i in range(u, 9)])
    found = [
        estimate(log, [CoOccurrence("item", top_k=k), Transitions(top_k=k)])
        for k in (10**15, 10)
    ]
    edges = [[each.edges for each in estimates] for estimates in found]
    assert edges[0] == edges[1]


def naive_multiply_adds(log: Interactions, kind: str, cap: int | None) -> int:
    """One for every ordered pair of nodes at every common neighbour."""
    pairs = set(zip(log.user.tolist(), log.item.tolist(), strict=True))
    if kind == "item":
        pairs = {(item, user) for user, item in pairs}
    sizes = Counter(neighbour for _, neighbour in pairs)
    return sum(size**2 for size in sizes.values() if cap is None or size <= cap)


@given(
    pairs=EVENTS,
    kind=st.sampled_from(["user", "item"]),
    top_k=st.sampled_from([None, 1, 2, 50]),
    weight=st.sampled_from(["count", "cosine"]),
    symmetrize=st.sampled_from(["max", "min", "none"]),
    cap=st.sampled_from([None, 1, 2, 4]),
)
def test_multiply_adds_are_exact_and_edges_bounded(
    pairs: list[tuple[int, int]],
    kind: str,
    top_k: int | None,
    weight: str,
    symmetrize: str,
    cap: int | None,
) -> None:
    split = leave_one_out(log_of(pairs))
    step = CoOccurrence(
        kind, top_k=top_k, weight=weight, symmetrize=symmetrize, hub_cap=cap
    )  # type: ignore[arg-type]
    [cost] = estimate(split.train, [step])
    graph = build_graph(split, [step])
    made = graph[kind, "co_occurs", kind].edge_index.shape[1]
    assert cost.operations == naive_multiply_adds(split.train, kind, cap)
    assert cost.edges is not None
    assert made <= cost.edges
    if symmetrize == "none" or top_k is None:
        assert made == cost.edges  # so few rows are all looked at


@given(pairs=EVENTS, window=st.integers(1, 4), top_k=st.sampled_from([None, 1, 3]))
def test_pairs_of_events_are_exact_and_transitions_bounded(
    pairs: list[tuple[int, int]], window: int, top_k: int | None
) -> None:
    split = leave_one_out(log_of(pairs))
    [cost] = estimate(split.train, [Transitions(window=window, top_k=top_k)])
    runs = np.bincount(split.train.user)
    naive = sum(min(window, n - 1 - position) for n in runs for position in range(n))
    assert cost.operations == naive
    graph = build_graph(split, [Transitions(window=window, top_k=top_k)])
    assert cost.edges is not None
    assert graph[PRECEDES].edge_index.shape[1] <= cost.edges


def test_what_is_foretold_is_what_progress_counts() -> None:
    split = leave_one_out(synthetic.cycle(num_users=60, num_items=20, length=9, seed=0))
    steps = [
        CoOccurrence("user", block_rows=7),
        CoOccurrence("item", weight="cosine", block_rows=3),
        Transitions(window=3),
    ]
    reports: list[Advance] = []
    with progress_callback(reports.append):
        build_graph(split, steps)
    totals = {each.stage: each.total for each in reports if each.total}
    costs = [each.operations for each in estimate(split.train, steps)]
    assert [*totals.values()][:2] == costs[:2]
    begun = [each.stage for each in reports if not each.total]
    assert begun == ["CoOccurrence", "CoOccurrence", "Transitions"]
    for stage, total in totals.items():
        done = [each.done for each in reports if each.stage == stage]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, total)
        assert len(done) > 2


def test_edges_are_extrapolated_from_some_rows_within_a_few_percent() -> None:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 5000, 40_000), rng.integers(0, 400, 40_000)
    split = leave_one_out(Interactions.from_arrays(user, item))
    step = CoOccurrence("user", top_k=None)
    [cost] = estimate(split.train, [step])
    made = build_graph(split, [step])["user", "co_occurs", "user"].edge_index.shape[1]
    assert cost.edges == pytest.approx(made, rel=0.03)
    assert [cost] == estimate(split.train, [step])


def test_steps_of_others_are_listed_without_figures() -> None:
    log = log_of([])
    [cost] = estimate(log, [Constant()])
    assert (cost.operations, cost.edges, cost.memory) == (None, None, 0)


def test_the_peak_counts_what_earlier_steps_left() -> None:
    first = Estimate(Constant(), memory=1000, kept=400)
    second = Estimate(Constant(), memory=900, kept=100)
    assert peak([first, second]) == 1300


# One build a process, as a command has it: what an earlier build freed lies in pieces
# into which the next does not fit, and would be measured as its own.
MEASURED = """
import ctypes
import re
import sys
from pathlib import Path
import numpy as np
from graphseq.data import Interactions, leave_one_out
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.graphs.cost import estimate, peak

def memory(name):
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(name + r":\\s+(\\d+)", status)[1])

rng = np.random.default_rng(0)
item = (10_000 * rng.random(250_000) ** 2.2).astype(np.int64)
split = leave_one_out(Interactions.from_arrays(rng.integers(0, 30_000, 250_000), item))
small = leave_one_out(Interactions.from_arrays([0] * 3, [0, 1, 2]))
step = CoOccurrence("user", weight=sys.argv[1])
build_graph(small, [step])  # what is imported late is there
foretold = peak(estimate(split.train, [step]))
if hasattr(ctypes.CDLL(None), "malloc_trim"):  # the build would use freed memory again
    ctypes.CDLL(None).malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")  # reset the measured peak
before = memory("VmRSS")
graph = build_graph(split, [step])
print(foretold / (memory("VmHWM") - before))
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux reports the peak of a process"
)
@pytest.mark.parametrize("weight", ["count", "cosine"])
def test_memory_is_foretold_within_a_factor_of_three_and_not_too_low(
    weight: str,
) -> None:
    command = [sys.executable, "-c", MEASURED, weight]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 0.8 < float(done.stdout) < 3
