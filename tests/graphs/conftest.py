"""Literal graphs of the specification."""

from collections.abc import Callable

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS

Pairs = list[tuple[int, int]]
Build = Callable[[Pairs, int, int], HeteroData]


@pytest.fixture(scope="session")
def bipartite() -> Build:
    """A graph with the given user-item pairs, U users and V items."""

    def build(pairs: Pairs, num_users: int, num_items: int) -> HeteroData:
        graph = HeteroData()
        graph["user"].num_nodes, graph["item"].num_nodes = num_users, num_items
        index = torch.tensor(pairs, dtype=torch.long).view(-1, 2).T.contiguous()
        graph[INTERACTS].edge_index = index
        return graph

    return build


@pytest.fixture
def t1(bipartite: Build) -> HeteroData:
    """3 users, 4 items, the last one alone."""
    return bipartite([(0, 0), (0, 1), (1, 1), (1, 2), (2, 1)], 3, 4)


@pytest.fixture
def t2(bipartite: Build) -> HeteroData:
    """4 users, 3 items, with unequal overlaps."""
    pairs = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 2), (3, 0)]
    return bipartite(pairs, 4, 3)
