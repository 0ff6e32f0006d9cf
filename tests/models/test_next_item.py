"""Next-item losses: every denominator of the softmax."""

from collections import Counter

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.next_item import next_item, popularity
from graphseq.objectives import (
    cross_entropy,
    in_batch_softmax,
    log_expected_count,
    log_uniform_sample,
    sampled_softmax,
)
from graphseq.sequences import Batch

COUNTS = [1, 4, 0, 2, 3, 0]  # the items by popularity are 1, 4, 3, 0, 2, 5
BY_RANK = [1, 4, 3, 0, 2, 5]


@pytest.fixture
def graph() -> HeteroData:
    made = HeteroData()
    items = torch.arange(6).repeat_interleave(torch.tensor(COUNTS))
    made["user"].num_nodes, made["item"].num_nodes = 3, 6
    made[INTERACTS].edge_index = torch.stack([torch.zeros_like(items), items])
    return made


@pytest.fixture
def batch() -> Batch:
    """Four targets of three users; two are of one user."""
    return Batch(
        user=torch.tensor([0, 1, 2]),
        items=torch.tensor([[0, 1, 2], [3, 4, 6], [5, 6, 6]]),
        lengths=torch.tensor([3, 2, 1]),
        num_items=6,
        targets=torch.tensor([[6, 2, 3], [6, 2, 6], [0, 6, 6]]),
        negatives=torch.tensor([[[6], [4], [5]], [[6], [0], [6]], [[1], [6], [6]]]),
    )


TARGETS, DRAWN = torch.tensor([2, 3, 2, 0]), torch.tensor([[4], [5], [0], [1]])
USERS = torch.tensor([0, 0, 1, 2])
STATES = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
ITEMS = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))


def found(batch: Batch, graph: HeteroData, softmax: str, drawn: int = 1) -> float:
    given = {"softmax": softmax, "num_negatives": drawn}
    return next_item(STATES, ITEMS, batch, graph, **given).item()


def test_full_is_the_softmax_over_all_items(batch: Batch, graph: HeteroData) -> None:
    expected = cross_entropy(STATES, ITEMS, TARGETS).item()
    assert found(batch, graph, "full") == pytest.approx(expected)


def test_uniform_reads_the_negatives_of_the_loader(
    batch: Batch, graph: HeteroData
) -> None:
    expected = sampled_softmax(STATES, ITEMS, TARGETS, DRAWN).item()
    assert found(batch, graph, "uniform") == pytest.approx(expected)


def test_in_batch_is_corrected_by_popularity_and_masks_out_the_user(
    batch: Batch, graph: HeteroData
) -> None:
    counts = torch.tensor(COUNTS).float()
    expected = in_batch_softmax(STATES, ITEMS, TARGETS, counts=counts, user=USERS)
    assert found(batch, graph, "in_batch") == pytest.approx(expected.item())


def test_popularity_is_counted_again_when_edges_change_in_place(
    graph: HeteroData,
) -> None:
    assert popularity(graph).counts.tolist() == COUNTS
    graph[INTERACTS].edge_index = graph[INTERACTS].edge_index.clone()
    assert popularity(graph).counts.tolist() == COUNTS
    graph[INTERACTS].edge_index[1] = 0
    assert popularity(graph).counts[0] == sum(COUNTS)


@pytest.mark.parametrize("drawn", [1, 3, 100])
def test_log_uniform_is_by_rank_of_popularity_and_corrected(
    batch: Batch, graph: HeteroData, drawn: int
) -> None:
    torch.manual_seed(5)
    ranks, tries = log_uniform_sample(6, drawn)
    rank_of = torch.tensor([BY_RANK.index(t) for t in TARGETS.tolist()])
    expected = sampled_softmax(
        STATES,
        ITEMS,
        TARGETS,
        torch.tensor(BY_RANK)[ranks],
        log_expected_target=log_expected_count(rank_of, 6, tries),
        log_expected_negative=log_expected_count(ranks, 6, tries),
    )
    torch.manual_seed(5)
    assert found(batch, graph, "log_uniform", drawn) == pytest.approx(expected.item())


def test_log_uniform_draws_popular_items_more_often(graph: HeteroData) -> None:
    """Item vectors are one-hot: the gradient shows which item was drawn."""
    batch = Batch(
        torch.tensor([0]),
        torch.tensor([[0]]),
        torch.tensor([1]),
        6,
        torch.tensor([[5]]),
    )
    torch.manual_seed(0)
    times: Counter = Counter()
    for _ in range(300):
        items = torch.eye(6, requires_grad=True)
        given = {"softmax": "log_uniform", "num_negatives": 1}
        next_item(torch.ones(1, 6), items, batch, graph, **given).backward()
        times.update(items.grad[:5].abs().sum(1).nonzero()[:, 0].tolist())
    popular, second, rare = times[1], times[4], times[2]
    assert popular > second > rare > 0
