"""Batches of training examples, the same for a seed whatever the workers."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import (
    Examples,
    Sampler,
    check_learnable,
    examples,
    gather,
)
from graphseq.sequences.negatives import UniformNegatives


class SequenceLoader(Dataset[Batch]):
    """An epoch of batches, as a map-style data set whose elements are whole batches.

    Rows of similar length travel together, so that little is padded; users (sampler
    ``user``) do not, see :doc:`/explanations/batches`. Everything random derives from
    ``(seed, epoch)`` and the batch's number: element i of an epoch is the same in any
    process.

    Args:
        graph: The sequences are its user-item edges.
        sampler: How examples are cut (see :class:`graphseq.models.Model`).
        batch_size: Targets a batch for ``targets``; rows a batch for the others.
        max_length: Longest sequence read.
        seed: Of the order, the lengths' jitter and the negatives.
        num_negatives: Negatives drawn for each target.
        rank: Which of ``world`` processes this is; each gets its own batches.
        world: Number of processes.

    Raises:
        GraphError: The graph has nothing to learn from.
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
        self.examples: Examples = examples(graph, sampler, max_length)
        self.negatives = UniformNegatives(graph) if num_negatives else None
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of the epoch's batches."""
        self.epoch = epoch
        generator = _generator(self.seed, epoch)
        plan = self._by_targets if self.sampler == "targets" else self._by_rows
        batches = plan(generator)
        order = torch.randperm(len(batches), generator=generator)
        share = -(-len(order) // self.world)  # every process takes as many steps
        order = order.repeat(self.world)[: share * self.world]
        self.batches = [batches[i] for i in order[self.rank :: self.world].tolist()]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        rows = self.batches[index]
        batch = gather(self.flat, self.examples, rows, self.num_items)
        if self.sampler == "pairs":  # nothing is read
            nothing = torch.full_like(batch.items, self.num_items)
            none = torch.zeros_like(batch.lengths)
            batch = replace(batch, items=nothing, lengths=none)
        if self.negatives is None:
            return batch
        asked, _ = batch.target_positions()
        generator = _generator(self.seed, self.epoch, self.rank, index)
        user = batch.user[:, None].expand_as(asked)[asked]
        shape = (*asked.shape, self.num_negatives)
        negatives = torch.full(shape, self.num_items)
        negatives[asked] = self.negatives.draw(user, (self.num_negatives,), generator)
        return replace(batch, negatives=negatives)

    def _by_targets(self, generator: torch.Generator) -> list[Int[Tensor, "B"]]:
        """Windows of similar length, about ``batch_size`` targets a batch."""
        length = self.examples.length
        noise = torch.rand(len(length), generator=generator)
        order = torch.argsort(length * (1 + self.JITTER * noise) + noise)
        asked = self.examples.targets[order].cumsum(0)
        number = (asked - 1) // self.batch_size
        sizes = torch.bincount(number)
        return list(order.split(sizes[sizes > 0].tolist()))

    def _by_rows(self, generator: torch.Generator) -> list[Int[Tensor, "B"]]:
        """``batch_size`` rows a batch, sorted by length within chunks of batches.

        Users are not sorted: the mean over a batch of long sequences would drown their
        targets, of which a user has one at every place.
        """
        order = torch.randperm(len(self.examples), generator=generator)
        if self.sampler != "user":
            chunk = torch.arange(len(order)) // (self.CHUNK * self.batch_size)
            longest = int(self.examples.length.max())
            key = chunk * (longest + 1) + self.examples.length[order]
            order = order[torch.argsort(key, stable=True)]
        return list(order.split(self.batch_size))


def _generator(*numbers: int) -> torch.Generator:
    """A generator of its own for every tuple of numbers."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) % 2**63)
