"""Co-occurrence against the values of the specification and a naive program."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData
from torch_geometric.transforms import AddMetaPaths, Compose, RemoveSelfLoops

from graphseq.constants import INTERACTS, USER_CO_OCCURS
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import CoOccurrence, build
from graphseq.graphs.build import interaction_matrix, write_relation
from graphseq.nn.adjacency import operator
from graphseq.schema import describe

Edges = dict[tuple[int, int], float]
Build = Callable[[list[tuple[int, int]], int, int], HeteroData]
WEIGHTS = ["count", "binary", "cosine", "jaccard", "adamic_adar", "iuf"]


def edges_of(graph: HeteroData, kind: str) -> Edges:
    edges = graph[kind, "co_occurs", kind]
    pairs = [tuple(pair) for pair in edges.edge_index.T.tolist()]
    assert len(set(pairs)) == len(pairs)
    return dict(zip(pairs, edges.edge_weight.tolist(), strict=True))


def both(edges: Edges) -> Edges:
    return edges | {(j, i): w for (i, j), w in edges.items()}


def test_users_of_t1_share_one_item_each(t1: HeteroData) -> None:
    found = edges_of(CoOccurrence("user")(t1), "user")
    assert found == both({(0, 1): 1, (0, 2): 1, (1, 2): 1})


def test_items_of_t1_are_linked_through_the_middle_one(t1: HeteroData) -> None:
    assert edges_of(CoOccurrence("item")(t1), "item") == both({(0, 1): 1, (1, 2): 1})


COUNTS = {(0, 1): 2, (0, 2): 1, (0, 3): 1, (1, 3): 1}


def test_weight_counts_shared_items(t2: HeteroData) -> None:
    assert edges_of(CoOccurrence("user")(t2), "user") == both(COUNTS)


def test_weight_counts_shared_users(t2: HeteroData) -> None:
    expected = both({(0, 1): 2, (0, 2): 1, (1, 2): 1})
    assert edges_of(CoOccurrence("item")(t2), "item") == expected


def test_a_repeated_event_changes_nothing(bipartite: Build, t2: HeteroData) -> None:
    pairs = [tuple(pair) for pair in t2[INTERACTS].edge_index.T.tolist()]
    again = bipartite([*pairs, (0, 0), (0, 0)], 4, 3)
    for kind in ("user", "item"):
        step = CoOccurrence(kind)
        assert edges_of(step(again), kind) == edges_of(step(t2), kind)


DIRECTED = {(0, 1): 2, (1, 0): 2, (2, 0): 1, (3, 0): 1}


@pytest.mark.parametrize(
    ("top_k", "symmetrize", "expected"),
    [
        (1, "none", DIRECTED),
        (1, "max", both(DIRECTED)),
        (1, "min", both({(0, 1): 2})),
        (
            2,
            "none",
            both({(0, 1): 2, (0, 2): 1, (1, 3): 1}) | {(3, 0): 1},
        ),
        (2, "max", both(COUNTS)),
    ],
)
def test_top_k_of_t2_is_as_specified(
    t2: HeteroData, top_k: int, symmetrize: str, expected: Edges
) -> None:
    step = CoOccurrence("user", top_k=top_k, symmetrize=symmetrize)
    assert edges_of(step(t2), "user") == expected


@pytest.mark.parametrize(
    ("symmetrize", "entries"),
    [
        ("none", {(0, 1): 1, (1, 0): 0.70710678, (2, 0): 0.5, (3, 0): 0.5}),
        ("max", both({(0, 1): 0.70710678, (0, 2): 0.5, (0, 3): 0.5})),
        ("min", both({(0, 1): 1})),
    ],
)
def test_operator_of_the_pruned_t2_is_as_specified(
    t2: HeteroData, symmetrize: str, entries: Edges
) -> None:
    graph = CoOccurrence("user", top_k=1, symmetrize=symmetrize)(t2)
    made = operator(graph, USER_CO_OCCURS)
    expected = torch.zeros(4, 4)
    for (i, j), value in entries.items():
        expected[i, j] = value
    torch.testing.assert_close(made.rows.tensor(4).to_dense(), expected)


def naive(
    pairs: list[tuple[int, int]],
    nodes: int,
    weight: str,
    top_k: int | None,
    symmetrize: str,
) -> Edges:
    """Sets, loops and Python's own sort; links the first members of the pairs."""
    chosen = [{b for a, b in pairs if a == n} for n in range(nodes)]
    size = {b: sum(b in c for c in chosen) for _, b in pairs}
    kept: Edges = {}
    for i in range(nodes):
        row = {}
        for j in range(nodes):
            shared = chosen[i] & chosen[j]
            if i == j or not shared:
                continue
            count, a, b = len(shared), len(chosen[i]), len(chosen[j])
            row[j] = {
                "count": count,
                "binary": 1,
                "cosine": math.sqrt(count * count / (a * b)),
                "jaccard": count / len(chosen[i] | chosen[j]),
                "adamic_adar": math.fsum(1 / math.log(size[v]) for v in shared),
                "iuf": math.fsum(1 / math.log(1 + size[v]) for v in shared)
                / math.sqrt(a * b),
            }[weight]
        row = {j: float(np.float32(w)) for j, w in row.items()}
        ranked = sorted(row, key=lambda j: (-row[j], j))[:top_k]
        kept |= {(i, j): row[j] for j in ranked}
    if symmetrize == "none":
        return kept
    if symmetrize == "max":
        return both(kept)
    return {(i, j): w for (i, j), w in kept.items() if (j, i) in kept}


LISTS = [(1, 2, 3), (2, 3), (1, 3, 4, 5)]
COSINES = {(1, 2): 0.5, (1, 3): 0.816497, (1, 4): 0.707107, (3, 4): 0.57735, (4, 5): 1}
INVERSE = {
    (1, 2): 0.360674,
    (1, 3): 0.548148,
    (2, 3): 0.666093,
    (1, 4): 0.43935,
    (3, 4): 0.358728,
    (4, 5): 0.621335,
}


@pytest.mark.parametrize(("weight", "values"), [("cosine", COSINES), ("iuf", INVERSE)])
def test_item_similarities_are_those_of_the_specification(
    bipartite: Build, weight: str, values: Edges
) -> None:
    """U-11, whose items count from 1."""
    pairs = [(user, item - 1) for user, row in enumerate(LISTS) for item in row]
    graph = bipartite(pairs, 3, 5)
    found = edges_of(CoOccurrence("item", weight=weight)(graph), "item")
    for (i, j), value in values.items():
        assert found[i - 1, j - 1] == pytest.approx(value, abs=1e-6)
    if weight == "iuf":
        assert min(found.values()) == pytest.approx(0.358728, abs=1e-6)
        assert max(found.values()) == pytest.approx(0.666093, abs=1e-6)
    best = CoOccurrence("item", weight=weight, top_k=1, symmetrize="none")(graph)
    nearest = {i + 1: j + 1 for i, j in edges_of(best, "item")}
    assert nearest == {1: 3, 2: 3, 3: 2 if weight == "iuf" else 1, 4: 5, 5: 4}


logs = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), max_size=40)


@given(
    logs,
    st.sampled_from(["user", "item"]),
    st.sampled_from(WEIGHTS),
    st.sampled_from([None, 1, 2, 3, 50]),
    st.sampled_from(["max", "min", "none"]),
)
def test_equals_the_naive_program_for_every_block_size(
    bipartite: Build,
    pairs: list[tuple[int, int]],
    kind: str,
    weight: str,
    top_k: int | None,
    symmetrize: str,
) -> None:
    graph = bipartite(pairs, 8, 6)
    own = pairs if kind == "user" else [(item, user) for user, item in pairs]
    nodes = graph[kind].num_nodes
    expected = naive(own, nodes, weight, top_k, symmetrize)
    for block_rows in (1, 7, None):
        step = CoOccurrence(
            kind,
            top_k=top_k,
            weight=weight,
            symmetrize=symmetrize,
            block_rows=block_rows,
        )
        found = edges_of(step(graph), kind)
        assert found == pytest.approx(expected, rel=1e-6)
        assert list(found) == sorted(found)


def heavy_tailed(bipartite: Build) -> HeteroData:
    chance = np.random.default_rng(0)
    popular = 1 / (np.arange(60) + 2.0)
    items = chance.choice(60, 900, p=popular / popular.sum())
    users = chance.integers(0, 120, 900)
    return bipartite([*zip(users.tolist(), items.tolist(), strict=True)], 120, 60)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("kind", ["user", "item"])
def test_many_ties_fall_alike_for_every_block_size(
    bipartite: Build, kind: str, weight: str
) -> None:
    graph = heavy_tailed(bipartite)
    made = [
        edges_of(
            CoOccurrence(kind, top_k=4, weight=weight, block_rows=rows)(graph), kind
        )
        for rows in (1, 7, 64, None)
    ]
    assert made[0] == made[1] == made[2] == made[3]


@pytest.mark.parametrize("one_item_first", [True, False])
def test_cosines_that_are_equal_on_paper_tie(
    bipartite: Build, one_item_first: bool
) -> None:
    """1 / sqrt(2 * 1) and 2 / sqrt(2 * 4) are equal, so the smaller id stays."""
    one, four = (1, 2) if one_item_first else (2, 1)
    pairs = [(0, 0), (0, 1), (one, 0), (four, 0), (four, 1), (four, 2), (four, 3)]
    step = CoOccurrence("user", top_k=1, weight="cosine", symmetrize="none")
    found = edges_of(step(bipartite(pairs, 3, 4)), "user")
    assert found[0, 1] == np.float32(math.sqrt(0.5))
    assert (0, 2) not in found


@pytest.mark.filterwarnings("ignore:Sparse")  # PyG warns of its own CSR tensor
def test_unpruned_counts_equal_add_meta_paths(t2: HeteroData) -> None:
    forward = [INTERACTS, ("item", "rev_interacts", "user")]
    graph = t2.clone()
    graph["item", "rev_interacts", "user"].edge_index = t2[INTERACTS].edge_index.flip(0)
    paths = Compose(
        [AddMetaPaths([forward], weighted=True), RemoveSelfLoops("edge_weight")]
    )
    edges = paths(graph)["user", "metapath_0", "user"]
    pairs = [tuple(pair) for pair in edges.edge_index.T.tolist()]
    expected = dict(zip(pairs, edges.edge_weight.tolist(), strict=True))
    assert edges_of(CoOccurrence("user", top_k=None)(t2), "user") == expected


def test_a_second_run_replaces_edges_and_the_cached_operator(t2: HeteroData) -> None:
    first = CoOccurrence("user")(t2)
    made = operator(first, USER_CO_OCCURS)
    second = CoOccurrence("user", top_k=1)(first)
    assert operator(second, USER_CO_OCCURS) is not made
    assert operator(first, USER_CO_OCCURS) is made
    assert len(edges_of(first, "user")) == 8
    assert len(edges_of(second, "user")) == 6


def test_ids_beyond_float32_survive() -> None:
    graph = HeteroData()
    graph[INTERACTS].edge_index = torch.zeros(2, 0, dtype=torch.long)
    wide = csr_matrix(([1.0, 2.0], ([0, 1], [2**24 + 1, 2**24 - 1])), (2, 2**24 + 2))
    found = write_relation(graph, USER_CO_OCCURS, wide)[USER_CO_OCCURS].edge_index
    assert found.tolist() == [[0, 1], [2**24 + 1, 2**24 - 1]]


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_edges_are_written_in_parts_of_any_size(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROWS_AT_A_TIME", rows)
    graph = HeteroData()
    graph[INTERACTS].edge_index = torch.zeros(2, 0, dtype=torch.long)
    dense = np.float32([[0, 1, 2], [0, 0, 0], [3, 0, 0], [0, 4, 0]])
    store = write_relation(graph, USER_CO_OCCURS, csr_matrix(dense))[USER_CO_OCCURS]
    assert store.edge_index.tolist() == [[0, 0, 2, 3], [1, 2, 0, 1]]
    assert store.edge_weight.tolist() == [1, 2, 3, 4]


def test_a_log_without_shared_neighbours_gives_no_edges(bipartite: Build) -> None:
    for pairs in ([], [(0, 0), (1, 1)]):
        graph = CoOccurrence("user")(bipartite(pairs, 2, 2))
        assert graph[USER_CO_OCCURS].edge_index.shape == (2, 0)


def test_options_are_recorded() -> None:
    assert describe(CoOccurrence("item", top_k=3)) == {
        "CoOccurrence": {
            "kind": "item",
            "top_k": 3,
            "weight": "count",
            "symmetrize": "max",
            "block_rows": None,
        }
    }


@pytest.mark.parametrize("options", [{"top_k": 0}, {"block_rows": 0}, {"hub_cap": 0}])
def test_sizes_below_one_are_refused(options: dict[str, int]) -> None:
    [name] = options
    with pytest.raises(
        ConfigError, match=f"{name}: expected .* 1 or more, or None, found 0"
    ):
        CoOccurrence("user", **options)


def test_a_graph_without_interactions_is_refused() -> None:
    with pytest.raises(
        GraphError, match=r"CoOccurrence reads .*interacts.*build_graph"
    ):
        CoOccurrence("user")(HeteroData())


@pytest.mark.parametrize("kind", ["user", "item"])
def test_some_rows_keep_what_they_keep_among_all(bipartite: Build, kind: str) -> None:
    nodes = interaction_matrix(heavy_tailed(bipartite), "this test")
    nodes = nodes if kind == "user" else nodes.T.tocsr()
    step = CoOccurrence(kind, top_k=4, weight="cosine", symmetrize="none")
    rows = np.array([3, 50, 7])
    every, some = step.pruned(nodes), step.pruned(nodes, rows)
    assert some.shape == (3, nodes.shape[0])
    assert some.dtype == np.float32
    assert (some != every[rows]).nnz == 0
    assert some.has_sorted_indices
