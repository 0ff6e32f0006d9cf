"""Which part of which sequence makes a training example: windows on the edges.

All of a graph's sequences lie one after another in its user-item edges. An example is a
window on them, three numbers: where it starts, how many items it reads, and from which
of its places on a target is asked for.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.errors import GraphError
from graphseq.sequences.batch import Batch, cut

Sampler = Literal["targets", "user", "prefix", "pairs"]
SequenceSampler = Literal["targets", "user", "prefix"]
"""The samplers of models that read sequences; a row of ``pairs`` holds none."""


@dataclass(frozen=True)
class Examples:
    """N windows on the flat sequences.

    Attributes:
        user: Whose, (N,).
        start: Position of the first item read, in ``flat``, (N,).
        length: Items read; the target of a place is the item after it, (N,).
        first: First place, counted within the window, with a target, (N,).
    """

    user: Int[Tensor, "N"]
    start: Int[Tensor, "N"]
    length: Int[Tensor, "N"]
    first: Int[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def targets(self) -> Int[Tensor, "N"]:
        """How many targets each window asks for."""
        return self.length - self.first


def runs(graph: HeteroData) -> tuple[Int[Tensor, "U"], Int[Tensor, "U"]]:
    """Where each user's run of edges starts, and how long it is."""
    user = graph[INTERACTS].edge_index[0]
    count = torch.bincount(user, minlength=graph["user"].num_nodes)
    return count.cumsum(0) - count, count


def windows(graph: HeteroData, max_length: int) -> Examples:
    """Windows in which every event but a user's first is a target exactly once.

    A sequence that fits is one window. A longer one is read through windows that
    overlap by half, so that no target but the first ones lacks its past.
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


def newest(graph: HeteroData, max_length: int) -> Examples:
    """One window a user: the newest ``max_length`` inputs, a target at every place."""
    start, count = runs(graph)
    user = (count > 1).nonzero()[:, 0]
    inputs = count[user] - 1
    length = inputs.clamp(max=max_length)
    return Examples(user, start[user] + inputs - length, length, torch.zeros_like(user))


def prefixes(graph: HeteroData, max_length: int) -> Examples:
    """One window a target: all that came before it, at most ``max_length`` items."""
    start, count = runs(graph)
    user = torch.repeat_interleave((count - 1).clamp(min=0))
    inputs = (count - 1).clamp(min=0)
    end = _numbers(user) - (inputs.cumsum(0) - inputs)[user] + 1
    length = end.clamp(max=max_length)
    return Examples(user, start[user] + end - length, length, length - 1)


def pairs(graph: HeteroData) -> Examples:
    """Every (user, item) event; nothing is read, the event itself is the target."""
    user = graph[INTERACTS].edge_index[0]
    place = _numbers(user)
    return Examples(user, place - 1, torch.ones_like(user), torch.zeros_like(user))


def examples(graph: HeteroData, sampler: Sampler, max_length: int) -> Examples:
    """The training examples of a graph, as ``sampler`` cuts them."""
    if sampler == "pairs":
        return pairs(graph)
    cutters = {"targets": windows, "user": newest, "prefix": prefixes}
    return cutters[sampler](graph, max_length)


def check_learnable(graph: HeteroData, sampler: Sampler) -> None:
    """Refuse a graph of which a sampler cuts no example.

    Raises:
        GraphError: Saying what the sequences lack.
    """
    needed, lacking = 2, "no user has two of them, so that no item follows another"
    if sampler == "pairs":
        needed, lacking = 1, "there is none"
    _, count = runs(graph)
    if int(count.max() if len(count) else 0) < needed:
        raise GraphError(
            f"nothing can be learnt with the sampler {sampler!r} from "
            f"{int(count.sum())} training events of {len(count)} users: {lacking}. "
            "Take a longer log, or hold out less of it"
        )


def gather(
    flat: Int[Tensor, "E"], picked: Examples, rows: Int[Tensor, "B"], num_items: int
) -> Batch:
    """Cut some training examples out of the sequences.

    Args:
        flat: The items of all sequences, ``graph[INTERACTS].edge_index[1]``.
        picked: The examples, from :func:`examples`.
        rows: Which of them.
        num_items: V, which is also the padding id.

    Returns:
        A batch with targets, on the device of ``flat``.
    """
    start, lengths = picked.start[rows], picked.length[rows]
    items = cut(flat, start, lengths, fill=num_items)
    targets = cut(flat, start + 1, lengths, fill=num_items)
    steps = torch.arange(targets.shape[1], device=flat.device)
    targets[steps < picked.first[rows][:, None]] = num_items
    return Batch(picked.user[rows], items, lengths, num_items, targets, example=rows)


def _numbers(of: Int[Tensor, "N"]) -> Int[Tensor, "N"]:
    """0 … N - 1, on the device of a tensor of N elements."""
    return torch.arange(len(of), device=of.device)
