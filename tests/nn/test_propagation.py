"""Propagation against the specification, dense algebra and PyG."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData
from torch_geometric.nn import LGConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.transforms import GCNNorm

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.errors import GraphError
from graphseq.nn.adjacency import operator
from graphseq.nn.propagation import propagate
from graphseq.nn.sparse import SymmetricOperator

T1 = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 1)]
USERS = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
ITEMS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]


def bipartite(
    pairs: list[tuple[int, int]], num_users: int, num_items: int
) -> HeteroData:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = num_users, num_items
    graph[INTERACTS].edge_index = torch.tensor(pairs, dtype=torch.long).view(-1, 2).T
    return graph


def square(weights: list[list[float]], kind: str = "user") -> HeteroData:
    """A graph with one weighted relation between nodes of one type."""
    dense = torch.tensor(weights)
    graph = HeteroData()
    graph[kind].num_nodes = len(dense)
    edges = graph[kind, "co_occurs", kind]
    edges.edge_index = dense.nonzero().T
    edges.edge_weight = dense[dense != 0]
    return graph


def t1() -> tuple[SymmetricOperator, Tensor]:
    made = operator(bipartite(T1, 3, 4), INTERACTS).to(dtype=torch.float64)
    return exact(made), torch.tensor(USERS + ITEMS, dtype=torch.float64)


def exact(made: SymmetricOperator) -> SymmetricOperator:
    """The same matrix, normalised in float64."""
    matrix = dense(made) > 0
    root = matrix.sum(1).double().clamp(min=1).rsqrt()
    values = (matrix * root[:, None] * root)[matrix]
    return SymmetricOperator(made.rows._replace(values=values))


def dense(made: SymmetricOperator) -> Tensor:
    return made.rows.tensor(made.num_nodes).to_dense()


def random_operator(nodes: int, seed: int, symmetric: bool) -> SymmetricOperator:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(nodes, nodes, generator=generator)
    weights *= torch.rand(nodes, nodes, generator=generator) < 0.3
    if symmetric:
        weights = weights + weights.T
    weights[2] = weights[:, 2] = 0
    made = operator(square(weights.tolist()), USER_CO_OCCURS)
    assert made.is_symmetric is symmetric
    return made.to(dtype=torch.float64)


def test_entries_of_the_block_matrix_are_those_of_the_specification() -> None:
    made = operator(bipartite(T1, 3, 4), INTERACTS)
    expected = torch.tensor(
        [
            [0.70710678, 0.40824829, 0, 0],
            [0, 0.40824829, 0.70710678, 0],
            [0, 0.57735027, 0, 0],
        ]
    )
    torch.testing.assert_close(dense(made)[:3, 3:], expected)
    torch.testing.assert_close(dense(made)[3:, :3], expected.T)
    assert not dense(made)[:3, :3].any()
    assert not dense(made)[3:, 3:].any()


LAYERS = {
    (1, "last"): (
        [
            [1.93185165, 3.04720672],
            [4.76027878, 5.87563385],
            [1.73205081, 2.30940108],
            [0.70710678, 0],
            [0.98559856, 0.98559856],
            [0, 0.70710678],
            [0, 0],
        ]
    ),
    (2, "last"): (
        [
            [0.90236893, 0.40236893],
            [0.40236893, 0.90236893],
            [0.56903559, 0.56903559],
            [1.36602540, 2.15470054],
            [3.73205081, 4.97606774],
            [3.36602540, 4.15470054],
            [0, 0],
        ]
    ),
    (2, "mean"): (
        [
            [1.27807353, 1.14985855],
            [1.72088257, 2.59266759],
            [1.10036213, 1.29281222],
            [1.02437739, 1.38490018],
            [2.57254979, 3.32055543],
            [2.78867513, 3.62060244],
            [2.33333333, 2.66666667],
        ]
    ),
}


@pytest.mark.parametrize(("layers", "readout"), LAYERS)
def test_layers_are_those_of_the_specification(layers: int, readout: str) -> None:
    made, x = t1()
    expected = torch.tensor(LAYERS[layers, readout], dtype=torch.float64)
    found = propagate(x, made, layers, readout)  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)


def test_third_layer_of_the_users_is_that_of_the_specification() -> None:
    made, x = t1()
    expected = [[2.48952919, 3.55507451], [3.90374275, 4.96928807]]
    expected += [[2.15470054, 2.87293405]]
    found = propagate(x, made, 3)[:3]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), atol=1e-8, rtol=0
    )


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_an_odd_number_of_steps_reads_the_other_side_only(layers: int) -> None:
    made, x = t1()
    x.requires_grad_()
    propagate(x, made, layers)[:3].sum().backward()
    unseen = x.grad[3:] if layers % 2 == 0 else x.grad[:3]
    assert not unseen.any()
    assert x.grad.any()


def test_a_node_without_edges_becomes_exactly_zero() -> None:
    made, x = t1()
    assert propagate(x, made, 1)[6].tolist() == [0.0, 0.0]


def test_user_graph_of_t1_propagates_as_specified() -> None:
    made = operator(square([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), USER_CO_OCCURS)
    x = torch.tensor(USERS)
    one = torch.tensor([[0.5, 1], [1, 0.5], [0.5, 0.5]])
    two = torch.tensor([[0.75, 0.5], [0.5, 0.75], [0.75, 0.75]])
    torch.testing.assert_close(propagate(x, made, 1), one)
    torch.testing.assert_close(propagate(x, made, 2), two)


def test_item_graph_of_t1_propagates_as_specified() -> None:
    weights = [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    made = operator(square(weights, "item"), ITEM_CO_OCCURS)
    x = torch.tensor(ITEMS)
    one = [[2.12132034, 2.82842712], [4.24264069, 5.65685425]]
    one += [[2.12132034, 2.82842712], [0, 0]]
    two = [[3, 4], [3, 4], [3, 4], [0, 0]]
    torch.testing.assert_close(propagate(x, made, 1), torch.tensor(one))
    torch.testing.assert_close(propagate(x, made, 2), torch.tensor(two).float())


COUNTS = [[0, 2, 1, 1], [2, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0]]
BINARY = [[0, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize("scale", [1, 7])
@pytest.mark.parametrize(
    ("weights", "entries"),
    [
        (COUNTS, {(0, 1): 0.57735027, (0, 2): 0.5, (0, 3): 0.35355339}),
        (BINARY, {(0, 1): 0.40824829, (0, 2): 0.57735027, (0, 3): 0.40824829}),
        (COUNTS, {(1, 3): 0.40824829, (1, 2): 0, (2, 3): 0}),
        (BINARY, {(1, 3): 0.5, (1, 2): 0, (2, 3): 0}),
    ],
)
def test_weighted_entries_are_as_specified_at_any_scale(
    weights: list[list[float]], entries: dict[tuple[int, int], float], scale: int
) -> None:
    scaled = [[scale * w for w in row] for row in weights]
    found = dense(operator(square(scaled), USER_CO_OCCURS))
    for (i, j), value in entries.items():
        assert found[i, j].item() == pytest.approx(value, abs=1e-7)
        assert found[j, i] == found[i, j]


def test_separately_pruned_rows_are_normalised_by_row_and_column_sums() -> None:
    pruned = [[0, 2, 0, 0], [2, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    made = operator(square(pruned), USER_CO_OCCURS)
    assert not made.is_symmetric
    expected = torch.zeros(4, 4)
    expected[0, 1] = 1
    expected[1, 0] = math.sqrt(0.5)  # 2 / sqrt(2 * (2 + 1 + 1))
    expected[2, 0] = expected[3, 0] = 0.5
    torch.testing.assert_close(dense(made), expected)
    torch.testing.assert_close(dense(made.transpose), expected.T)


def test_transitions_are_those_of_the_specification() -> None:
    """U-G2: sequences 0,1,2 and 1,2 and 2,3; item 3 has no successor."""
    counts = [[0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    made = operator(square(counts, "item"), ITEM_CO_OCCURS)
    x = torch.tensor([[1.0, 0], [0, 1], [1, 1], [2, -1]])
    successors = torch.tensor([[0.0, 1], [1, 1], [2, -1], [0, 0]])
    predecessors = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    torch.testing.assert_close(made @ x, successors)
    torch.testing.assert_close(made.transpose @ x, predecessors)


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 2, st.integers(1, 9)), max_size=20))
def test_no_directed_edge_is_lost_and_no_weight_exceeds_one(
    edges: list[tuple[int, int, int]],
) -> None:
    weights = torch.zeros(6, 6)
    for i, j, weight in edges:
        weights[i, j] = weight
    found = dense(operator(square(weights.tolist()), USER_CO_OCCURS))
    assert torch.equal(found > 0, weights > 0)
    assert found.max() <= 1 + 1e-6
    assert torch.linalg.matrix_norm(found.double(), 2) <= 1 + 1e-6


def test_repeated_events_count_once() -> None:
    once = operator(bipartite(T1, 3, 4), INTERACTS)
    twice = operator(bipartite([*T1, (0, 0), (2, 1)], 3, 4), INTERACTS)
    assert torch.equal(dense(once), dense(twice))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("rows", [None, [3], [5, 0, 5, 2], []])
@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_requested_rows_and_their_gradient_equal_dense_algebra(
    symmetric: bool, rows: list[int] | None, readout: str, layers: int
) -> None:
    made = random_operator(9, seed=layers, symmetric=symmetric)
    matrix = dense(made)
    x = torch.randn(9, 4, dtype=torch.float64, generator=seeded(1)).requires_grad_()
    steps = [torch.linalg.matrix_power(matrix, n) @ x for n in range(layers + 1)]
    slow = steps[-1] if readout == "last" else torch.stack(steps).mean(0)
    chosen = None if rows is None else torch.tensor(rows, dtype=torch.long)
    slow = slow if chosen is None else slow[chosen]
    fast = propagate(x, made, layers, readout, chosen)  # type: ignore[arg-type]
    torch.testing.assert_close(fast, slow)
    upstream = torch.randn(*slow.shape, dtype=torch.float64, generator=seeded(2))
    (expected,) = torch.autograd.grad((slow * upstream).sum(), x)
    (found,) = torch.autograd.grad((fast * upstream).sum(), x)
    torch.testing.assert_close(found, expected)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("symmetric", [True, False])
def test_first_and_second_gradients_are_exact(symmetric: bool) -> None:
    made = random_operator(5, seed=3, symmetric=symmetric)
    rows = torch.tensor([4, 1, 1])
    x = torch.randn(5, 2, dtype=torch.float64, generator=seeded(4)).requires_grad_()

    def curved(x: Tensor) -> Tensor:
        return propagate(x.sin(), made, 2, "mean", rows)

    assert torch.autograd.gradcheck(curved, x)
    assert torch.autograd.gradgradcheck(curved, x)


def test_the_edge_of_a_target_can_be_left_out_as_specified() -> None:
    """6.7: two steps from item 0, with the edge (0, 1) of T1 and without."""
    made, _ = t1()
    twice = (dense(made) @ dense(made))[3, 3:]
    torch.testing.assert_close(twice[:2], torch.tensor([0.5, 0.28867513]).double())
    left = made.without_edges(torch.tensor([0]), torch.tensor([3 + 1]))
    again = (dense(left) @ dense(left))[3, 3:]
    torch.testing.assert_close(again, torch.tensor([1.0, 0, 0, 0]).double())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_follows_the_vectors(dtype: torch.dtype) -> None:
    made = operator(bipartite(T1, 3, 4), INTERACTS)
    x = torch.tensor(USERS + ITEMS)
    found = propagate(x.to(dtype), made, 1)
    assert found.dtype is dtype
    torch.testing.assert_close(found.float(), propagate(x, made, 1), rtol=2e-2, atol=0)


pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=20)


@pytest.mark.filterwarnings("ignore:Sparse")  # EdgeIndex warns of its own CSR tensor
@given(pairs)
def test_equals_lgconv_and_edge_index_of_pyg(edges: list[tuple[int, int]]) -> None:
    graph = bipartite(edges, 6, 5)
    x = torch.randn(11, 3, generator=seeded(7))
    both = torch.tensor(sorted({(u, 6 + v) for u, v in edges})).long().view(-1, 2).T
    both = torch.cat([both, both.flip(0)], dim=1)
    one = propagate(x, operator(graph, INTERACTS), 1)
    torch.testing.assert_close(one, LGConv()(x, both))
    index, weight = gcn_norm(both, None, 11, add_self_loops=False)
    if not len(edges):
        return
    order = index[0].argsort(stable=True)
    sparse = EdgeIndex(index[:, order], sparse_size=(11, 11), sort_order="row")
    torch.testing.assert_close(one, sparse.matmul(x, weight[order]))


def test_differs_from_a_normalisation_with_self_loops() -> None:
    from torch_geometric.data import Data

    both = torch.tensor([[0, 3], [0, 4], [1, 4], [1, 5], [2, 4]]).T
    both = torch.cat([both, both.flip(0)], dim=1)
    looped = GCNNorm()(Data(edge_index=both, num_nodes=7)).edge_weight
    assert looped[0].item() == pytest.approx(0.40824828)
    assert dense(operator(bipartite(T1, 3, 4), INTERACTS))[0, 3] > 0.7


@given(pairs, st.randoms(use_true_random=False))
def test_symmetric_with_spectral_radius_one_and_equivariant(
    edges: list[tuple[int, int]], chance: object
) -> None:
    matrix = dense(operator(bipartite(edges, 6, 5), INTERACTS))
    assert torch.equal(matrix, matrix.T)
    radius = torch.linalg.eigvalsh(matrix.double()).abs().max()
    assert radius <= 1 + 1e-6
    if edges:
        assert radius >= 1 - 1e-6
    users, items = list(range(6)), list(range(5))
    chance.shuffle(users)  # type: ignore[attr-defined]
    chance.shuffle(items)  # type: ignore[attr-defined]
    renamed = [(users[u], items[v]) for u, v in edges]
    order = torch.tensor(users + [6 + v for v in items])
    other = dense(operator(bipartite(renamed, 6, 5), INTERACTS))
    assert torch.equal(other[order][:, order], matrix)


def test_isolated_nodes_change_nothing_else() -> None:
    small = dense(operator(bipartite(T1, 3, 4), INTERACTS))
    large = dense(operator(bipartite(T1, 10, 20), INTERACTS))
    kept = torch.tensor([0, 1, 2, 10, 11, 12, 13])
    assert torch.equal(large[kept][:, kept], small)
    assert large.count_nonzero() == small.count_nonzero()


def test_operator_is_cached_and_moves_with_the_graph() -> None:
    graph = bipartite(T1, 3, 4)
    made = operator(graph, INTERACTS)
    assert operator(graph, INTERACTS) is made
    moved = graph.to("cpu")
    assert isinstance(operator(moved, INTERACTS), SymmetricOperator)
    stored, _ = graph.to("meta")[INTERACTS].operator.values()
    assert stored.rows.values.device.type == "meta"


def test_a_missing_relation_is_reported_with_those_present() -> None:
    with pytest.raises(GraphError, match=r"co_occurs.*holds.*interacts.*CoOccurrence"):
        operator(bipartite(T1, 3, 4), ITEM_CO_OCCURS)


def test_vectors_of_another_number_of_nodes_are_refused() -> None:
    made = operator(bipartite(T1, 3, 4), INTERACTS)
    with pytest.raises(GraphError, match=r"7 nodes.*shape \(4, 2\).*users first"):
        propagate(torch.zeros(4, 2), made, 1)


def test_a_negative_number_of_layers_is_refused() -> None:
    made, x = t1()
    with pytest.raises(GraphError, match="layers=-1"):
        propagate(x, made, -1)
