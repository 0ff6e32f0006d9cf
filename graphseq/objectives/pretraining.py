"""What a sequence says of its own hidden parts: the pre-training tasks of S3-Rec."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def double_sigmoid(
    positive: Float[Tensor, "N"], negative: Float[Tensor, "N"]
) -> Float[Tensor, ""]:
    r"""A true score above a false one: :math:`-\sum \log σ(σ(s^+) - σ(s^-))`.

    With the sigmoid taken twice, a term lies between 0.3133 and 1.3133: what is already
    told apart well is not pushed further.

    Source:
        The authors' code of Zhou et al., S3-Rec, CIKM 2020, for the masked item
        (Eq. (6)) and for the segment (Eq. (10)).

    Departs from the source:
        The paper's InfoNCE compares with many negatives; its code, as here, with one.

    Args:
        positive: Score of what stood there.
        negative: Score of something else.

    Returns:
        The sum over the rows: the weights of S3-Rec's tasks are for sums.
    """
    return F.softplus(negative.sigmoid() - positive.sigmoid()).sum()


def attribute_loss(
    states: Float[Tensor, "N D"],
    attributes: Float[Tensor, "A D"],
    owned: Float[Tensor, "N D"],
) -> Float[Tensor, ""]:
    r"""Which attributes the item has: binary cross-entropy over all A of them.

    .. math:: \sum_n \Bigl(\sum_a \log(1 + e^{s_n \cdot v_a})
        - s_n \cdot \sum_{a \in A_n} v_a\Bigr)

    which is the cross-entropy of :math:`σ(s_n \cdot v_a)` against 1 for the attributes
    :math:`A_n` of the item at n and 0 for the others, without an (N, A) table of them.

    Source:
        Zhou et al., S3-Rec, CIKM 2020, Eqs. (5) and (8), as its code computes them.

    Args:
        states: Of a place, after the task's own map.
        attributes: Vector of every attribute, v.
        owned: Sum of the vectors of the attributes of the item at each place.

    Returns:
        The sum over places and attributes.
    """
    return F.softplus(states @ attributes.T).sum() - (states * owned).sum()
