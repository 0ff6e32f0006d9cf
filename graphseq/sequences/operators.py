"""Operators on sequences (crop, mask, reorder, insert, substitute) and random views.

Every function takes a batch and returns a new one, without targets, whose rows belong
to the same users in the same order; its argument is left unchanged. Randomness comes
from torch's global generator, on the batch's device.

The two families of published code draw windows differently: in one a crop may end with
the last item, in the other it may not (``reach_last``).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from graphseq.sequences.batch import Batch
from graphseq.sequences.rows import last_targets, with_items

Operator = Callable[[Batch], Batch]


def crop(batch: Batch, keep: float, *, reach_last: bool = True) -> Batch:
    """Keep a random contiguous window of ⌊keep n⌋ of n items, and at least one.

    Source:
        Xie et al., CL4SRec, ICDE 2022, Eq. (4), as drawn in DuoRec's code; with
        ``reach_last=False`` as in CoSeRec's and ICLRec's.

    Args:
        batch: Sequences.
        keep: Fraction of the items.
        reach_last: Whether every window is equally likely. Otherwise the window that
            ends with the last item is excluded, where 1 ≤ ⌊keep n⌋ < n.
    """
    exact = fraction_of(batch.lengths, keep)
    kept = exact.clamp(min=1).minimum(batch.lengths)
    starts = batch.lengths - (kept - 1 if reach_last else exact)
    start = random_index(starts)
    width = max(1, min(int(keep * batch.items.shape[1]), batch.items.shape[1]))
    steps = torch.arange(width, device=batch.items.device)
    position = (start[:, None] + steps).clamp(max=batch.items.shape[1] - 1)
    outside = steps >= kept[:, None]
    items = batch.items.gather(1, position).masked_fill(outside, batch.num_items)
    return with_items(batch, items, kept)


def mask(batch: Batch, rate: float) -> Batch:
    """Mask ⌊rate n⌋ random positions: they hold the id V, within the row's length.

    Source:
        Xie et al., CL4SRec, ICDE 2022, Eq. (5).
    """
    masked = random_positions(batch, fraction_of(batch.lengths, rate))
    return with_items(batch, batch.items.masked_fill(masked, batch.num_items))


def reorder(batch: Batch, rate: float, *, reach_last: bool = True) -> Batch:
    """Shuffle ⌊rate n⌋ consecutive items.

    Source:
        Xie et al., CL4SRec, ICDE 2022, Eq. (6), as drawn in DuoRec's code; with
        ``reach_last=False`` as in CoSeRec's and ICLRec's: the last item never moves.
    """
    count = fraction_of(batch.lengths, rate)
    start = random_index(batch.lengths - count + int(reach_last))
    steps = torch.arange(batch.items.shape[1], device=batch.items.device)
    chance = torch.rand(batch.items.shape, dtype=torch.float64, device=steps.device)
    within = start[:, None] + chance * count[:, None]
    key = torch.where(window_mask(batch, start, count), within, steps.double())
    return with_items(batch, batch.items.gather(1, key.argsort(dim=1, stable=True)))


def substitute(batch: Batch, rate: float, similar: Int[Tensor, "V"]) -> Batch:
    """Replace ⌊rate n⌋ items, and at least one, by a similar item.

    Source:
        Liu et al., CoSeRec, 2021, section 3.2.1.

    Args:
        batch: Sequences.
        rate: Fraction of the items.
        similar: The item most similar to each; V where there is none, in which case a
            random item is used.
    """
    chosen = random_positions(batch, fraction_of(batch.lengths, rate, at_least=1))
    items = torch.where(chosen, _similar_items(batch, similar), batch.items)
    return with_items(batch, items)


def insert(batch: Batch, rate: float, similar: Int[Tensor, "V"]) -> Batch:
    """Insert a similar item before ⌊rate n⌋ items, and at least one.

    Source:
        Liu et al., CoSeRec, 2021, section 3.2.1, as in its code.

    Args:
        batch: Sequences.
        rate: Fraction of the items.
        similar: As in :func:`substitute`.

    Returns:
        Rows of up to ⌊(1 + rate) L⌋ items.
    """
    n, number = batch.lengths, fraction_of(batch.lengths, rate, at_least=1)
    chosen = random_positions(batch, number)
    longest = batch.items.shape[1]
    width = longest + max(1, min(int(rate * longest), longest))
    padding = width - longest
    # Old items move right; inserted items fill the positions that this frees.
    moved = torch.arange(longest, device=n.device) + chosen.long().cumsum(dim=1)
    inserted = torch.where(chosen, moved - 1, width)  # column `width` is cut off
    items = F.pad(batch.items, (0, padding + 1), value=batch.num_items)
    old = torch.where(batch.mask, moved, width)
    items = torch.full_like(items, batch.num_items).scatter(1, old, batch.items)
    items = items.scatter(1, inserted, _similar_items(batch, similar))[:, :width]
    return with_items(batch, items, n + number)


def _similar_items(batch: Batch, similar: Tensor) -> Tensor:
    """The item similar to the one at each position; a random item if none is."""
    none = similar.new_full((1,), batch.num_items)
    found = torch.cat([similar, none])[batch.items]
    drawn = torch.randint_like(found, max(1, batch.num_items))
    return torch.where(found == batch.num_items, drawn, found)


def random_views(
    batch: Batch,
    operators: Sequence[Operator],
    *,
    distinct: bool = True,
    allowed: Bool[Tensor, "B n"] | None = None,
    keep_single: bool | None = None,
) -> tuple[Batch, Batch]:
    """Two views of every row, each made by an operator drawn for the row.

    Args:
        batch: Sequences.
        operators: Operators to draw from, each equally likely.
        distinct: Whether a row's two operators differ; otherwise they are drawn
            independently.
        allowed: The operators that each row may draw, at least one (two, if
            ``distinct``); ``None``: all.
        keep_single: Whether rows of one item stay as they are; ``None``: as
            ``distinct``, with which the published code combines it.

    Raises:
        ValueError: Two different operators are requested and there is only one.
    """
    if distinct and len(operators) < 2:
        raise ValueError(
            f"two different operators cannot be drawn from {len(operators)}; pass two "
            "or more, or distinct=False"
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
    return with_items(views[0], items, lengths)


def join(*batches: Batch) -> Batch:
    """The rows of several batches, concatenated and padded to the longest row.

    Several views pass through an encoder at once; ``chunk`` separates them again.
    """
    examples = [b.example for b in batches if b.example is not None]
    return Batch(
        torch.cat([batch.user for batch in batches]),
        torch.cat(_padded(batches)),
        torch.cat([batch.lengths for batch in batches]),
        batches[0].num_items,
        example=torch.cat(examples) if len(examples) == len(batches) else None,
    )


def with_last_targets(views: Batch, batch: Batch) -> Batch:
    """Views as training examples: each predicts the last target of its row.

    Args:
        views: Views of the batch's rows, one or several of each.
        batch: With targets, and negatives if the loss needs them.

    Raises:
        ValueError: The batch has no targets.
    """
    copies = len(views) // len(batch)
    steps = torch.arange(views.items.shape[1], device=views.items.device)
    at_end = steps == views.lengths[:, None] - 1
    target = last_targets(batch).repeat(copies)[:, None]
    targets = torch.where(at_end, target, views.num_items)
    if batch.negatives is None:
        return replace(views, targets=targets)
    rows = torch.arange(len(batch), device=steps.device)
    last = (batch.lengths - 1).clamp(min=0)
    sampled = batch.negatives[rows, last].repeat(copies, 1)[:, None]
    negatives = torch.where(at_end[..., None], sampled, views.num_items)
    return replace(views, targets=targets, negatives=negatives)


def fraction_of(
    lengths: Int[Tensor, "B"], fraction: float, *, at_least: int = 0
) -> Int[Tensor, "B"]:
    """⌊fraction n⌋ of n items, ``at_least`` that many, and never more than n.

    In double precision, equal to ``int(fraction * n)``.
    """
    count = (lengths.double() * fraction).long()
    return count.clamp(min=at_least).minimum(lengths)


def random_index(count: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
    """A random number from 0 to count - 1 for every row; 0 where the count is 0."""
    chance = torch.rand(count.shape, dtype=torch.float64, device=count.device)
    return (chance * count).long().minimum(count - 1).clamp(min=0)


def random_positions(batch: Batch, count: Int[Tensor, "B"]) -> Bool[Tensor, "B L"]:
    """``count`` distinct positions of every row; all sets are equally likely."""
    key = torch.rand(batch.items.shape, dtype=torch.float64, device=batch.items.device)
    return lowest_positions(key, batch.mask, count)


def lowest_positions(
    key: Float[Tensor, "B L"], among: Bool[Tensor, "B L"], count: Int[Tensor, "B"]
) -> Bool[Tensor, "B L"]:
    """In every row, the ``count`` positions of ``among`` with the lowest keys.

    Of equal keys, the earlier position counts as lower.
    """
    order = key.masked_fill(~among, torch.inf).argsort(dim=1, stable=True)
    return (order.argsort(dim=1) < count[:, None]) & among


def window_mask(
    batch: Batch, start: Int[Tensor, "B"], count: Int[Tensor, "B"]
) -> Bool[Tensor, "B L"]:
    """The positions ``start … start + count - 1`` of every row."""
    steps = torch.arange(batch.items.shape[1], device=batch.items.device)
    return (steps >= start[:, None]) & (steps < (start + count)[:, None])


def _padded(batches: Sequence[Batch]) -> list[Tensor]:
    """The items of each batch, padded to the widest."""
    width = max(batch.items.shape[1] for batch in batches)
    return [
        F.pad(b.items, (0, width - b.items.shape[1]), value=b.num_items)
        for b in batches
    ]
