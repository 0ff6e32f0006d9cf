"""Views that lost what matters: they are drawn together, and away from good views."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Denominator = Literal["code", "paper"]


def negative_contrast(
    first: Float[Tensor, "B D"],
    second: Float[Tensor, "B D"],
    negative: Float[Tensor, "B D"],
    *,
    temperature: float = 0.1,
    denominator: Denominator = "code",
) -> Float[Tensor, ""]:
    r"""EC4SRec's contrast of negative views with each other, and with positive ones.

    With :math:`Ψ(x, y) = \exp(x · y / τ)`, the positive views p of all sequences and
    their negative views n, it is the mean over the anchors u of

    .. math:: -\frac{1}{B - 1} \sum_{v \ne u} \log \frac{Ψ(n_u, n_v)}
        {\sum_p Ψ(n_u, p) + \sum_{w \ne u} Ψ(n_u, n_w)}

    Source:
        Wang et al., EC4SRec, CIKM 2022, the term L_cl-; ``supcon_fake`` in its code.

    Departs from the source:
        With ``denominator="paper"``, of the negative views only v stands in the
        denominator. For two sequences both are the same.

    Args:
        first: A positive view of each sequence.
        second: Another.
        negative: Its negative view.
        temperature: τ.
        denominator: Which negative views stand in it.

    Returns:
        The mean over the anchors; 0 for one row.
    """
    own = torch.eye(len(negative), dtype=torch.bool, device=negative.device)
    away = negative @ torch.cat([first, second]).T / temperature
    together = negative @ negative.T / temperature
    if denominator == "code":
        others = torch.cat([away, together.masked_fill(own, -torch.inf)], dim=1)
        losses = others.logsumexp(dim=1, keepdim=True) - together
    else:
        mass = away.logsumexp(dim=1, keepdim=True)
        losses = torch.logaddexp(mass, together) - together
    pairs = max(1, len(own) * (len(own) - 1))
    return losses.masked_fill(own, 0.0).sum() / pairs
