"""The logs, graphs and batches that checks read."""

import copy
from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.data import Interactions, leave_one_out, synthetic
from graphseq.graphs import CoOccurrence, Transitions, build_graph
from graphseq.models import Model
from graphseq.sequences import Batch, SequenceLoader, histories
from graphseq.sequences.samplers import Sampler

RELATIONS = (CoOccurrence("user"), CoOccurrence("item"), Transitions())
"""The steps of the graphs on which models and objectives are checked."""


def ring(num_users: int = 48, num_items: int = 12, length: int = 9) -> Interactions:
    """Users who walk a ring of items: the next item is certain."""
    return synthetic.cycle(num_users, num_items, length=length, seed=0)


def weighted_log() -> Interactions:
    """24 users of 3 to 10 random events on item-0 … item-11, with weights 1 to 5."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 11, 24)
    user = np.repeat(np.arange(24), lengths)
    item = rng.integers(0, 12, len(user))
    item[:12] = np.arange(12)
    names = np.array([f"item-{number}" for number in range(12)])
    users = np.array([f"user-{number}" for number in range(24)])
    time = np.concatenate([np.arange(length) for length in lengths])
    weight = rng.integers(1, 6, len(user)).astype(np.float32)
    columns = {"user": users[user], "item": names[item], "time": time}
    frame = pl.DataFrame({**columns, "weight": weight})
    return Interactions.from_frame(frame, weight="weight")


def communities(num_users: int = 100) -> Interactions:
    """Users who draw 12 events from the six items of their own quarter of 24 items."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(num_users), 12)
    item = 6 * (user % 4) + rng.integers(6, size=len(user))
    return Interactions.from_arrays(user, item, np.tile(np.arange(12), num_users))


def shuffled(log: Interactions) -> Interactions:
    """The same users, items and times; the items of all events are permuted."""
    items = np.random.default_rng(0).permutation(log.item)
    return Interactions.from_arrays(
        log.user, items, log.time, users=log.users, items=log.items
    )


def graph_of(
    log: Interactions, steps: Sequence[BaseTransform] = RELATIONS
) -> HeteroData:
    """The graph of a leave-one-out split."""
    return build_graph(leave_one_out(log), steps)


def batches(
    model: Model,
    graph: HeteroData,
    *,
    sampler: Sampler | None = None,
    batch_size: int = 64,
) -> list[Batch]:
    """The training batches of a model in one epoch."""
    loader = SequenceLoader(
        graph,
        sampler or model.sampler,
        batch_size,
        model.max_length,
        seed=0,
        num_negatives=model.num_negatives,
        empty_history=model.empty_history,
    )
    return [loader[index] for index in range(len(loader))]


def test_batch(model: Model, graph: HeteroData) -> Batch:
    """The histories of all test users."""
    rows = torch.arange(len(graph.test.user))
    return histories(graph.test, rows, model.max_length, model.num_items)


def rows_of(rows: Sequence[Sequence[int]], num_items: int) -> Batch:
    """A batch with these sequences, of the users 0, 1, …."""
    lengths = torch.tensor([len(row) for row in rows])
    longest = max(1, *map(len, rows))
    items = [[*row, *[num_items] * (longest - len(row))] for row in rows]
    return Batch(torch.arange(len(rows)), torch.tensor(items), lengths, num_items)


def snapshot(graph: HeteroData) -> dict[tuple[str, ...], Tensor]:
    """Copies of all tensors of a graph, by store and name."""
    stores = [*graph.node_items(), *graph.edge_items()]
    found = {}
    for kind, store in stores:
        key = (kind,) if isinstance(kind, str) else kind
        for name, value in store.items():
            if isinstance(value, Tensor):
                found[(*key, name)] = value.clone()
    return found


def changes(graph: HeteroData, before: dict[tuple[str, ...], Tensor]) -> list[str]:
    """The tensors of a graph that differ from a snapshot, as text."""
    now = snapshot(graph)
    names = [key for key in now if key not in before or key not in now]
    names += [key for key in before if key not in now]
    names += [
        key for key in now if key in before and not same_tensor(now[key], before[key])
    ]
    return [" ".join(key) for key in names]


def same_tensor(a: Tensor, b: Tensor) -> bool:
    """Whether shape, type and all values are equal."""
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def without_held_out(graph: HeteroData) -> HeteroData:
    """The graph without validation and test users; tensors are shared."""
    part = copy.copy(graph)
    for name in ("validation", "test"):
        if name in part:
            delattr(part, name)
    return part
