"""Training examples: windows on the user-item edges.

All sequences of a graph are consecutive in its user-item edges. An example is a window
on them, given by three numbers: its start, its length, and its first position with a
target.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data.hetero import check_event_order
from graphseq.errors import GraphError
from graphseq.sequences.batch import Batch, cut

Sampler = Literal["targets", "user", "prefix", "pairs"]
SequenceSampler = Literal["targets", "user", "prefix"]
"""The samplers of models that read sequences."""


@dataclass(frozen=True)
class Examples:
    """N windows on the flat sequences.

    Attributes:
        user: User of each window, (N,).
        start: Position of the first item read, in ``flat``, (N,).
        length: Items read; the target of a position is the item after it, (N,).
        first: First position within the window that has a target, (N,); -1 in a window
            without an item, whose target is the event at ``start``.
    """

    user: Int[Tensor, "N"]
    start: Int[Tensor, "N"]
    length: Int[Tensor, "N"]
    first: Int[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def targets(self) -> Int[Tensor, "N"]:
        """Number of targets of each window."""
        return self.length - self.first


def runs(graph: HeteroData) -> tuple[Int[Tensor, "U"], Int[Tensor, "U"]]:
    """Start and length of each user's run of edges.

    Raises:
        GraphError: The edges are not ordered by user, then time.
    """
    check_event_order(graph)
    user = graph[INTERACTS].edge_index[0]
    count = torch.bincount(user, minlength=graph["user"].num_nodes)
    return count.cumsum(0) - count, count


def windows(graph: HeteroData, max_length: int) -> Examples:
    """Windows in which every event but a user's first is a target exactly once.

    A sequence of up to ``max_length`` inputs is one window. A longer one is covered by
    windows that overlap by half, so that later targets keep half a window of history.
    """
    start, count = runs(graph)
    inputs = (count - 1).clamp(min=0)
    step = max(1, max_length // 2)
    extra = ((inputs - max_length).clamp(min=0) + step - 1) // step
    number = torch.where(inputs > 0, 1 + extra, 0)
    user = torch.repeat_interleave(number)
    nth = _numbers(user) - (number.cumsum(0) - number)[user]
    end = (max_length + nth * step).minimum(inputs[user])
    length = end.clamp(max=max_length)
    fresh = torch.where(nth > 0, max_length + (nth - 1) * step, 0)
    return Examples(user, start[user] + end - length, length, fresh - (end - length))


def newest_windows(graph: HeteroData, max_length: int) -> Examples:
    """One window per user: the newest ``max_length`` inputs, a target at each."""
    start, count = runs(graph)
    user = (count > 1).nonzero()[:, 0]
    inputs = count[user] - 1
    length = inputs.clamp(max=max_length)
    return Examples(user, start[user] + inputs - length, length, torch.zeros_like(user))


def prefixes(
    graph: HeteroData, max_length: int, *, empty_history: bool = False
) -> Examples:
    """One window per target: the ``max_length`` newest items before it.

    Args:
        graph: The sequences are its user-item edges.
        max_length: Longest window.
        empty_history: Whether a user's first event is a target too, of no items.
    """
    start, count = runs(graph)
    fewest = 0 if empty_history else 1
    targets = (count - fewest).clamp(min=0)
    user = torch.repeat_interleave(targets)
    end = _numbers(user) - (targets.cumsum(0) - targets)[user] + fewest
    length = end.clamp(max=max_length)
    return Examples(user, start[user] + end - length, length, length - 1)


def pairs(graph: HeteroData) -> Examples:
    """Every (user, item) event as a target, without a history."""
    user = graph[INTERACTS].edge_index[0]
    index = _numbers(user)
    return Examples(user, index - 1, torch.ones_like(user), torch.zeros_like(user))


def examples(
    graph: HeteroData,
    sampler: Sampler,
    max_length: int,
    *,
    empty_history: bool = False,
) -> Examples:
    """The training examples that ``sampler`` cuts from a graph.

    Args:
        graph: The sequences are its user-item edges.
        sampler: How they are cut.
        max_length: Longest window.
        empty_history: Of ``prefixes``; the other samplers have no such examples.
    """
    if sampler == "pairs":
        return pairs(graph)
    if sampler == "prefix":
        return prefixes(graph, max_length, empty_history=empty_history)
    return {"targets": windows, "user": newest_windows}[sampler](graph, max_length)


def check_learnable(graph: HeteroData, sampler: Sampler) -> None:
    """Refuse a graph without a training example for a sampler.

    Raises:
        GraphError: With the reason.
    """
    _, count = runs(graph)
    needed = 1 if sampler == "pairs" else 2
    if int(count.max() if len(count) else 0) < needed:
        events = "1 event" if needed == 1 else "2 events"
        raise GraphError(
            f"the sampler {sampler!r} needs a user with {events} or more, and none of "
            f"the {len(count)} users has that many among {int(count.sum())} training "
            "events; use a longer log, or hold out less of it"
        )


def gather(
    flat: Int[Tensor, "E"],
    picked: Examples,
    rows: Int[Tensor, "B"],
    num_items: int,
    width: int | None = None,
) -> Batch:
    """Cut some training examples out of the sequences.

    Args:
        flat: The items of all sequences, ``graph[INTERACTS].edge_index[1]``.
        picked: The examples, from :func:`examples`.
        rows: Indices of the examples to cut.
        num_items: V, which is also the padding id.
        width: L; ``None``: the longest of these examples.

    Returns:
        A batch with targets, on the device of ``flat``.
    """
    start, lengths = picked.start[rows], picked.length[rows]
    items = cut(flat, start, lengths, num_items, width)
    targets = cut(flat, start + 1, lengths, num_items, width)
    steps = torch.arange(targets.shape[1], device=flat.device)
    targets = targets.masked_fill(steps < picked.first[rows][:, None], num_items)
    targets[:, 0] = torch.where(lengths == 0, flat[start], targets[:, 0])
    return Batch(picked.user[rows], items, lengths, num_items, targets, example=rows)


def _numbers(like: Int[Tensor, "N"]) -> Int[Tensor, "N"]:
    """0 … N - 1, on the device of a tensor of N elements."""
    return torch.arange(len(like), device=like.device)
