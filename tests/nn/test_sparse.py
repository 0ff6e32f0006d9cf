"""The normalised adjacency as an operator: products, dropout, and edges left out."""

import pytest
import torch
from torch import Tensor

from graphseq.nn.sparse import CompressedRows, SymmetricOperator


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_rows(matrix: Tensor) -> CompressedRows:
    row, column = matrix.nonzero(as_tuple=True)
    pointers = torch.cat(
        [torch.zeros(1, dtype=torch.long), (matrix != 0).sum(1).cumsum(0)]
    )
    return CompressedRows(pointers, column, matrix[row, column])


def normalised(weights: Tensor) -> SymmetricOperator:
    """D^-1/2 A D^-1/2 of a dense A, by its row sums."""
    root = weights.sum(1).double().rsqrt().where(weights.sum(1) > 0, 0.0)
    matrix = weights * root[:, None] * root
    symmetric = torch.equal(weights, weights.T)
    return SymmetricOperator(by_rows(matrix), None if symmetric else by_rows(matrix.T))


def dense(made: SymmetricOperator) -> Tensor:
    return made.rows.tensor(made.num_nodes).to_dense()


def random_operator(nodes: int, seed: int, symmetric: bool) -> SymmetricOperator:
    generator = seeded(seed)
    weights = torch.rand(nodes, nodes, generator=generator, dtype=torch.float64)
    weights *= torch.rand(nodes, nodes, generator=generator) < 0.3
    if symmetric:
        weights = weights + weights.T
    weights[2] = weights[:, 2] = 0
    made = normalised(weights)
    assert made.is_symmetric is symmetric
    return made


def bipartite(pairs: Tensor) -> SymmetricOperator:
    """The user-item edges of a (U, V) matrix of truth values."""
    users, items = pairs.shape
    weights = torch.zeros(users + items, users + items, dtype=torch.float64)
    weights[:users, users:], weights[users:, :users] = pairs, pairs.T
    return normalised(weights)


@pytest.mark.parametrize("symmetric", [True, False])
def test_dropout_drops_directed_entries_and_keeps_the_mean(symmetric: bool) -> None:
    made = random_operator(40, seed=5, symmetric=symmetric)
    whole, thin = dense(made), made.dropout(0.4, seeded(1))
    kept = dense(thin) != 0
    torch.testing.assert_close(dense(thin), kept * whole / 0.6)
    torch.testing.assert_close(dense(thin.transpose), dense(thin).T)
    assert 0.5 < kept.sum() / (whole != 0).sum() < 0.7
    both = (whole != 0) & (whole.T != 0)
    assert 0.4 < (kept != kept.T)[both].float().mean() < 0.56  # 2 p (1 - p) = 0.48
    assert torch.equal(dense(made.dropout(0.4, seeded(1))), dense(thin))
    assert not torch.equal(dense(made.dropout(0.4, seeded(2))), dense(thin))
    x = torch.randn(40, 2, dtype=torch.float64, generator=seeded(3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: thin @ (thin @ x), x)


def test_without_edges_equals_the_operator_of_the_smaller_graph() -> None:
    draws = torch.rand(20, 15, generator=seeded(0)) < 0.2
    draws[3] = draws[:, 4] = False
    removed = draws & (torch.rand(20, 15, generator=seeded(1)) < 0.3)
    removed[7] = draws[7]  # all edges of user 7
    made, expected = bipartite(draws), bipartite(draws & ~removed)
    first, second = removed.nonzero().T
    ends = torch.cat([first, first[:3], torch.tensor([3])]), second + 20
    ends = ends[0], torch.cat([ends[1], ends[1][:3], torch.tensor([24])])
    found, before = made.without_edges(*ends), dense(made)
    torch.testing.assert_close(dense(found), dense(expected))
    torch.testing.assert_close(dense(found), dense(found).T)
    assert not dense(found)[7].any() and torch.equal(dense(made), before)
    thin = found.dropout(0.4, seeded(2))
    torch.testing.assert_close(dense(thin.transpose), dense(thin).T)
    assert found.entries is made.entries, "computed once"


def test_removing_edges_from_an_empty_graph_changes_nothing() -> None:
    made = bipartite(torch.zeros(2, 3, dtype=torch.bool))
    found = made.without_edges(torch.tensor([0]), torch.tensor([3]))
    assert not dense(found).any()


def test_both_implementations_of_the_product_agree() -> None:
    """``embedding_bag`` is for CPUs, ``torch.sparse_csr`` for other devices."""
    made = random_operator(20, seed=5, symmetric=True)
    x = torch.randn(20, 8, dtype=torch.float64, generator=seeded(6))
    torch.testing.assert_close(made @ x, made.rows.tensor(20) @ x)


def test_sparse_tensors_are_made_without_a_warning() -> None:
    made = random_operator(4, seed=5, symmetric=True)
    assert made.rows.tensor(4).layout is torch.sparse_csr


def test_repr_shows_size_and_symmetry() -> None:
    made = bipartite(torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0]]) > 0)
    assert repr(made) == "SymmetricOperator(7 nodes, 10 entries, symmetric)"


@pytest.mark.accel
def test_equals_torch_sparse() -> None:
    torch_sparse = pytest.importorskip(
        "torch_sparse", reason="torch-sparse is an optional accelerator"
    )
    made = random_operator(30, seed=8, symmetric=True)
    x = torch.randn(30, 8, dtype=torch.float64, generator=seeded(9))
    matrix = torch_sparse.SparseTensor.from_dense(dense(made))
    torch.testing.assert_close(made @ x, torch_sparse.matmul(matrix, x))


@pytest.mark.accel
def test_equals_torch_scatter() -> None:
    torch_scatter = pytest.importorskip(
        "torch_scatter", reason="torch-scatter is an optional accelerator"
    )
    made = random_operator(30, seed=10, symmetric=True)
    x = torch.randn(30, 8, dtype=torch.float64, generator=seeded(11))
    row, column = dense(made).nonzero(as_tuple=True)
    messages = x[column] * dense(made)[row, column, None]
    summed = torch_scatter.scatter(messages, row, dim=0, dim_size=30, reduce="sum")
    torch.testing.assert_close(made @ x, summed)
