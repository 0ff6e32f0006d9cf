"""Importance of every item of every training prefix, by the model's own scores."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from graphseq.models.backbone import Backbone
from graphseq.nn import importance
from graphseq.nn.importance import Method
from graphseq.sequences.batch import Batch
from graphseq.sequences.same_target import SameTargetIndex

BY_MODEL: dict[str, Callable[..., Tensor]] = {
    "saliency": importance.saliency,
    "occlusion": importance.occlusion,
    "gradients": importance.integrated_gradients,
}
ROWS = 1024  # prefixes that are explained at a time


def explain(
    backbone: Backbone,
    items: Float[Tensor, "V D"],
    batch: Batch,
    method: Method,
    count: Int[Tensor, "V"],
    targets: Int[Tensor, "B"] | None = None,
) -> Float[Tensor, "B L"]:
    """Importance of a batch's positions; zero at padding.

    Args:
        backbone: The model.
        items: The item vectors, as constants.
        batch: Sequences.
        method: How they are explained.
        count: Events of each item, for ``popularity``.
        targets: The item of each row whose score is explained; ``None``: the one that
            the model ranks first, again for every change of the sequence.
    """
    mask = batch.mask
    if method == "popularity":
        return importance.popularity(batch.items, mask, count)
    if method == "random":
        return importance.random_scores(mask)
    x = backbone.embed(items, batch).detach()
    if method == "attention":
        encoder: Any = backbone.encoder
        attention: Tensor = encoder.attention(x, mask)
        return attention

    def score(x: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
        states = backbone.encoder.last(x, mask)
        if targets is None:
            return importance.top_score(states, items)
        return (states * items[targets[rows]]).sum(dim=1)

    return BY_MODEL[method](score, x, mask)


@torch.no_grad()
def explain_all(
    backbone: Backbone,
    items: Float[Tensor, "V D"],
    index: SameTargetIndex,
    method: Method,
    *,
    of_targets: bool = False,
) -> Float[Tensor, "P"]:
    """Importance of the positions of all training prefixes, concatenated.

    Args:
        backbone: The model.
        items: The item vectors, as constants.
        index: The prefixes.
        method: How they are explained.
        of_targets: Explain the score of each prefix's target, not of the first item.
    """
    length = index.examples.length
    count = torch.bincount(index.flat, minlength=index.num_items)
    scores = torch.zeros(int(length.sum()), dtype=items.dtype, device=items.device)
    for rows in length.argsort().split(ROWS):
        batch = index.gather(rows)
        targets = index.target[rows] if of_targets else None
        found = explain(backbone, items, batch, method, count, targets).to(scores.dtype)
        scores[_positions(length, rows, batch.mask)[batch.mask]] = found[batch.mask]
    return scores


def importances(
    scores: Float[Tensor, "P"],
    index: SameTargetIndex,
    rows: Int[Tensor, "B"],
    batch: Batch,
) -> Float[Tensor, "B L"]:
    """The scores of some prefixes' positions; zero at padding.

    Args:
        scores: Of all prefixes, from :func:`explain_all`.
        index: The prefixes.
        rows: Indices of the prefixes.
        batch: Their sequences.
    """
    position = _positions(index.examples.length, rows, batch.mask)
    return scores[position.clamp(max=len(scores) - 1)] * batch.mask


def normalise(
    scores: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"], *, clip: bool
) -> Float[Tensor, "B L"]:
    """Eq. (5): each score over the sum of its row; equal if all are zero.

    Args:
        scores: Of every position, of either sign.
        mask: True at real items.
        clip: Whether negative scores count as zero; otherwise by their absolute value.
    """
    size = scores.clamp(min=0) if clip else scores.abs()
    total = size.sum(dim=1, keepdim=True)
    equal = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(total > 0, size / total, equal)


def _positions(length: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
    """Indices of some prefixes' positions among those of all prefixes."""
    start = length.cumsum(0) - length
    return start[rows][:, None] + torch.arange(mask.shape[1], device=rows.device)
