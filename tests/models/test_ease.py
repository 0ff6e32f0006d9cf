"""EASE: oracle U-E of the specification, the conditions of its minimum, its limits."""

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.errors import GraphError
from graphseq.models import EASE, ease

B = [
    [0, 0.25641026, 0.18181818, -0.09756098],
    [0.27027027, 0, 0.72727273, -0.39024390],
    [0.16216216, 0.61538462, 0, 0.53658537],
    [-0.10810811, -0.41025641, 0.66666667, 0],
]


def test_weights_and_scores_of_the_specification(lab, small_log: HeteroData) -> None:
    model = EASE(3, 4, l2=0.5)
    weights = model.score(lab.written([[0], [1], [2], [3]], 4), small_log)
    np.testing.assert_allclose(weights, B, atol=1e-7)
    scores = model.score(lab.written([[0, 1, 2]], 4), small_log)[0]
    wanted = [0.43243243, 0.87179487, 0.90909091, 0.04878049]
    np.testing.assert_allclose(scores, wanted, atol=1e-7)


@pytest.mark.parametrize("rows", [3, 7, 1024])
def test_every_column_is_a_ridge_regression_without_its_own_item(
    lab, noise: HeteroData, rows, monkeypatch
) -> None:
    monkeypatch.setattr(ease, "ROWS", rows)
    events = np.zeros((60, 20))
    for user, item in noise[INTERACTS].edge_index.T.tolist():
        events[user, item] = 1
    model = EASE(60, 20, l2=2.0)
    found = model.score(lab.written([[i] for i in range(20)], 20), noise).numpy()
    for j in range(20):
        others = [i for i in range(20) if i != j]
        x, y = events[:, others], events[:, j]
        expected = np.linalg.solve(x.T @ x + 2 * np.eye(19), x.T @ y)
        np.testing.assert_allclose(found[others, j], expected, atol=1e-6)
        assert found[j, j] == 0


def test_a_catalogue_that_does_not_fit_is_refused_with_its_size() -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 2, 30_000
    graph[INTERACTS].edge_index = torch.tensor([[0], [1]])
    with pytest.raises(GraphError, match=r"30,000 by 30,000 items.* takes 10\.8 GB"):
        EASE(2, 30_000).check(graph)
    EASE(2, 30_000, max_gigabytes=11.0).check(graph)


def test_a_matrix_that_rounding_makes_indefinite_is_refused(lab) -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 400, 2
    both = torch.arange(400).repeat_interleave(2), torch.tensor([0, 1]).repeat(400)
    graph[INTERACTS].edge_index = torch.stack(both)
    with pytest.raises(GraphError, match="raise l2"):
        EASE(400, 2, l2=1e-15).score(lab.written([[0]], 2), graph)
