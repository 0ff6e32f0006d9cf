"""Prefixes that lead to the same item: an index, and draws from it."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import (
    Examples,
    Sampler,
    examples,
    gather,
    prefixes,
)
from graphseq.sequences.places import uniform


@dataclass(frozen=True)
class SameTargetIndex:
    """All training prefixes, sorted by target: V + 1 pointers, and a list of N.

    Every event but a user's first is the target of one prefix, all that came before it,
    whatever the sampler: a row that asks for several items stands here for the prefix
    of its newest target, which is the row itself. The authors of DuoRec store, for
    every prefix, the list of all others with its target, which is quadratic in how
    often an item occurs.

    Attributes:
        flat: The items of all sequences, (E,).
        examples: The prefixes, user by user.
        num_items: V.
        rows: The prefix that each example of the loader is, (R,).
        target: Of each prefix, (N,).
        order: The prefixes, sorted by target, (N,).
        start: Where each target's prefixes start in ``order``, (V+1,).
        place: Where each prefix stands in ``order``, (N,).
    """

    flat: Int[Tensor, "E"]
    examples: Examples
    num_items: int
    rows: Int[Tensor, "R"]
    target: Int[Tensor, "N"]
    order: Int[Tensor, "N"]
    start: Int[Tensor, "V1"]
    place: Int[Tensor, "N"]

    def of(self, batch: Batch) -> Int[Tensor, "B"]:
        """Which prefixes the rows of a batch of the loader's are.

        Raises:
            ValueError: The batch does not say which examples they are.
        """
        if batch.example is None:
            raise ValueError(
                "sequences with the same target are found by the numbers of the "
                "examples, and this batch holds none; cut it with a SequenceLoader"
            )
        return self.rows[batch.example]

    def others(self, rows: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
        """How many other prefixes have the target of each of these."""
        target = self.target[rows]
        return self.start[target + 1] - self.start[target] - 1

    def draw(self, rows: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
        """Another prefix with the same target, uniformly; itself if there is none.

        Source:
            Qiu et al., DuoRec, WSDM 2022, section 4.2.

        Args:
            rows: Prefixes.
        """
        others = self.others(rows)
        return self._next(rows, uniform(others), others > 0)

    def candidates(
        self, rows: Int[Tensor, "B"], most: int | None = None
    ) -> tuple[Int[Tensor, "M"], Int[Tensor, "M"]]:
        """The other prefixes with the same target; itself if there is none.

        Args:
            rows: Prefixes.
            most: Limit of the number for a row: of more, a random run of neighbours in
                the index is taken, in which every one stands equally often. ``None``:
                all of them.

        Returns:
            The row of each candidate, ascending, and the candidates.
        """
        others = self.others(rows)
        count = others.clamp(min=1, max=most)
        owner = torch.repeat_interleave(count)
        nth = torch.arange(len(owner), device=rows.device)
        nth = nth - (count.cumsum(0) - count)[owner]
        skipped = torch.where(others > count, uniform(others), 0)
        step = (nth + skipped[owner]) % others[owner].clamp(min=1)
        return owner, self._next(rows[owner], step, others[owner] > 0)

    def gather(self, rows: Int[Tensor, "B"]) -> Batch:
        """The sequences of some prefixes, with their targets.

        The batch's ``example`` holds their numbers as prefixes, where a loader's batch,
        which :meth:`of` takes, holds those of the loader.
        """
        return gather(self.flat, self.examples, rows, self.num_items)

    def _next(self, rows: Tensor, step: Tensor, found: Tensor) -> Tensor:
        """The prefix ``step`` + 1 after each, in the ring of those with its target."""
        start = self.start[self.target[rows]]
        size = self.others(rows) + 1
        place = start + (self.place[rows] - start + step + 1) % size
        return torch.where(found, self.order[place], rows)


def same_target(
    graph: HeteroData, sampler: Sampler, max_length: int
) -> SameTargetIndex:
    """The index of a graph's training prefixes, on the graph's device.

    Args:
        graph: The sequences are its user-item edges.
        sampler: How the loader cuts examples from them.
        max_length: Longest sequence read.
    """
    flat = graph[INTERACTS].edge_index[1]
    num_items = int(graph["item"].num_nodes)
    cut, loaded = prefixes(graph, max_length), examples(graph, sampler, max_length)
    at = cut.start + cut.length  # ascending
    rows = torch.searchsorted(at, loaded.start + loaded.length)
    target = flat[at]
    order = target.argsort(stable=True)
    count = torch.bincount(target, minlength=num_items)
    start = torch.cat([count.new_zeros(1), count.cumsum(0)])
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return SameTargetIndex(flat, cut, num_items, rows, target, order, start, place)
