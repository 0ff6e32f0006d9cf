"""Session graphs of a batch against the specification and a loop."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphseq.nn import SessionGraphs, SessionStates, session_graphs
from graphseq.nn.session_graph import unfold

PAD = 9


def batch(sequences: list[list[int]], extra: int = 0) -> tuple[Tensor, Tensor]:
    longest = max(map(len, sequences), default=0) + extra
    rows = [row + [PAD] * (longest - len(row)) for row in sequences]
    items = torch.tensor(rows, dtype=torch.long).view(len(sequences), longest)
    return items, torch.tensor([len(row) for row in sequences], dtype=torch.long)


def matrices(graphs: SessionGraphs, binary: bool = True) -> tuple[Tensor, Tensor]:
    """A^(out) and A^(in) of all sequences, as SR-GNN has them."""
    n = len(graphs.items)
    source, target = graphs.edge_index
    out, into = torch.zeros(n, n), torch.zeros(n, n)
    out[source, target] = graphs.weights("out", binary=binary)
    into[target, source] = graphs.weights("in", binary=binary)
    return out, into


def test_matrices_are_those_of_the_specification() -> None:
    graphs = session_graphs(*batch([[1, 2, 3, 2, 4]], extra=2))
    assert graphs.items.tolist() == [1, 2, 3, 4]
    assert graphs.alias[0, :5].tolist() == [0, 1, 2, 1, 3]
    out, into = matrices(graphs)
    assert out.tolist() == [[0, 1, 0, 0], [0, 0, 0.5, 0.5], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert into.tolist() == [[0, 0, 0, 0], [0.5, 0, 0.5, 0], [0, 1, 0, 0], [0, 1, 0, 0]]


def test_counted_and_binary_weights_are_those_of_the_specification() -> None:
    graphs = session_graphs(*batch([[1, 2, 1, 2, 1, 3]]))
    expected_in = [[0, 1, 0], [1, 0, 0], [1, 0, 0]]
    for binary, first in ((True, [0, 0.5, 0.5]), (False, [0, 2 / 3, 1 / 3])):
        out, into = matrices(graphs, binary)
        torch.testing.assert_close(out[0], torch.tensor(first))
        assert into.tolist() == expected_in


def test_padding_and_other_sequences_change_nothing() -> None:
    alone = session_graphs(*batch([[1, 2, 3, 2, 4]]))
    many = session_graphs(*batch([[], [1, 2, 3, 2, 4], [2, 2]], extra=3))
    assert many.items.tolist() == [1, 2, 3, 4, 2]
    assert many.batch.tolist() == [1, 1, 1, 1, 2]
    assert PAD not in many.items
    edges = len(alone.counts)
    assert torch.equal(many.edge_index[:, :edges], alone.edge_index)
    assert many.edge_index[:, edges:].tolist() == [[4], [4]]


@given(
    st.lists(st.lists(st.integers(0, 8), max_size=7), min_size=1, max_size=5),
    st.integers(0, 2),
)
def test_equals_a_loop_over_sequences(sequences: list[list[int]], extra: int) -> None:
    graphs = session_graphs(*batch(sequences, extra))
    items, rows, counts = [], [], {}
    for row, sequence in enumerate(sequences):
        nodes = sorted(set(sequence))
        node = {item: len(items) + n for n, item in enumerate(nodes)}
        items += nodes
        rows += [row] * len(nodes)
        for step, item in enumerate(sequence):
            assert graphs.alias[row, step] == node[item]
        for a, b in pairwise(sequence):
            pair = node[a], node[b]
            counts[pair] = counts.get(pair, 0) + 1
    assert graphs.items.tolist() == items
    assert graphs.batch.tolist() == rows
    pairs = [tuple(pair) for pair in graphs.edge_index.T.tolist()]
    assert pairs == sorted(counts)
    assert graphs.counts.tolist() == [counts[pair] for pair in pairs]


def session_loop(states: SessionStates, table: Tensor, sequence: list[int]) -> Tensor:
    """The graph and the states of a single sequence, edge by edge."""
    nodes = sorted(set(sequence))
    counts: dict[tuple[int, int], int] = {}
    for a, b in pairwise(sequence):
        pair = nodes.index(a), nodes.index(b)
        counts[pair] = 1 if states.binary else counts.get(pair, 0) + 1
    edges = sorted(counts)
    into = [sum(c for (_, t), c in counts.items() if t == e[1]) for e in edges]
    out = [sum(c for (s, _), c in counts.items() if s == e[0]) for e in edges]
    weights = [
        torch.tensor([counts[e] / n for e, n in zip(edges, sums, strict=True)]).double()
        for sums in (into, out)
    ]
    edge_index = torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T
    x = states.network(table[torch.tensor(nodes)], edge_index, *weights)
    return torch.stack([x[nodes.index(item)] for item in sequence])


@pytest.mark.parametrize("binary", [True, False])
def test_states_of_a_batch_equal_those_of_each_graph(binary: bool) -> None:
    torch.manual_seed(0)
    states = SessionStates(4, steps=2, binary=binary, bias=True).double()
    table = torch.randn(12, 4, dtype=torch.float64)
    sequences = [[0, 1, 0, 1, 0, 2], [], [5], [3, 3, 3], [11, 0, 11]]
    items, lengths = batch(sequences, extra=2)
    before = items.clone()
    found = states(table, items, lengths)
    assert found.shape == (5, 8, 4)
    assert not found[torch.arange(8) >= lengths[:, None]].any()
    for row, sequence in enumerate(sequences):
        if sequence:
            expected = session_loop(states, table, sequence)
            torch.testing.assert_close(
                found[row, : len(sequence)], expected, atol=1e-6, rtol=1e-6
            )  # edge weights are float32 in a model of any type
    assert torch.equal(items, before)


def test_unfold_is_zero_at_padding_even_without_nodes() -> None:
    alias = torch.zeros(2, 3, dtype=torch.long)
    no_items = torch.zeros(2, 3, dtype=torch.bool)
    assert torch.equal(unfold(torch.zeros(0, 2), alias, no_items), torch.zeros(2, 3, 2))
    mask = torch.tensor([[True, True, False], [True, False, False]])
    nodes = torch.tensor([[1.0, 2], [3, 4]])
    alias = torch.tensor([[0, 1, 0], [1, 0, 0]])
    expected = [[[1, 2], [3, 4], [0, 0]], [[3, 4], [0, 0], [0, 0]]]
    assert unfold(nodes, alias, mask).tolist() == expected
