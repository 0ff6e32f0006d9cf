"""The loss of a batch's targets: a softmax, or each target against sampled items."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from graphseq.objectives import bce, cross_entropy, gbce, sampled_softmax
from graphseq.sequences.batch import Batch

Loss = Literal["ce", "sampled", "bce", "gbce"]


def target_loss(
    loss: Loss,
    states: Float[Tensor, "N D"],
    items: Float[Tensor, "V D"],
    batch: Batch,
    num_sampled: int = 0,
) -> Float[Tensor, ""]:
    """The mean loss over the N targets of a batch.

    Args:
        loss: ``ce``, a softmax over all items; ``sampled``, over the target and items
            that are sampled uniformly for the whole batch, so that the normaliser is
            that of all items on average; ``bce`` or ``gbce``, each target against the
            negatives of the batch.
        states: The state at the position of each target, row by row.
        items: The item vectors.
        batch: With targets, and with negatives for ``bce`` and ``gbce``.
        num_sampled: Items to sample, for ``sampled``.
    """
    targets = batch.target_items()
    if loss == "ce":
        return cross_entropy(states, items, targets)
    if loss == "sampled":
        number = len(items)
        drawn = torch.randint(number, (num_sampled,), device=items.device)
        expected = math.log(num_sampled / number)  # count of each item
        return sampled_softmax(
            states,
            items,
            targets,
            drawn,
            log_expected_target=states.new_zeros(len(states)),
            log_expected_negative=states.new_full((len(drawn),), expected),
        )
    positive = (states * items[targets]).sum(dim=1)
    negatives = items[batch.target_negatives()]
    negative = torch.einsum("nd,nkd->nk", states, negatives)
    if loss == "bce":
        return bce(positive, negative)
    return gbce(positive, negative, num_items=len(items))
