"""Held-out users: ordered by the length of the history, and as rows of a table."""

import pytest
import torch

from graphseq.errors import GraphError
from graphseq.evaluation.held_out import by_length, held_out_users, per_user

HISTORIES = [[3, 3, 1], [2], [0, 4]]
TARGETS = [[2, 0], [4], [1, 1]]


@pytest.fixture
def graph(written):
    """Three users and five items; item i occurs i times in training."""
    train = [(0, i) for i in range(5) for _ in range(i)]
    return written(torch.rand(3, 5), HISTORIES, TARGETS, train)[1]


def test_users_are_ordered_by_their_history_with_each_item_once(graph) -> None:
    rows = by_length(held_out_users(graph, "test"))
    assert rows.order.tolist() == [1, 2, 0]
    for row, user in enumerate(rows.order.tolist()):
        for found, expected in ((rows.targets, TARGETS), (rows.history, HISTORIES)):
            items = found.between(row, row + 1).items.tolist()
            assert sorted(items) == sorted(set(expected[user]))


def test_rows_of_a_table_are_in_the_order_of_the_held_out_data(graph) -> None:
    held_out = held_out_users(graph, "test")
    rows = by_length(held_out)
    values = {
        "best_rank": torch.tensor([1.0, torch.inf, 3.0]),  # of the users 1, 2 and 0
        "HR@5": torch.tensor([1.0, 0.0, 0.5]),
    }
    table = per_user(graph, held_out, rows, "kept", values, torch.arange(5))
    assert table.to_dict(as_series=False) == {
        "user_index": [0, 1, 2],
        "protocol": ["kept"] * 3,
        "targets": [2, 1, 1],
        "history_length": [3, 1, 2],
        "target_events": [0, 4, 1],
        "best_rank": [3, 1, None],
        "HR@5": [0.5, 1.0, 0.0],
    }


def test_a_part_without_users_is_refused(graph) -> None:
    with pytest.raises(GraphError, match="no validation users"):
        held_out_users(graph, "validation")
