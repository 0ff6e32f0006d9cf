"""Losses of S3-Rec's pre-training tasks."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def double_sigmoid(
    positive: Float[Tensor, "N"], negative: Float[Tensor, "N"]
) -> Float[Tensor, ""]:
    r"""Ranks a true score above a false one: :math:`-\sum \log σ(σ(s^+) - σ(s^-))`.

    With the sigmoid applied twice, a term is between 0.3133 and 1.3133: pairs that are
    already well separated have small gradients.

    Source:
        The authors' code of Zhou et al., S3-Rec, CIKM 2020, for the masked item
        (Eq. (6)) and for the segment (Eq. (10)).

    Departs from the source:
        The paper's InfoNCE compares with many negatives; its code, as here, with one.

    Args:
        positive: Score of the item or segment that was masked.
        negative: Score of another one.

    Returns:
        The sum over the rows, to which the weights of S3-Rec's tasks refer.
    """
    return F.softplus(negative.sigmoid() - positive.sigmoid()).sum()


def attribute_loss(
    states: Float[Tensor, "N D"],
    attributes: Float[Tensor, "A D"],
    owned: Float[Tensor, "N D"],
) -> Float[Tensor, ""]:
    r"""Binary cross-entropy over all A attributes of an item.

    .. math:: \sum_n \Bigl(\sum_a \log(1 + e^{s_n \cdot v_a})
        - s_n \cdot \sum_{a \in A_n} v_a\Bigr)

    which is the cross-entropy of :math:`σ(s_n \cdot v_a)` against 1 for the attributes
    :math:`A_n` of the item at n and 0 for the others, without an (N, A) target matrix.

    Source:
        Zhou et al., S3-Rec, CIKM 2020, Eqs. (5) and (8), as its code computes them.

    Args:
        states: State of each position, after the task's own linear map.
        attributes: Vector of each attribute, v.
        owned: Sum of the attribute vectors of the item at each position.

    Returns:
        The sum over positions and attributes.
    """
    return F.softplus(states @ attributes.T).sum() - (states * owned).sum()
