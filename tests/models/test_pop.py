"""POP: scores are counts."""

import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import Interactions, leave_one_out
from graphseq.graphs import build_graph
from graphseq.models import POP
from graphseq.sequences import Batch


def graph() -> HeteroData:
    """Users (0 0 1 | 2 | 2), (1 3 | 2 | 3); held-out items follow the bars."""
    items = [0, 0, 1, 2, 2, 1, 3, 2, 3]
    users = [0] * 5 + [1] * 4
    return build_graph(leave_one_out(Interactions.from_arrays(users, items)))


def scores(model: POP, graph: HeteroData) -> list[list[float]]:
    user, empty = torch.tensor([0, 1]), torch.full((2, 1), 4)
    return model.score(Batch(user, empty, torch.tensor([0, 0]), 4), graph).tolist()


def test_scores_are_the_numbers_of_training_events() -> None:
    assert scores(POP(2, 4), graph()) == [[2, 2, 0, 1]] * 2


def test_all_counts_include_held_out_events() -> None:
    assert scores(POP(2, 4, counts="all"), graph()) == [[2, 2, 3, 2]] * 2


def test_items_without_events_count_zero() -> None:
    made = HeteroData()
    made[INTERACTS].edge_index = torch.tensor([[0], [1]])
    assert scores(POP(2, 4), made) == [[0, 1, 0, 0]] * 2


def test_there_is_nothing_to_train(lab) -> None:
    model = POP(2, 4)
    assert not [*model.parameters()]
    assert model.losses(lab.load(model, graph())[0], graph()) == {}
