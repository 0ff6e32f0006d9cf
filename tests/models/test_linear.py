"""Histories times a matrix between items: what is read, cached and ranked."""

import pickle
from dataclasses import replace
from functools import partial
from typing import final

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import by_user, synthetic
from graphseq.graphs import build_graph, graph_hash
from graphseq.models import scoring
from graphseq.models.linear import LinearModel, Product, dense_product, histories_of


@final
class Together(LinearModel):
    """The number of users of both items."""

    computed = 0

    def __init__(self, num_users: int, num_items: int, *, times: float = 1.0) -> None:
        super().__init__(num_users, num_items)
        self.times = times

    def item_matrix(self, events: csr_matrix) -> Product:
        Together.computed += 1
        return partial(dense_product, self.times * (events.T @ events).toarray())


@pytest.fixture(autouse=True)
def no_computations() -> None:
    Together.computed = 0


def test_scores_are_sums_over_distinct_items(lab, small_log: HeteroData) -> None:
    edges = small_log[INTERACTS].edge_index
    small_log[INTERACTS].edge_index = torch.cat([edges, edges[:, :2]], dim=1)
    batch = lab.written([[0, 3, 0, 0], [], [2]], 4)
    scores = Together(3, 4).score(batch, small_log)
    # Users of both: 0 with 0 1 2; 1 with 2 twice; 2 with itself 3 times; 3 with 2.
    assert scores.tolist() == [[1, 1, 2, 1], [0, 0, 0, 0], [1, 2, 3, 1]]


def test_masked_items_are_not_part_of_the_history(lab) -> None:
    batch = lab.written([[1, 4, 2], [3]], 4)  # 4 within the length: a masked item
    assert histories_of(batch).toarray().tolist() == [[0, 1, 1, 0], [0, 0, 0, 1]]
    longer = replace(batch, lengths=torch.tensor([1, 1]))
    assert histories_of(longer).toarray().tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]


def test_blocks_change_no_score(lab, small_log: HeteroData, monkeypatch) -> None:
    batch = lab.written([[n % 4, (n // 2) % 4] for n in range(9)], 4)
    whole = Together(3, 4).score(batch, small_log)
    monkeypatch.setattr(scoring, "FEWEST_ROWS", 1)
    monkeypatch.setattr(scoring, "CPU_BLOCK", 2 * 64)
    assert torch.equal(Together(3, 4).score(batch, small_log), whole)


def test_the_matrix_is_computed_once_for_a_graph(lab, small_log: HeteroData) -> None:
    batch, before = lab.written([[0]], 4), graph_hash(small_log)
    first = Together(3, 4).score(batch, small_log)
    assert torch.equal(Together(3, 4).score(batch, small_log), first)
    assert Together.computed == 1
    assert torch.equal(Together(3, 4, times=2.0).score(batch, small_log), 2 * first)
    assert Together.computed == 2
    small_log[INTERACTS].edge_index = small_log[INTERACTS].edge_index[:, 3:]
    assert Together(3, 4, times=2.0).score(batch, small_log).eq(0).all()
    assert Together.computed == 3
    assert graph_hash(small_log) != before
    small_log[INTERACTS].edge_index[1] = 0  # in place
    Together(3, 4, times=2.0).score(batch, small_log)
    assert Together.computed == 4


def test_a_graph_with_a_cached_matrix_can_be_pickled_and_hashed(
    lab, small_log: HeteroData
) -> None:
    before = graph_hash(small_log)
    scores = Together(3, 4).score(lab.written([[0]], 4), small_log)
    assert graph_hash(small_log) == before
    again = pickle.loads(pickle.dumps(small_log))
    assert torch.equal(Together(3, 4).score(lab.written([[0]], 4), again), scores)


def test_users_without_training_events_are_ranked_by_their_history(lab) -> None:
    graph = build_graph(by_user(synthetic.cycle(40, 12, length=9, seed=0)))
    edges = graph[INTERACTS].edge_index
    assert not torch.isin(graph.test.user, edges[0]).any()
    users: list[set[int]] = [set() for _ in range(12)]
    for user, item in edges.T.tolist():
        users[item].add(user)
    model = Together(40, 12)
    model.check(graph)
    batch = lab.test_batch(model, graph)
    scores = model.score(batch, graph).tolist()
    for row, found in zip(batch.items.tolist(), scores, strict=True):
        seen = set(row) - {12}
        assert found == [sum(len(users[i] & users[j]) for i in seen) for j in range(12)]


def test_the_whole_history_is_read(lab, small_log: HeteroData) -> None:
    model, rows = Together(3, 4), torch.tensor([0])
    assert model.max_length > 10**6
    batch = lab.written([[0] + [3] * 200], 4)
    assert np.array_equal(rows, batch.user)
    assert model.score(batch, small_log).tolist() == [[1, 1, 2, 1]]
