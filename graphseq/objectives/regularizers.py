"""Terms that shape vectors, and compare no view with what it should be."""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Scope = Literal["anchor", "batch"]


def contrastive_regularization(
    first: Float[Tensor, "B D"],
    second: Float[Tensor, "B D"],
    *,
    scope: Scope = "anchor",
) -> Float[Tensor, ""]:
    r"""MCLRec's contrastive regularisation R.

    Of the 2B rows of both views together, :math:`p_i` is the inner product of row i
    with its other view and :math:`n_{ij}` those with the 2(B - 1) other rows. With
    :math:`o_{\min} = \min(p, \max n)` and :math:`o_{\max} = \max(p, \max n)`,

    .. math:: R = \mathrm{mean}\,[p_i - o_{\min}]_+
        + \mathrm{mean}\,[o_{\max} - n_{ij}]_+

    in which no :math:`[·]_+` ever binds. With bounds of each anchor (``anchor``) it is

    .. math:: \frac{1}{2B} \sum_i \left(p_i - \bar n_i
        + \left|p_i - \max_j n_{ij}\right|\right)

    and with one pair of bounds for the whole (``batch``)

    .. math:: \bar p - \bar n + \left|\min p - \max n\right| .

    It works against the contrast, whose positives it draws down to the nearest
    negative.

    Source:
        Qin et al., MCLRec, SIGIR 2023, Eqs. (11)-(13), which are ``batch``; the
        authors' code is ``anchor``.

    Args:
        first: First view.
        second: Second view; row i is of the same thing as row i of ``first``.
        scope: Over what the bounds are taken.

    Returns:
        R; 0 for one row, which has nothing to be separated from.

    Raises:
        ValueError: ``scope`` is neither.
    """
    if scope not in get_args(Scope):
        raise ValueError(f"separation knows {get_args(Scope)}; got scope={scope!r}")
    size = len(first)
    if size == 1:
        return (first * second).sum() * 0
    rows = torch.cat([first, second])
    scores = rows @ rows.T
    places = torch.arange(2 * size, device=rows.device)
    partner = torch.cat([places[size:], places[:size]])
    p = scores[places, partner]
    other = torch.ones_like(scores, dtype=torch.bool)
    other[places, places] = other[places, partner] = False
    hardest = scores.masked_fill(~other, -torch.inf).amax(dim=1)
    # every row has as many others: the mean of the rows' means is that of all
    mean = (scores * other).sum() / other.sum()
    if scope == "anchor":
        return p.mean() - mean + (p - hardest).abs().mean()
    return p.mean() - mean + (p.amin() - hardest.amax()).abs()
