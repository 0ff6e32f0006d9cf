"""Batches of training examples and their negatives, reproducible from a seed."""

from dataclasses import replace
from typing import get_args

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, Part
from graphseq.data.split import HeldOut
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import (
    Examples,
    Sampler,
    check_learnable,
    examples,
    gather,
)


class SequenceLoader(Dataset[Batch]):
    """An epoch of batches: a map-style data set whose elements are whole batches.

    Rows of similar length share a batch, to save padding; users (sampler ``user``) are
    shuffled, see :doc:`/explanations/batches`. All randomness derives from ``(seed,
    epoch)`` and the batch's index: element i of an epoch is the same in any process.

    Args:
        graph: The sequences are its user-item edges.
        sampler: Cuts training examples from the sequences; see
            :class:`graphseq.models.Model`.
        batch_size: Targets per batch for ``targets``, rows per batch for the others.
        max_length: Longest sequence.
        seed: Seeds the order, the jitter of the lengths and the negatives.
        num_negatives: Negatives sampled for each target.
        empty_history: Whether ``prefix`` also has a row without items for each user's
            first event.
        leaky_negatives: Whether the user's held-out items are excluded from the
            negatives, too.
        rank: Index of this process among ``world``; each gets its own batches.
        world: Number of processes that train together.

    Raises:
        GraphError: The graph has no training example.
    """

    CHUNK = 32  # batches whose rows are sorted by length together
    JITTER = 0.1  # how much of its length is added to a window's sorting key

    def __init__(
        self,
        graph: HeteroData,
        sampler: Sampler,
        batch_size: int,
        max_length: int,
        *,
        seed: int = 0,
        num_negatives: int = 0,
        empty_history: bool = False,
        leaky_negatives: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.flat = graph[INTERACTS].edge_index[1].cpu()
        self.num_items = int(graph["item"].num_nodes)
        self.sampler = sampler
        self.batch_size = batch_size
        self.seed = seed
        self.num_negatives = num_negatives
        self.rank, self.world = rank, world
        check_learnable(graph, sampler)
        self.examples: Examples = examples(
            graph, sampler, max_length, empty_history=empty_history
        )
        self.negatives: UniformNegatives | None = None
        if num_negatives:
            self.negatives = UniformNegatives(graph, leaky=leaky_negatives)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of the epoch's batches."""
        self.epoch = epoch
        generator = _generator(self.seed, epoch)
        plan = self._by_targets if self.sampler == "targets" else self._by_rows
        batches = plan(generator)
        order = torch.randperm(len(batches), generator=generator)
        steps = -(-len(order) // self.world)  # equal for every process
        order = order.repeat(self.world)[: steps * self.world]
        self.batches = [batches[i] for i in order[self.rank :: self.world].tolist()]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        rows = self.batches[index]
        batch = gather(self.flat, self.examples, rows, self.num_items)
        if self.sampler == "pairs":  # no history is read
            empty = torch.full_like(batch.items, self.num_items)
            batch = replace(batch, items=empty, lengths=torch.zeros_like(batch.lengths))
        if self.negatives is None:
            return batch
        at, _ = batch.target_positions()
        generator = _generator(self.seed, self.epoch, self.rank, index)
        negatives = torch.full((*at.shape, self.num_negatives), self.num_items)
        size = (self.num_negatives,)
        negatives[at] = self.negatives.draw(batch.target_users(), size, generator)
        return replace(batch, negatives=negatives)

    def _by_targets(self, generator: torch.Generator) -> list[Int[Tensor, "B"]]:
        """Windows of similar length, about ``batch_size`` targets per batch."""
        length = self.examples.length
        noise = torch.rand(len(length), generator=generator)
        order = torch.argsort(length * (1 + self.JITTER * noise) + noise)
        targets = self.examples.targets[order].cumsum(0)
        number = (targets - 1) // self.batch_size
        sizes = torch.bincount(number)
        return list(order.split(sizes[sizes > 0].tolist()))

    def _by_rows(self, generator: torch.Generator) -> list[Int[Tensor, "B"]]:
        """``batch_size`` rows per batch, sorted by length within chunks of batches.

        Users are not sorted: with a target at every position, the mean over a batch of
        long sequences would weigh each of their targets less.
        """
        order = torch.randperm(len(self.examples), generator=generator)
        if self.sampler != "user":
            chunk = torch.arange(len(order)) // (self.CHUNK * self.batch_size)
            longest = int(self.examples.length.max())
            key = chunk * (longest + 1) + self.examples.length[order]
            order = order[torch.argsort(key, stable=True)]
        return list(order.split(self.batch_size))


class UniformNegatives:
    """Samples items uniformly among those without a training event of the user.

    Rejected samples are drawn again, for all rows at once, up to twenty times. A user
    with nearly all items then keeps some of their own: one sample in nine for a user
    with nine items in ten.

    Source:
        The sampler of SASRec and its descendants, which also avoid the user's held-out
        items: a leak, since the model then never sees them pushed away; ``leaky``
        repeats it.

    Args:
        graph: Its user-item edges are avoided.
        leaky: Whether the held-out items of the user are avoided, too.
    """

    ROUNDS = 20

    def __init__(self, graph: HeteroData, *, leaky: bool = False) -> None:
        pairs = [graph[INTERACTS].edge_index]
        if leaky:
            pairs += [
                _held_out(graph[part]) for part in get_args(Part) if part in graph
            ]
        user, item = torch.cat([each.cpu() for each in pairs], dim=1)
        self.num_items = int(graph["item"].num_nodes)
        self.chosen = (user * self.num_items + item).unique()

    def draw(
        self, user: Int[Tensor, "B"], size: tuple[int, ...], generator: torch.Generator
    ) -> Int[Tensor, "B *size"]:
        """Negatives for each row: shape ``(B, *size)``."""
        shape = (len(user), *size)
        base = (user * self.num_items).view(-1, *(1 for _ in size)).expand(shape)
        drawn = torch.randint(self.num_items, shape, generator=generator)
        again = self._rejected(base, drawn).nonzero(as_tuple=True)
        for _ in range(self.ROUNDS):
            if not len(again[0]):
                break
            fresh = torch.randint(self.num_items, (len(again[0]),), generator=generator)
            drawn[again] = fresh
            keep = self._rejected(base[again], fresh).nonzero()[:, 0]
            again = tuple(index[keep] for index in again)
        return drawn

    def _rejected(self, base: Tensor, drawn: Tensor) -> Tensor:
        key = base + drawn
        place = torch.searchsorted(self.chosen, key).clamp(max=len(self.chosen) - 1)
        rejected: Tensor = self.chosen[place] == key
        return rejected


def _held_out(part: HeldOut) -> Int[Tensor, "2 P"]:
    """The users and items of the held-out events."""
    users = part.user.repeat_interleave(part.target_ptr.diff())
    return torch.stack([users, part.target])


def _generator(*numbers: int) -> torch.Generator:
    """A generator seeded by a tuple of numbers."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) % 2**63)
