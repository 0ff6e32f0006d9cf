"""BPR-MF against the number of the specification and loops."""

import math

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.models import BPRMF
from graphseq.sequences import Batch


def batch(users: list[int], targets: list[int], negatives: list[list[int]]) -> Batch:
    n = len(users)
    return Batch(
        torch.tensor(users),
        torch.full((n, 1), 4),
        torch.zeros(n, dtype=torch.int64),
        4,
        torch.tensor(targets)[:, None],
        torch.tensor(negatives)[:, None],
    )


def test_loss_of_the_specification() -> None:
    """6.8: users (1,0), (0,1); their items (1,1), (0,2); negatives (0,1), (1,1)."""
    model = BPRMF(2, 4, dim=2)
    with torch.no_grad():
        model.users[:] = torch.tensor([[1.0, 0], [0, 1]])
        model.items[:] = torch.tensor([[1.0, 1], [0, 2], [0, 1], [1, 1]])
    terms = model.losses(batch([0, 1], [0, 1], [[2], [3]]), HeteroData())
    assert terms["pairs"].item() == pytest.approx(0.31326169, abs=1e-6)
    assert set(terms) == {"pairs"}


def test_loss_with_several_negatives_is_the_equation_written_as_loops() -> None:
    torch.manual_seed(0)
    model = BPRMF(3, 4, dim=5, num_negatives=3).double()
    users, targets = [2, 0, 2], [1, 3, 0]
    negatives = [[0, 2, 3], [1, 1, 0], [2, 3, 2]]
    total = 0.0
    for u, i, drawn in zip(users, targets, negatives, strict=True):
        for j in drawn:
            gap = (model.users[u] @ (model.items[i] - model.items[j])).item()
            total -= math.log(1 / (1 + math.exp(-gap)))
    loss = model.losses(batch(users, targets, negatives), HeteroData())["pairs"]
    assert loss.item() == pytest.approx(total / 9)


def test_history_is_not_read() -> None:
    model = BPRMF(3, 4)
    user, lengths = torch.tensor([1, 1]), torch.tensor([2, 1])
    read = Batch(user, torch.tensor([[0, 1], [3, 4]]), lengths, 4)
    scores = model.score(read, HeteroData())
    assert torch.equal(scores[0], scores[1])
    assert model.sampler == "pairs" and model.num_negatives == 1
