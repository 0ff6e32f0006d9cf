"""Incremental edges against a full computation, on matrices and sequences."""

from typing import get_args

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from graphseq.constants import EdgeWeight
from graphseq.graphs import CoOccurrence
from graphseq.graphs.incremental import changed_nodes, changed_sources, update_edges

NODES, NEIGHBOURS = 40, 12


def interactions(seed: int) -> csr_matrix:
    rng = np.random.default_rng(seed)
    return csr_matrix((rng.random((NODES, NEIGHBOURS)) < 0.15).astype(np.float32))


def with_other_rows(old: csr_matrix, seed: int) -> csr_matrix:
    """The same matrix, but for three rows."""
    rng = np.random.default_rng(seed)
    dense = old.toarray()
    dense[rng.choice(NODES, 3, replace=False)] = rng.random((3, NEIGHBOURS)) < 0.2
    return csr_matrix(dense)


@pytest.mark.parametrize("hub_cap", [None, 5])
@pytest.mark.parametrize("weight", get_args(EdgeWeight))
def test_weights_between_unchanged_nodes_are_equal(
    weight: EdgeWeight, hub_cap: int | None
) -> None:
    step = CoOccurrence("user", top_k=None, weight=weight, hub_cap=hub_cap)
    for seed in range(10):
        old = interactions(seed)
        new = with_other_rows(old, seed)
        same = np.flatnonzero(~changed_nodes(step, old, new))
        before, now = (step.pruned(nodes).toarray() for nodes in (old, new))
        assert np.array_equal(before[np.ix_(same, same)], now[np.ix_(same, same)])


@pytest.mark.parametrize("symmetrize", ["max", "none"])
@pytest.mark.parametrize("top_k", [1, 4, None])
@pytest.mark.parametrize("weight", get_args(EdgeWeight))
def test_updated_edges_equal_those_of_a_full_computation(
    weight: EdgeWeight, top_k: int | None, symmetrize: str
) -> None:
    step = CoOccurrence("user", top_k=top_k, weight=weight, symmetrize=symmetrize)
    for seed in range(10):
        old = interactions(seed)
        new = with_other_rows(old, seed)
        edges = step.symmetric(step.pruned(old))
        found, rows = update_edges(step, edges, new, changed_nodes(step, old, new))
        full = step.symmetric(step.pruned(new))
        assert (found != full).nnz == 0
        assert found.nnz == full.nnz
        assert set(np.flatnonzero(changed_nodes(step, old, new))) <= set(rows)


def successors(
    sequences: list[list[int]], window: int, item: int
) -> list[tuple[int, int]]:
    """Distance and item of every event that follows an item within a window."""
    return sorted(
        (distance, sequence[position + distance])
        for sequence in sequences
        for position in range(len(sequence))
        for distance in range(1, window + 1)
        if sequence[position] == item and position + distance < len(sequence)
    )


def events(sequences: list[list[int]]) -> np.ndarray:
    user = np.repeat(np.arange(len(sequences)), [len(each) for each in sequences])
    return np.stack([user, np.concatenate(sequences).astype(np.int64)])


@pytest.mark.parametrize("window", [1, 3])
def test_items_that_are_not_listed_have_the_same_successors(window: int) -> None:
    rng, spared = np.random.default_rng(0), 0
    for _ in range(30):
        old = [rng.integers(0, 15, rng.integers(0, 7)).tolist() for _ in range(6)]
        new = [list(each) for each in old]
        new[0] = new[0] + rng.integers(0, 15, 2).tolist()
        new[1] = rng.integers(0, 15, 4).tolist()
        changed = changed_sources(window, events(old), events(new), 6, 15)
        for item in np.flatnonzero(~changed):
            before, now = (successors(each, window, item) for each in (old, new))
            assert before == now
        spared += int((~changed).sum())
    assert spared > 100
