"""Items over shared attributes, against loops over all pairs in float64."""

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE
from graphseq.nn.adjacency import two_hops


def by_loops(pairs: list[tuple[int, int]], num_items: int, most: float = 1) -> Tensor:
    """H D_a^-1 H' without its diagonal, normalised by its row sums."""
    items: dict[int, set[int]] = {}
    for item, attribute in set(pairs):
        items.setdefault(attribute, set()).add(item)
    items = {a: of for a, of in items.items() if len(of) <= most * num_items}
    m = torch.zeros(num_items, num_items, dtype=torch.float64)
    for of in items.values():
        for i in of:
            for j in of:
                if i != j:
                    m[i, j] += 1 / len(of)
    sums = m.sum(dim=1)
    for i in range(num_items):
        for j in range(num_items):
            if m[i, j]:
                m[i, j] /= (sums[i] * sums[j]) ** 0.5
    return m


@pytest.fixture
def catalogue() -> HeteroData:
    """30 items with up to three of 9 attributes; some attributes are of one item."""
    generator = torch.Generator().manual_seed(3)
    graph = HeteroData()
    graph["item"].num_nodes, graph["attribute"].num_nodes = 30, 9
    items = torch.randint(25, (40,), generator=generator)
    attributes = torch.randint(7, (40,), generator=generator)
    alone = torch.tensor([[25, 26], [7, 8]])
    edges = torch.cat([torch.stack([items, attributes]), alone], dim=1)
    graph[HAS_ATTRIBUTE].edge_index = edges.unique(dim=1)
    return graph


def test_the_operator_is_that_of_the_specification(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    """G6, attributes {0, 1} and {1, 2, 3}."""
    expected = torch.tensor(
        [[0, 0.65465367], [1.78854709, 0], [1, -0.12203553], [0.5, 0.87796447]]
    )
    found = two_hops(relations) @ tables[1]
    torch.testing.assert_close(found, expected.double(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("most", [1.0, 0.2])
def test_products_and_gradients_equal_loops(catalogue: HeteroData, most: float) -> None:
    pairs = [(i, a) for i, a in catalogue[HAS_ATTRIBUTE].edge_index.T.tolist()]
    expected = by_loops(pairs, 30, most)
    assert expected.any() and not expected.diagonal().any()
    step = two_hops(catalogue, most)
    x = torch.randn(30, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(step @ x, expected @ x, rtol=1e-5, atol=1e-6)
    rows = torch.tensor([4, 0, 4, 29])
    torch.testing.assert_close(
        step.multiply(x, rows), (expected @ x)[rows], rtol=1e-5, atol=1e-6
    )
    weight = torch.randn(30, 5, dtype=torch.float64)
    [mine] = torch.autograd.grad((step @ x * weight).sum(), x)
    torch.testing.assert_close(mine, expected.T @ weight, rtol=1e-5, atol=1e-6)


def test_an_item_that_shares_nothing_becomes_exactly_zero(
    catalogue: HeteroData,
) -> None:
    found = two_hops(catalogue) @ torch.ones(30, 2)
    assert found[:20].any() and not found[25:].any()


def test_dropped_pairs_are_left_out_and_the_rest_is_normalised(
    catalogue: HeteroData,
) -> None:
    step = two_hops(catalogue)
    assert torch.equal(step.dropout(0.0) @ torch.eye(30), step @ torch.eye(30))
    dropped = step.dropout(0.5, torch.Generator().manual_seed(0))
    kept = int((dropped.up.values > 0).sum())
    assert 0 < kept < len(step.up.values)
    found = dropped @ torch.eye(30)
    torch.testing.assert_close(found, found.T)
    assert ((found > 1e-6) <= (step @ torch.eye(30) > 1e-6)).all()
    rows = found.sum(dim=1)
    assert rows.max() < 30**0.5 and rows.any()
