"""GF-CF: oracle U-E of the specification, and dense matrices."""

import numpy as np
import pytest
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models import GFCF

LINEAR = [0.76148568, 0.99257584, 0.97710144, 0.28867513]
LOW_PASS = [0.42857143, 0.85714286, 1.28571429, 0.42857143]
BOTH = [0.89005711, 1.24971869, 1.36281573, 0.41724656]


@pytest.mark.parametrize("alpha, expected", [(0.0, LINEAR), (0.3, BOTH)])
def test_scores_of_the_specification(lab, small_log, alpha, expected) -> None:
    scores = GFCF(3, 4, rank=1, alpha=alpha).score(
        lab.written([[0, 1, 2]], 4), small_log
    )
    np.testing.assert_allclose(scores[0], expected, atol=2e-7)


def test_the_low_pass_filter_of_the_specification(lab, small_log) -> None:
    batch = lab.written([[0, 1, 2]], 4)
    both = GFCF(3, 4, rank=1, alpha=1.0).score(batch, small_log)
    linear = GFCF(3, 4, alpha=0.0).score(batch, small_log)
    np.testing.assert_allclose((both - linear)[0], LOW_PASS, atol=3e-7)


@pytest.mark.parametrize("rank", [1, 6, 256])
def test_scores_are_those_of_dense_matrices(lab, noise: HeteroData, rank) -> None:
    events = np.zeros((60, 20))
    for user, item in noise[INTERACTS].edge_index.T.tolist():
        events[user, item] = 1
    degree, users = events.sum(axis=0), events.sum(axis=1)
    scaled = np.array(
        [
            [events[u, i] / np.sqrt(users[u] * degree[i]) for i in range(20)]
            for u in range(60)
        ]
    )
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    top = vectors[:, values.argsort()[::-1][:rank]]
    root = np.diag(np.sqrt(degree))
    matrix = scaled.T @ scaled + 0.7 * np.linalg.inv(root) @ top @ top.T @ root
    model = GFCF(60, 20, rank=rank, alpha=0.7)
    found = model.score(lab.written([[i] for i in range(20)], 20), noise)
    np.testing.assert_allclose(found, matrix, atol=1e-6)


def test_directions_that_the_matrix_does_not_have_are_left_out(
    lab, small_log: HeteroData
) -> None:
    """V V^T of all four directions would be the identity; R has rank 3."""
    batch = lab.written([[0], [1], [2], [3]], 4)
    all_found = GFCF(3, 4, rank=99, alpha=1.0).score(batch, small_log)
    linear = GFCF(3, 4, rank=99, alpha=0.0).score(batch, small_log)
    trace = (all_found - linear).diagonal().sum().item()
    assert trace == pytest.approx(3, abs=1e-5)


def test_items_without_events_score_zero(lab, t1: HeteroData) -> None:
    scores = GFCF(3, 4).score(lab.written([[3], [0, 3]], 4), t1)
    assert scores[:, 3].eq(0).all() and scores[0].eq(0).all()
    assert scores.isfinite().all()
