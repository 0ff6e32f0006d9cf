"""Augmentations guided by the importance of each item of a sequence.

Every function takes a batch, a score for each position, and how many positions of each
row it changes or keeps; it returns a new batch and leaves its argument unchanged. Of
equally important positions the earlier one ranks lower.

Source:
    Wang et al., EC4SRec, CIKM 2022, section 4.2.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from graphseq.schema import Configurable, Fraction, InvalidOption
from graphseq.sequences.batch import Batch
from graphseq.sequences.operators import (
    Operator,
    fraction_of,
    lowest_positions,
    pick,
    random_views,
)
from graphseq.sequences.rows import with_items

Side = Literal["least", "most"]
Order = Literal["time", "importance"]
Operation = Literal["crop", "mask", "reorder"]
OPERATIONS: tuple[Operation, ...] = ("crop", "mask", "reorder")


def important_positions(
    batch: Batch,
    importance: Float[Tensor, "B L"],
    count: Int[Tensor, "B"],
    side: Side,
) -> Bool[Tensor, "B L"]:
    """The ``count`` least or most important positions of every row."""
    if side == "least":
        return lowest_positions(importance, batch.mask, count)
    rest = lowest_positions(importance, batch.mask, batch.lengths - count)
    return batch.mask & ~rest


def guided_crop(
    batch: Batch,
    importance: Float[Tensor, "B L"],
    count: Int[Tensor, "B"],
    side: Side,
    *,
    order: Order = "time",
) -> Batch:
    """Keep only the ``count`` least or most important items (eg-crop).

    Departs from the source:
        The authors' code sorts the kept items by ascending importance
        (``order="importance"``); the paper keeps their order in time.
    """
    kept = important_positions(batch, importance, count, side)
    steps = torch.arange(batch.items.shape[1], device=count.device)
    key = steps.expand_as(batch.items) if order == "time" else importance
    key = key.double().masked_fill(~kept, torch.inf)
    items = batch.items.gather(1, key.argsort(dim=1, stable=True))
    lengths = kept.sum(dim=1)
    beyond = steps >= lengths[:, None]
    return with_items(batch, items.masked_fill(beyond, batch.num_items), lengths)


def guided_mask(
    batch: Batch,
    importance: Float[Tensor, "B L"],
    count: Int[Tensor, "B"],
    side: Side,
) -> Batch:
    """Mask the ``count`` least or most important items (eg-mask)."""
    chosen = important_positions(batch, importance, count, side)
    return with_items(batch, batch.items.masked_fill(chosen, batch.num_items))


def guided_reorder(
    batch: Batch,
    importance: Float[Tensor, "B L"],
    count: Int[Tensor, "B"],
    side: Side,
) -> Batch:
    """Shuffle the ``count`` least or most important items among their positions."""
    chosen = important_positions(batch, importance, count, side)
    steps = torch.arange(batch.items.shape[1], device=count.device)
    at = steps.expand_as(batch.items).double()
    slots = at.masked_fill(~chosen, torch.inf).argsort(dim=1, stable=True)
    drawn = torch.rand(at.shape, dtype=torch.float64, device=at.device)
    source = drawn.masked_fill(~chosen, torch.inf).argsort(dim=1, stable=True)
    items = batch.items.scatter(1, slots, batch.items.gather(1, source))
    return with_items(batch, items)


@final
class GuidedAugmentation(Configurable):
    """Draws positive views, which keep what is important, and negative views.

    A positive view keeps the important items or changes the unimportant ones; a
    negative view keeps the unimportant items or changes the important ones. Each count
    is at least one.

    Departs from the source:
        Two fractions, as in the code (crops keep 0.3, masks and reorders change 0.7,
        negative views the other way round); the paper has one, ``mu``. Negative views
        are also reordered, as in the code (paper: ``negative=("crop", "mask")``).

    Args:
        positive: The operations that make positive views; the two of a row differ,
            unless there is only one.
        negative: The operations that make negative views.
        important: ⌊important n⌋ of n items are the important ones.
        unimportant: ⌊unimportant n⌋ items are the unimportant ones.
        mu: The paper's μ instead of both: ⌊μ n⌋ items are important, as many are
            unimportant, and a positive crop *removes* the latter.
        crop_order: Order of the items that a crop keeps.
    """

    def __init__(
        self,
        *,
        positive: Sequence[Operation] = OPERATIONS,
        negative: Sequence[Operation] = OPERATIONS,
        important: Fraction = 0.3,
        unimportant: Fraction = 0.7,
        mu: Fraction | None = None,
        crop_order: Order = "time",
    ) -> None:
        self.operations = {"most": tuple(positive), "least": tuple(negative)}
        self.important, self.unimportant, self.mu = important, unimportant, mu
        self.crop_order: Order = crop_order

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Both kinds of views need an operation."""
        for name in ("positive", "negative"):
            if not options[name]:
                yield InvalidOption(name, "expected one operation or more, found []")

    def counts(self, n: Int[Tensor, "B"]) -> tuple[Tensor, Tensor, Tensor]:
        """Of n items: those that a positive crop keeps, unimportant, important ones."""
        if self.mu is None:
            most = fraction_of(n, self.important, at_least=1)
            return most, fraction_of(n, self.unimportant, at_least=1), most
        k = fraction_of(n, self.mu, at_least=1)
        return (n - k).clamp(min=1), k, k

    def operators(self, importance: Float[Tensor, "B L"], keep: Side) -> list[Operator]:
        """The operators of positive (keep ``most``) or negative views (``least``)."""
        return [
            partial(self._view, name, importance, keep)
            for name in self.operations[keep]
        ]

    def _view(
        self,
        name: Operation,
        importance: Float[Tensor, "B L"],
        keep: Side,
        batch: Batch,
    ) -> Batch:
        """A view of every row by one operation."""
        first = 0 if keep == "most" else 1
        kept, changed = self.counts(batch.lengths)[first : first + 2]
        if name == "crop":
            return guided_crop(batch, importance, kept, keep, order=self.crop_order)
        operator = guided_mask if name == "mask" else guided_reorder
        return operator(
            batch, importance, changed, "least" if keep == "most" else "most"
        )

    def positive(
        self, batch: Batch, importance: Float[Tensor, "B L"]
    ) -> tuple[Batch, Batch]:
        """Two positive views of every row; rows of one item stay as they are."""
        operators = self.operators(importance, "most")
        distinct = len(operators) > 1
        return random_views(batch, operators, distinct=distinct, keep_single=True)

    def negative(self, batch: Batch, importance: Float[Tensor, "B L"]) -> Batch:
        """A negative view of every row; of a row of one item, a random item."""
        views = [view(batch) for view in self.operators(importance, "least")]
        which = torch.randint_like(batch.lengths, len(views))
        which = which.masked_fill(batch.lengths == 1, len(views))
        return pick([*views, _random_item(batch)], which)


def _random_item(batch: Batch) -> Batch:
    """One random item instead of every row."""
    items = torch.full_like(batch.items, batch.num_items)
    items[:, 0] = torch.randint_like(items[:, 0], max(1, batch.num_items))
    return with_items(batch, items, torch.ones_like(batch.lengths))
