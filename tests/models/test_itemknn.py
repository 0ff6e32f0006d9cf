"""ItemKNN: oracle U-E of the specification, and loops."""

import math

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models import ItemKNN, itemknn


def similarities(model: ItemKNN, graph: HeteroData, lab) -> np.ndarray:
    """Row i holds the scores of the history of i alone."""
    batch = lab.written([[i] for i in range(model.num_items)], model.num_items)
    return model.score(batch, graph).numpy()


def test_similarities_and_scores_of_the_specification(
    lab, small_log: HeteroData
) -> None:
    model = ItemKNN(3, 4, shrink=1.0)
    found = similarities(model, small_log, lab)
    expected = np.zeros((4, 4))
    expected[0, 1], expected[0, 2] = 0.41421356, 0.36602540
    expected[1, 2], expected[2, 3] = 0.57979590, 0.36602540
    np.testing.assert_allclose(found, expected + expected.T, atol=1e-7)
    scores = model.score(lab.written([[0, 1, 2]], 4), small_log)[0]
    wanted = [0.78023897, 0.99400946, 0.94582130, 0.36602540]
    np.testing.assert_allclose(scores, wanted, atol=1e-7)


@pytest.mark.parametrize("shrink, neighbours", [(0.0, None), (3.0, None), (2.0, 5)])
def test_similarities_are_the_naive_loops(
    lab, noise: HeteroData, shrink, neighbours, monkeypatch
) -> None:
    monkeypatch.setattr(itemknn, "ROWS", 7)  # items in three blocks
    users: list[set[int]] = [set() for _ in range(20)]
    for user, item in noise[INTERACTS].edge_index.T.tolist():
        users[item].add(user)
    model = ItemKNN(60, 20, shrink=shrink, neighbours=neighbours)
    found = similarities(model, noise, lab)
    for i in range(20):
        row = {}
        for j in range(20):
            both = len(users[i] & users[j])
            if i != j and both:
                size = math.sqrt(len(users[i]) * len(users[j]))
                row[j] = both / (size + shrink)
        kept = sorted(row, key=lambda j: (-row[j], j))[:neighbours]
        assert neighbours is None or len(row) > neighbours
        expected = [row[j] if j in kept else 0.0 for j in range(20)]
        np.testing.assert_allclose(found[i], expected, rtol=1e-6)


def test_items_without_events_score_zero(lab, t1: HeteroData) -> None:
    scores = ItemKNN(3, 4, shrink=0.0).score(lab.written([[3], [0, 3]], 4), t1)
    assert torch.equal(scores[:, 3], torch.zeros(2))
    assert scores[0].eq(0).all() and scores[1, 1] > 0
