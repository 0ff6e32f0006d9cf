"""Sequences changed at random: what contrast calls views.

Every function takes a batch and returns a new one, without targets, whose rows are the
same users' in the same order; what it was given is never changed. Randomness is torch's
global generator, on the batch's device.

The two families of published code draw windows differently: in one a crop may reach
the last item, in the other it may not (``reach_last``).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor

from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.places import share, some, uniform, window

Operator = Callable[[Batch], Batch]


def crop(batch: Batch, keep: float, *, reach_last: bool = True) -> Batch:
    """A random contiguous part: of n items ⌊keep n⌋, and at least one.

    Source:
        Xie et al., CL4SRec, ICDE 2022, Eq. (4), as DuoRec's code draws it; with
        ``reach_last=False`` as CoSeRec's and ICLRec's do.

    Args:
        batch: Sequences.
        keep: Share of the items.
        reach_last: Whether every window is equally likely. Otherwise the one that ends
            with the last item is left out, where ⌊keep n⌋ is 1 or more and not n.
    """
    asked = share(batch.lengths, keep)
    kept = asked.clamp(min=1).minimum(batch.lengths)
    spots = batch.lengths - (kept - 1 if reach_last else asked)
    start = uniform(spots)
    width = max(1, min(int(keep * batch.items.shape[1]), batch.items.shape[1]))
    steps = torch.arange(width, device=batch.items.device)
    place = (start[:, None] + steps).clamp(max=batch.items.shape[1] - 1)
    outside = steps >= kept[:, None]
    items = batch.items.gather(1, place).masked_fill(outside, batch.num_items)
    return changed(batch, items, kept)


def mask(batch: Batch, rate: float) -> Batch:
    """⌊rate n⌋ random places masked: they hold the id V, within the length.

    Source:
        Xie et al., CL4SRec, ICDE 2022, Eq. (5).
    """
    places = some(batch, share(batch.lengths, rate))
    return changed(batch, batch.items.masked_fill(places, batch.num_items))


def reorder(batch: Batch, rate: float, *, reach_last: bool = True) -> Batch:
    """⌊rate n⌋ items in a row, shuffled.

    Source:
        Xie et al., CL4SRec, ICDE 2022, Eq. (6), as DuoRec's code draws it; with
        ``reach_last=False`` as CoSeRec's and ICLRec's do: the last item never moves.
    """
    count = share(batch.lengths, rate)
    start = uniform(batch.lengths - count + int(reach_last))
    steps = torch.arange(batch.items.shape[1], device=batch.items.device)
    chance = torch.rand(batch.items.shape, dtype=torch.float64, device=steps.device)
    within = start[:, None] + chance * count[:, None]
    key = torch.where(window(batch, start, count), within, steps.double())
    return changed(batch, batch.items.gather(1, key.argsort(dim=1, stable=True)))


def crop_mask_reorder(
    crop_keep: float, mask_rate: float, reorder_rate: float, *, reach_last: bool = True
) -> tuple[Operator, Operator, Operator]:
    """The three operators of CL4SRec at their rates, to draw from.

    Raises:
        OptionError: A rate is not from 0 to 1.
    """
    rates = {"mask_rate": mask_rate, "reorder_rate": reorder_rate}
    check_ranges(rates={"crop_keep": crop_keep, **rates})
    return (
        partial(crop, keep=crop_keep, reach_last=reach_last),
        partial(mask, rate=mask_rate),
        partial(reorder, rate=reorder_rate, reach_last=reach_last),
    )


def random_views(
    batch: Batch,
    operators: Sequence[Operator],
    *,
    distinct: bool = True,
    allowed: Bool[Tensor, "B n"] | None = None,
    keep_single: bool | None = None,
) -> tuple[Batch, Batch]:
    """Two views of every row, each by an operator drawn for it.

    Args:
        batch: Sequences.
        operators: What to draw from, each equally likely.
        distinct: Whether a row's two operators differ; otherwise each is drawn for
            itself.
        allowed: Which operators a row may draw, one at least (two, if ``distinct``);
            ``None``: all.
        keep_single: Whether rows of one item stay as they are; ``None``: as
            ``distinct``, with which the published code combines it.

    Raises:
        ValueError: Two different operators are asked for and there is one.
    """
    if distinct and len(operators) < 2:
        raise ValueError(
            f"two different operators are drawn from {len(operators)}; give two or "
            "more, or distinct=False"
        )
    shape = (len(batch), len(operators))
    barred = torch.zeros(shape, dtype=torch.bool, device=batch.items.device)
    barred = barred if allowed is None else ~allowed
    key = torch.rand(2, *shape, device=batch.items.device).masked_fill(barred, 2.0)
    first, second = key.argmin(dim=2)
    views = [operator(batch) for operator in operators]
    others = views if distinct else [operator(batch) for operator in operators]
    if distinct:
        second = key[0].topk(2, largest=False).indices[:, 1]
    if distinct if keep_single is None else keep_single:
        single = batch.lengths == 1
        first = first.masked_fill(single, len(operators))
        second = second.masked_fill(single, len(operators))
    return pick([*views, batch], first), pick([*others, batch], second)


def pick(views: Sequence[Batch], which: Int[Tensor, "B"]) -> Batch:
    """Row b of ``views[which[b]]``, for every b."""
    rows = torch.arange(len(which), device=which.device)
    items = torch.stack(_padded(views))[which, rows]
    lengths = torch.stack([view.lengths for view in views])[which, rows]
    return changed(views[0], items, lengths)


def join(*batches: Batch) -> Batch:
    """The rows of some batches, one after another, padded to the longest.

    Several views pass through an encoder at once, and ``chunk`` parts them again.
    """
    examples = [b.example for b in batches if b.example is not None]
    return Batch(
        torch.cat([batch.user for batch in batches]),
        torch.cat(_padded(batches)),
        torch.cat([batch.lengths for batch in batches]),
        batches[0].num_items,
        example=torch.cat(examples) if len(examples) == len(batches) else None,
    )


def ask_last(views: Batch, batch: Batch) -> Batch:
    """Views that are examples: each asks, at its end, for its row's last target.

    Args:
        views: Views of the batch's rows, once or several times over.
        batch: With targets, and negatives if they are needed.

    Raises:
        ValueError: The batch holds no targets.
    """
    if batch.targets is None:
        raise ValueError("this batch holds no targets that its views could ask for")
    rows = torch.arange(len(batch), device=batch.items.device)
    end = (batch.lengths - 1).clamp(min=0)
    copies = len(views) // len(batch)
    steps = torch.arange(views.items.shape[1], device=rows.device)
    ends = steps == views.lengths[:, None] - 1
    target = batch.targets[rows, end].repeat(copies)[:, None]
    targets = torch.where(ends, target, views.num_items)
    if batch.negatives is None:
        return replace(views, targets=targets)
    drawn = batch.negatives[rows, end].repeat(copies, 1)[:, None]
    negatives = torch.where(ends[..., None], drawn, views.num_items)
    return replace(views, targets=targets, negatives=negatives)


def changed(
    batch: Batch, items: Int[Tensor, "B L"], lengths: Int[Tensor, "B"] | None = None
) -> Batch:
    """The batch with other items, of which no targets are asked."""
    lengths = batch.lengths if lengths is None else lengths
    return replace(batch, items=items, lengths=lengths, targets=None, negatives=None)


def _padded(batches: Sequence[Batch]) -> list[Tensor]:
    """The items of each, all as wide as the widest."""
    width = max(batch.items.shape[1] for batch in batches)
    return [
        F.pad(b.items, (0, width - b.items.shape[1]), value=b.num_items)
        for b in batches
    ]
