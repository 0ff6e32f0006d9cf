"""Graphs made of the sequences that they hold."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS

Written = Callable[..., HeteroData]


def write(
    sequences: Sequence[Sequence[int]], num_items: int | None = None
) -> HeteroData:
    graph = HeteroData()
    items = [item for row in sequences for item in row]
    users = [user for user, row in enumerate(sequences) for _ in row]
    graph["user"].num_nodes = len(sequences)
    graph["item"].num_nodes = num_items or max(items) + 1
    graph[INTERACTS].edge_index = torch.tensor([users, items], dtype=torch.int64)
    return graph


@pytest.fixture(scope="session")
def written() -> Written:
    """Makes a graph of sequences: one list of items for each user."""
    return write


@pytest.fixture(scope="session")
def random_graph() -> HeteroData:
    """120 users with 0 … 40 events each among 50 items, with repeats."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, 41, (120,), generator=generator).tolist()
    lengths[:3] = [0, 1, 2]
    rows = [torch.randint(50, (n,), generator=generator).tolist() for n in lengths]
    return write(rows, num_items=50)
