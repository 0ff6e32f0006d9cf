"""Losses of sequences with K encodings each."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def seq2item(
    encodings: Float[Tensor, "B K D"], following: Float[Tensor, "B D"]
) -> Float[Tensor, ""]:
    r"""Contrast of the best encoding with the following item, against other items.

    .. math:: -\frac{1}{B} \sum_b \log_2
        \frac{\max_k \exp(φ_{bk} \cdot h_b / \sqrt{D})}
             {\sum_{k, b'} \exp(φ_{bk} \cdot h_{b'} / \sqrt{D})}

    Source:
        Ma et al., "Disentangled Self-Supervision in Sequential Recommenders", KDD
        2020, Eq. (3).

    Departs from the source:
        The mean over the batch, not the sum; the candidates are the items of the batch.

    Args:
        encodings: K encodings of each sequence, φ.
        following: Vector of the item after each sequence, h.
    """
    width = encodings.shape[2] ** 0.5
    logits = torch.einsum("bkd,cd->bkc", encodings, following) / width
    best = logits.diagonal(dim1=0, dim2=2).amax(dim=0)
    values: Tensor = logits.flatten(1).logsumexp(dim=1) - best
    return values.mean() / math.log(2)


def seq2seq(
    past: Float[Tensor, "B K D"],
    future: Float[Tensor, "B K D"],
    keep: float = 0.5,
) -> Float[Tensor, ""]:
    r"""Contrast of past and future encodings for the same prototype.

    .. math:: s_{bk} = -\log_2
        \frac{\exp(φ_{bk} \cdot ψ_{bk} / \sqrt{D})}
             {\sum_{b', k'} \exp(φ_{bk} \cdot ψ_{b'k'} / \sqrt{D})}

    Only the :math:`⌊λ B K⌋` smallest losses count: past and future need not share each
    intention.

    Source:
        Ma et al., "Disentangled Self-Supervision in Sequential Recommenders", KDD
        2020, Eqs. (5)-(6).

    Departs from the source:
        The sum is divided by B, as in :func:`seq2item`.

    Args:
        past: K encodings of the sequence before the cut, φ.
        future: K encodings of the sequence after it, ψ.
        keep: λ, the fraction of losses that count.
    """
    rows, width = past.flatten(0, 1), past.shape[2] ** 0.5
    logits = rows @ future.flatten(0, 1).T / width
    values: Tensor = (logits.logsumexp(dim=1) - logits.diagonal()) / math.log(2)
    smallest = values.topk(int(keep * len(values)), largest=False).values
    return smallest.sum() / len(past)
