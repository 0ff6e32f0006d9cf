"""How important every item of every training prefix is, by what the model says now."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone
from graphseq.nn import importance
from graphseq.nn.encoder import Encoder
from graphseq.nn.importance import Method
from graphseq.nn.transformer import Transformer
from graphseq.sequences.batch import Batch
from graphseq.sequences.same_target import SameTargetIndex

BY_MODEL: dict[str, Callable[..., Tensor]] = {
    "saliency": importance.saliency,
    "occlusion": importance.occlusion,
    "gradients": importance.integrated_gradients,
}
ROWS = 1024  # prefixes that are explained at a time


def check_method(method: Method, encoder: Encoder) -> None:
    """Refuse attention of an encoder that has none.

    Raises:
        ConfigError: As said.
    """
    if method == "attention" and not isinstance(encoder, Transformer):
        raise ConfigError(
            "explanation='attention' reads the attention of a Transformer, and the "
            f"encoder is a {type(encoder).__name__}; take saliency or occlusion"
        )


def explain(
    backbone: Backbone,
    table: Float[Tensor, "V D"],
    batch: Batch,
    method: Method,
    count: Int[Tensor, "V"],
) -> Float[Tensor, "B L"]:
    """Scores of a batch's places by a method; zero at padded ones.

    Explained is the score of the item that the model puts first.

    Args:
        backbone: The model.
        table: The item vectors, as constants.
        batch: Sequences.
        method: How they are explained.
        count: Events of each item, for ``popularity``.
    """
    mask = batch.mask
    if method == "popularity":
        return importance.popularity(batch.items, mask, count)
    if method == "random":
        return importance.random_scores(mask)
    x = backbone.read(table, batch).detach()
    if method == "attention":
        encoder: Any = backbone.encoder
        attention: Tensor = encoder.attention(x, mask)
        return attention

    def best(x: Tensor, mask: Tensor) -> Tensor:
        return importance.top_score(backbone.encoder.last(x, mask), table)

    return BY_MODEL[method](best, x, mask)


@torch.no_grad()
def explain_all(
    backbone: Backbone,
    table: Float[Tensor, "V D"],
    index: SameTargetIndex,
    method: Method,
) -> Float[Tensor, "P"]:
    """Scores of the places of all training prefixes, one prefix after another."""
    length = index.examples.length
    count = torch.bincount(index.flat, minlength=index.num_items)
    scores = torch.zeros(int(length.sum()), dtype=table.dtype, device=table.device)
    for rows in length.argsort().split(ROWS):
        batch = index.gather(rows)
        found = explain(backbone, table, batch, method, count).to(scores.dtype)
        scores[_places(length, rows, batch.mask)[batch.mask]] = found[batch.mask]
    return scores


def importances(
    scores: Float[Tensor, "P"],
    index: SameTargetIndex,
    rows: Int[Tensor, "B"],
    batch: Batch,
) -> Float[Tensor, "B L"]:
    """The scores of some prefixes' places; zero at padded ones.

    Args:
        scores: Of all prefixes, from :func:`explain_all`.
        index: Of the prefixes.
        rows: Which of them.
        batch: Their sequences.
    """
    place = _places(index.examples.length, rows, batch.mask)
    return scores[place.clamp(max=len(scores) - 1)] * batch.mask


def shares(
    scores: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"], *, clip: bool
) -> Float[Tensor, "B L"]:
    """Eq. (5): each score over the sum of its row's; evenly, where all are zero.

    Args:
        scores: Of every place, of either sign.
        mask: True at real items.
        clip: Whether negative scores count as zero; otherwise by their absolute value.
    """
    worth = scores.clamp(min=0) if clip else scores.abs()
    total = worth.sum(dim=1, keepdim=True)
    even = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(total > 0, worth / total, even)


def _places(length: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
    """Where the places of some examples stand among those of all."""
    start = length.cumsum(0) - length
    return start[rows][:, None] + torch.arange(mask.shape[1], device=rows.device)
