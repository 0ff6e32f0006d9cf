"""Rank the targets among all items, with the history kept and with it excluded.

One pass over the scores of a block serves both protocols. A target's rank is one plus
the number of items above it: those of a strictly greater score, and those of an equal
score and a smaller id. To exclude the history, the few history items above the target
are subtracted; the catalogue is not read again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from graphseq.data.ragged import Ragged
from graphseq.evaluation.topk import NOTHING, decode, keys, top_keys


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's former mode is restored."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


class Ranked(NamedTuple):
    """Ranks and top lists of a block of users.

    Attributes:
        kept: Rank of each target among all items, from 1, (P,) float64.
        excluded: The same without the user's history; ``inf`` (a miss) for a target
            that is itself in the history, (P,) float64.
        kept_top: The first items, -1 where there are no more, (B, k).
        excluded_top: The same without the user's history, (B, k).
    """

    kept: Float[Tensor, "P"]
    excluded: Float[Tensor, "P"]
    kept_top: Int[Tensor, "B k"]
    excluded_top: Int[Tensor, "B k"]


def join(blocks: Sequence[Ranked]) -> Ranked:
    """The ranks and lists of consecutive blocks."""
    return Ranked(*(torch.cat(column) for column in zip(*blocks, strict=True)))


def rank_block(
    scores: Float[Tensor, "B W"],
    num_items: int,
    targets: Ragged,
    history: Ragged,
    k: int,
) -> Ranked:
    """Rank the targets of B users, and list each user's k best items.

    Args:
        scores: Scores of the items in the first V columns, -inf in the others; W is
            ``width(V)`` of :mod:`graphseq.models.scoring`. Overwritten: the history
            becomes -inf.
        num_items: V.
        targets: The held-out items of each user, each once.
        history: The history of each user, each item once.
        k: Length of the lists.

    Raises:
        FloatingPointError: A score is NaN; carries row and column as ``args[1:]``.
    """
    seen = history.padded(num_items).to(scores.device)
    seen_scores = scores.gather(1, seen)
    if seen_scores.isnan().any():
        row, column = seen_scores.isnan().nonzero()[0].tolist()
        raise FloatingPointError("a score is NaN", row, int(seen[row, column]))
    kept, excluded = target_ranks(scores, targets, seen, seen_scores)
    best = best_unseen(scores, num_items, seen, k)
    own = keys(seen_scores, seen).masked_fill(seen == num_items, NOTHING)
    both = torch.cat([best, own], dim=1).topk(best.shape[1]).values
    return Ranked(
        kept.cpu(),
        excluded.cpu(),
        _items(both).cpu(),
        _items(best).cpu(),
    )


def target_ranks(
    scores: Float[Tensor, "B W"],
    targets: Ragged,
    seen: Int[Tensor, "B H"],
    seen_scores: Float[Tensor, "B H"],
) -> tuple[Float[Tensor, "P"], Float[Tensor, "P"]]:
    """Ranks of the targets among all items, and without the history.

    Args:
        scores: As for :func:`rank_block`, without NaN; not changed.
        targets: The held-out items of each user, each once.
        seen: The history of each user, each item once, padded with V.
        seen_scores: Their scores.

    Returns:
        Both as in :class:`Ranked`, float64.
    """
    row, item = targets.rows.to(scores.device), targets.items.to(scores.device)
    kept = 1 + _above(scores, row, item)
    above, forbidden = _in_history(scores, row, item, seen, seen_scores)
    excluded = (kept - above).double().masked_fill(forbidden, torch.inf)
    return kept.double(), excluded


def best_unseen(
    scores: Float[Tensor, "B W"], num_items: int, seen: Int[Tensor, "B H"], k: int
) -> Int[Tensor, "B k"]:
    """Keys of the k best items that are not in the history, best first.

    Args:
        scores: As for :func:`rank_block`; the history becomes -inf.
        num_items: V.
        seen: The history of each user, each item once, padded with V.
        k: Length of the lists, padded with ``topk.NOTHING``.

    Raises:
        FloatingPointError: A score is NaN; carries row and column as ``args[1:]``.
    """
    scores.scatter_(1, seen, -torch.inf)
    best = top_keys(scores, min(k, num_items))
    # other items of score -inf are no candidates either: ids would decide between them
    best = best.masked_fill(decode(best)[1] == -torch.inf, NOTHING)
    candidates = num_items - (seen < num_items).sum(dim=1, keepdim=True)
    ranks = torch.arange(best.shape[1], device=scores.device)
    return best.masked_fill(ranks >= candidates, NOTHING)


def _items(keys: Int[Tensor, "B k"]) -> Int[Tensor, "B k"]:
    return decode(keys)[0].masked_fill(keys == NOTHING, -1)


def _above(
    scores: Float[Tensor, "B W"], row: Int[Tensor, "P"], item: Int[Tensor, "P"]
) -> Int[Tensor, "P"]:
    """Items above each target: greater scores, then smaller ids among the equal."""
    one_each = len(row) == len(scores) and bool((row.diff() == 1).all())
    found, marks = torch.empty_like(row), torch.empty_like(scores)
    rows = scores if one_each else torch.empty_like(scores)
    for part in _chunks(row, len(scores)):
        n = len(row[part])
        if not one_each:
            torch.index_select(scores, 0, row[part], out=rows[:n])
        found[part] = _count_above(rows[:n], item[part], marks[:n])
    return found


def _chunks(row: Int[Tensor, "P"], step: int) -> Iterator[slice]:
    """Targets in chunks: memory does not grow with the number of targets of a user.

    Every chunk is gathered into the same buffer. Buffers allocated for each chunk left
    holes into which the next did not fit: 3 GB instead of 20 MB.
    """
    return (slice(start, start + step) for start in range(0, len(row), step))


def _count_above(
    scores: Float[Tensor, "P W"], item: Int[Tensor, "P"], marks: Float[Tensor, "P W"]
) -> Int[Tensor, "P"]:
    """Comparisons are written as floats, which torch sums ten times faster than bool.

    A float32 sum of ones is exact below 2^24 columns; wider blocks add in float64.
    """
    exact = torch.float32 if scores.shape[1] < 2**24 else torch.float64
    own = scores.gather(1, item[:, None])
    greater = torch.gt(scores, own, out=marks).sum(dim=1, dtype=exact).long()
    equal = torch.eq(scores, own, out=marks).sum(dim=1, dtype=exact).long()
    tied = (equal > 1).nonzero().squeeze(1)
    if len(tied):
        before = torch.arange(scores.shape[1], device=item.device) < item[tied, None]
        ties = marks[tied].masked_fill_(~before, 0.0).sum(dim=1, dtype=exact)
        greater[tied] += ties.long()
    return greater


def _in_history(
    scores: Float[Tensor, "B W"],
    row: Int[Tensor, "P"],
    item: Int[Tensor, "P"],
    seen: Int[Tensor, "B H"],
    seen_scores: Float[Tensor, "B H"],
) -> tuple[Int[Tensor, "P"], Bool[Tensor, "P"]]:
    """History items above each target, by the same rule; whether it is one itself."""
    above, forbidden = torch.empty_like(row), torch.empty_like(row, dtype=torch.bool)
    ids, others = torch.empty_like(seen), torch.empty_like(seen_scores)
    for part in _chunks(row, len(scores)):
        n, target = len(row[part]), item[part, None]
        torch.index_select(seen, 0, row[part], out=ids[:n])
        torch.index_select(seen_scores, 0, row[part], out=others[:n])
        own = scores[row[part], item[part]][:, None]
        before = (others[:n] == own).logical_and_(ids[:n] < target)
        above[part] = before.logical_or_(others[:n] > own).sum(dim=1)
        forbidden[part] = (ids[:n] == target).any(dim=1)
    return above, forbidden
