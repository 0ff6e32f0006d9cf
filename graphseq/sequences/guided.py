"""Views that rest on how important each item of a sequence is.

Every function takes a batch, a number for each place and how many places of each row it
is about, and returns a new batch; what it was given is never changed. Places are ranked
by importance; of equally important ones the earlier ranks lower.

Source:
    Wang et al., EC4SRec, CIKM 2022, section 4.2.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from graphseq.sequences.batch import Batch
from graphseq.sequences.places import lowest, share
from graphseq.sequences.views import Operator, changed, pick

Side = Literal["least", "most"]
Order = Literal["time", "importance"]
Way = Literal["crop", "mask", "reorder"]


def important(
    batch: Batch,
    importance: Float[Tensor, "B L"],
    count: Int[Tensor, "B"],
    side: Side,
) -> Bool[Tensor, "B L"]:
    """The ``count`` least, or most, important places of every row."""
    if side == "least":
        return lowest(importance, batch.mask, count)
    rest = lowest(importance, batch.mask, batch.lengths - count)
    return batch.mask & ~rest


def guided_crop(
    batch: Batch,
    importance: Float[Tensor, "B L"],
    count: Int[Tensor, "B"],
    side: Side,
    *,
    order: Order = "time",
) -> Batch:
    """Only the ``count`` least, or most, important items (eg-crop).

    Departs from the source:
        The authors' code writes what is left in ascending importance
        (``order="importance"``); the paper keeps it in time order.
    """
    kept = important(batch, importance, count, side)
    steps = torch.arange(batch.items.shape[1], device=count.device)
    key = steps.expand_as(batch.items) if order == "time" else importance
    key = key.double().masked_fill(~kept, torch.inf)
    items = batch.items.gather(1, key.argsort(dim=1, stable=True))
    kept_lengths = kept.sum(dim=1)
    beyond = steps >= kept_lengths[:, None]
    return changed(batch, items.masked_fill(beyond, batch.num_items), kept_lengths)


def guided_mask(
    batch: Batch,
    importance: Float[Tensor, "B L"],
    count: Int[Tensor, "B"],
    side: Side,
) -> Batch:
    """The ``count`` least, or most, important items masked (eg-mask)."""
    places = important(batch, importance, count, side)
    return changed(batch, batch.items.masked_fill(places, batch.num_items))


def guided_reorder(
    batch: Batch,
    importance: Float[Tensor, "B L"],
    count: Int[Tensor, "B"],
    side: Side,
) -> Batch:
    """The ``count`` least, or most, important items shuffled (eg-reorder).

    They change places among themselves; the others stay where they are.
    """
    places = important(batch, importance, count, side)
    steps = torch.arange(batch.items.shape[1], device=count.device)
    at = steps.expand_as(batch.items).double()
    slots = at.masked_fill(~places, torch.inf).argsort(dim=1, stable=True)
    drawn = torch.rand(at.shape, dtype=torch.float64, device=at.device)
    source = drawn.masked_fill(~places, torch.inf).argsort(dim=1, stable=True)
    items = batch.items.scatter(1, slots, batch.items.gather(1, source))
    return changed(batch, items)


@dataclass(frozen=True)
class GuidedAugmentation:
    """How much of a sequence of n items a view keeps or changes; always one at least.

    Positive views keep the important, or change the unimportant items; negative ones
    keep the unimportant, or change the important ones.

    Attributes:
        important: ⌊important n⌋ items are the important ones.
        unimportant: ⌊unimportant n⌋ are the unimportant ones.
        mu: In the place of both, the paper's μ: ⌊μ n⌋ are important, as many are
            unimportant, and a positive crop *removes* these.
        order: Of what a crop keeps.
        ways: What negative views are drawn from.
    """

    important: float = 0.3
    unimportant: float = 0.7
    mu: float | None = None
    order: Order = "time"
    ways: tuple[Way, ...] = ("crop", "mask", "reorder")

    def counts(self, n: Int[Tensor, "B"]) -> tuple[Tensor, Tensor, Tensor]:
        """How many are kept by a positive crop, are unimportant, and are important."""
        if self.mu is None:
            most = share(n, self.important, least=1)
            return most, share(n, self.unimportant, least=1), most
        k = share(n, self.mu, least=1)
        return (n - k).clamp(min=1), k, k

    def positive(self, importance: Float[Tensor, "B L"]) -> list[Operator]:
        """The ways to make a view that keeps what matters."""

        def cropped(batch: Batch) -> Batch:
            kept, _, _ = self.counts(batch.lengths)
            return guided_crop(batch, importance, kept, "most", order=self.order)

        def masked(batch: Batch) -> Batch:
            _, least, _ = self.counts(batch.lengths)
            return guided_mask(batch, importance, least, "least")

        def reordered(batch: Batch) -> Batch:
            _, least, _ = self.counts(batch.lengths)
            return guided_reorder(batch, importance, least, "least")

        return [cropped, masked, reordered]

    def negative(self, batch: Batch, importance: Float[Tensor, "B L"]) -> Batch:
        """A view of every row without what matters; of one item, a random item."""
        _, least, most = self.counts(batch.lengths)
        made = {
            "crop": partial(guided_crop, count=least, side="least", order=self.order),
            "mask": partial(guided_mask, count=most, side="most"),
            "reorder": partial(guided_reorder, count=most, side="most"),
        }
        views = [made[way](batch, importance) for way in self.ways]
        which = torch.randint_like(batch.lengths, len(views))
        which = which.masked_fill(batch.lengths == 1, len(views))
        return pick([*views, _stranger(batch)], which)


def _stranger(batch: Batch) -> Batch:
    """One random item in the place of every row."""
    items = torch.full_like(batch.items, batch.num_items)
    items[:, 0] = torch.randint_like(items[:, 0], max(1, batch.num_items))
    return changed(batch, items, torch.ones_like(batch.lengths))
