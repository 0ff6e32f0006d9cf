"""Sequences with the same target: an index, uniform draws, guided retrieval."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.utils import scatter, softmax

from graphseq.constants import INTERACTS
from graphseq.sequences.batch import Batch
from graphseq.sequences.operators import random_index
from graphseq.sequences.samplers import (
    Examples,
    Sampler,
    examples,
    gather,
    prefixes,
)

Utility = Literal["code", "paper"]
NO_SHARED_ITEM = 0.01  # the importance that the authors' code assigns then


@dataclass(frozen=True)
class SameTargetIndex:
    """All training prefixes, sorted by target: V + 1 pointers, and a list of N.

    Every event but a user's first is the target of one prefix, the events before it. A
    row with several targets counts as the prefix of its newest target, which is the row
    itself. The authors of DuoRec store the list of all other prefixes with the same
    target for each prefix, which is quadratic in an item's number of events.

    Attributes:
        flat: Items of all sequences, (E,).
        examples: The prefixes, user by user.
        num_items: V.
        rows: Prefix of each example of the loader, (R,).
        target: Target of each prefix, (N,).
        order: The prefixes, sorted by target, (N,).
        start: Start of each target's prefixes in ``order``, (V+1,).
        rank: Position of each prefix in ``order``, (N,).
        longest: Length of the longest prefix.
    """

    flat: Int[Tensor, "E"]
    examples: Examples
    num_items: int
    rows: Int[Tensor, "R"]
    target: Int[Tensor, "N"]
    order: Int[Tensor, "N"]
    start: Int[Tensor, "V1"]
    rank: Int[Tensor, "N"]
    longest: int

    def indices(self, batch: Batch) -> Int[Tensor, "B"]:
        """The prefixes of the rows of a loader's batch.

        Raises:
            ValueError: The batch was not cut by a loader.
        """
        if batch.example is None:
            raise ValueError(
                "sequences with the same target are found by the indices of the "
                "examples, which this batch lacks; cut it with a SequenceLoader"
            )
        return self.rows[batch.example]

    def others(self, rows: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
        """Number of other prefixes with the target of each of these."""
        target = self.target[rows]
        return self.start[target + 1] - self.start[target] - 1

    def draw(self, rows: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
        """Another prefix with the same target, drawn uniformly; itself if it is alone.

        Source:
            Qiu et al., DuoRec, WSDM 2022, section 4.2.

        Args:
            rows: Prefixes.
        """
        others = self.others(rows)
        return self._next(rows, random_index(others), others > 0)

    def candidates(
        self, rows: Int[Tensor, "B"], most: int | None = None
    ) -> tuple[Int[Tensor, "M"], Int[Tensor, "M"]]:
        """The other prefixes with the same target; the prefix itself if it is alone.

        Args:
            rows: Prefixes.
            most: Largest number for a row. Of more, a random run of neighbours in the
                index is taken, so that each is equally likely. ``None``: all of them.

        Returns:
            The row of each candidate, ascending, and the candidates.
        """
        others = self.others(rows)
        count = others.clamp(min=1, max=most)
        owner = torch.repeat_interleave(count)
        nth = torch.arange(len(owner), device=rows.device)
        nth = nth - (count.cumsum(0) - count)[owner]
        skipped = torch.where(others > count, random_index(others), 0)
        step = (nth + skipped[owner]) % others[owner].clamp(min=1)
        return owner, self._next(rows[owner], step, others[owner] > 0)

    def gather(self, rows: Int[Tensor, "B"]) -> Batch:
        """The sequences of some prefixes, with their targets.

        The batch's ``example`` holds indices of prefixes; that of a loader's batch,
        which :meth:`indices` takes, holds indices of the loader's examples.
        """
        width = None if rows.device.type == "cpu" else max(1, self.longest)
        return gather(self.flat, self.examples, rows, self.num_items, width)

    def _next(self, rows: Tensor, step: Tensor, found: Tensor) -> Tensor:
        """The prefix ``step`` + 1 after each, in the ring of its target's prefixes."""
        start = self.start[self.target[rows]]
        size = self.others(rows) + 1
        rank = start + (self.rank[rows] - start + step + 1) % size
        return torch.where(found, self.order[rank], rows)


def same_target(
    graph: HeteroData, sampler: Sampler, max_length: int
) -> SameTargetIndex:
    """The index of a graph's training prefixes, on the graph's device.

    Args:
        graph: The sequences are its user-item edges.
        sampler: The loader's sampler.
        max_length: Longest sequence.
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
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    longest = int(cut.length.max()) if len(cut) else 0
    return SameTargetIndex(
        flat, cut, num_items, rows, target, order, start, rank, longest
    )


def retrieve(
    batch: Batch,
    owner: Int[Tensor, "M"],
    others: Batch,
    importance: Float[Tensor, "M L"],
    *,
    utility: Utility = "code",
    temperature: float = 1.0,
) -> Int[Tensor, "B"]:
    """Retrieve one candidate for each sequence (eg-retrieval).

    Source:
        Wang et al., EC4SRec, CIKM 2022, section 4.3.

    Args:
        batch: B sequences.
        owner: Sequence of each candidate, ascending; each has at least one.
        others: M candidates.
        importance: Importance of the candidates' positions; each row sums to 1.
        utility: How probabilities are computed, see :func:`retrieval_probabilities`.
        temperature: T of the code's utility.

    Returns:
        Indices into the candidates.
    """
    a, number = shared_importance(batch, owner, others, importance)
    own = batch.lengths[owner]
    probability = retrieval_probabilities(
        a,
        number,
        own,
        others.lengths,
        owner,
        utility=utility,
        temperature=temperature,
    )
    return draw_by_probability(probability, owner, len(batch))


def shared_importance(
    batch: Batch,
    owner: Int[Tensor, "M"],
    others: Batch,
    importance: Float[Tensor, "M L"],
) -> tuple[Float[Tensor, "M"], Int[Tensor, "M"]]:
    """The part of each candidate that its sequence also holds.

    Args:
        batch: B sequences.
        owner: Sequence of each candidate.
        others: M candidates.
        importance: Importance of the candidates' positions; each row sums to 1.

    Returns:
        The summed importance of the shared items, and their number; an item that a
        candidate holds twice counts twice.
    """
    within = torch.zeros(
        len(batch), batch.num_items + 1, dtype=torch.bool, device=owner.device
    )
    within.scatter_(1, batch.items, True)
    both = within[owner[:, None], others.items] & others.mask
    both &= others.items != batch.num_items
    return (importance * both).sum(dim=1), both.sum(dim=1)


def retrieval_probabilities(
    importance: Float[Tensor, "M"],
    number: Int[Tensor, "M"],
    own: Int[Tensor, "M"],
    other: Int[Tensor, "M"],
    owner: Int[Tensor, "M"],
    *,
    utility: Utility = "code",
    temperature: float = 1.0,
) -> Float[Tensor, "M"]:
    r"""The probability that each candidate is retrieved.

    With the importance a of the items that the candidate w shares with u, and their
    number o, the authors' code draws by :math:`\mathrm{softmax}(e^a b / T)` with
    :math:`b = o / \max(|u|, |w|)`, the paper in proportion to :math:`a\, o / |u ∪ w|`.

    Departs from the source:
        Where no candidate shares an item, all are equally likely (the paper divides
        zero by zero).

    Args:
        importance: a.
        number: o.
        own: \|u\|, the length of each candidate's sequence.
        other: \|w\|, the length of the candidate.
        owner: Row of each candidate, ascending.
        utility: Which of the two.
        temperature: T of the code's utility.
    """
    rows = int(owner.max()) + 1 if len(owner) else 0
    if utility == "code":
        a = torch.where(number > 0, importance, NO_SHARED_ITEM)
        b = number / torch.maximum(own, other)
        likely: Tensor = softmax(a.exp() * b / temperature, owner, num_nodes=rows)
        return likely
    worth = importance * number / (own + other - number)
    total = scatter(worth, owner, dim_size=rows)
    size = torch.bincount(owner, minlength=rows)
    even = 1 / size[owner]
    return torch.where(total[owner] > 0, worth / total[owner], even)


def draw_by_probability(
    probability: Float[Tensor, "M"], owner: Int[Tensor, "M"], rows: int
) -> Int[Tensor, "B"]:
    r"""Draw one candidate of each row by its probability.

    The largest of :math:`\log p + g` with g from Gumbel's distribution is a draw by p.

    Args:
        probability: Of each candidate; each row sums to 1.
        owner: Row of each, ascending; every row has a candidate.
        rows: B.

    Returns:
        Indices into the candidates.
    """
    chance = torch.rand(probability.shape, dtype=torch.float64, device=owner.device)
    key = probability.double().log() - (-chance.log()).log()
    best = scatter(key, owner, dim_size=rows, reduce="max")
    nth = torch.arange(len(owner), device=owner.device)
    winner = torch.where(key == best[owner], nth, len(owner))
    first: Tensor = scatter(winner, owner, dim_size=rows, reduce="min")
    return first
