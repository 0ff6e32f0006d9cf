"""Contrast between two views of the same things."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

Scheme = Literal["symmetric", "one_sided", "cross_only"]
Similarity = Literal["dot", "cosine"]


def same_id_mask(identity: Int[Tensor, "B"]) -> Bool[Tensor, "B B"]:
    """Pairs of rows that show the same thing, for ``exclude`` of :func:`nt_xent`."""
    return identity[:, None] == identity[None, :]


def nt_xent(
    anchor: Float[Tensor, "B D"],
    positive: Float[Tensor, "B D"],
    *,
    temperature: float = 1.0,
    similarity: Similarity = "dot",
    scheme: Scheme = "symmetric",
    exclude: Bool[Tensor, "B B"] | None = None,
) -> Float[Tensor, ""]:
    r"""Normalised, temperature-scaled cross-entropy between two views.

    Row i of one view is the positive of row i of the other. With
    :math:`Ψ(x, y) = \exp(\mathrm{sim}(x, y) / τ)`, the loss of anchor i is

    .. math:: -\log \frac{Ψ(a_i, p_i)}
        {\sum_j Ψ(a_i, p_j) + \sum_{j \ne i} Ψ(a_i, a_j)}

    Schemes: ``one_sided`` anchors the first view only; ``symmetric`` averages over both
    views as anchors; ``cross_only`` anchors the first view and drops the second sum.

    Source:
        Chen et al., SimCLR, 2020 (``symmetric``); Wang et al., MCLSR, CIKM 2022,
        Eqs. (8) and (11) (``one_sided``).

    Departs from the source:
        Always the mean over the anchors: the papers' sums would tie the weight of the
        term to the batch size.

    Args:
        anchor: First view.
        positive: Second view.
        temperature: :math:`τ > 0`; smaller looks harder at near negatives.
        similarity: ``cosine`` treats a zero vector as similar to nothing.
        scheme: Which rows are anchors, and what each is compared with.
        exclude: Pairs (i, j) that are not negatives of each other, in either view. The
            diagonal is ignored: a row's own positive always counts.

    Returns:
        The mean over the anchors; 0 for one row.

    Raises:
        ValueError: The views differ in shape, or there is no such option.
    """
    if scheme not in get_args(Scheme) or similarity not in get_args(Similarity):
        raise ValueError(
            f"nt_xent has the schemes {get_args(Scheme)} and the similarities "
            f"{get_args(Similarity)}; got scheme={scheme!r}, similarity={similarity!r}"
        )
    if anchor.shape != positive.shape:  # (3, D) against (4, D) would pass unnoticed
        raise ValueError(
            "nt_xent pairs row i with row i, so both views need one shape; got "
            f"anchor {tuple(anchor.shape)} and positive {tuple(positive.shape)}"
        )
    if similarity == "cosine":
        anchor, positive = F.normalize(anchor, dim=1), F.normalize(positive, dim=1)
    own = torch.eye(len(anchor), dtype=torch.bool, device=anchor.device)
    drop = own if exclude is None else own | exclude
    cross = anchor @ positive.T / temperature
    view = None if scheme == "cross_only" else anchor
    loss = _anchored(cross, view, temperature, drop)
    if scheme == "symmetric":
        loss = (loss + _anchored(cross.T, positive, temperature, drop.T)) / 2
    return loss


def _anchored(
    cross: Tensor, view: Tensor | None, temperature: float, drop: Tensor
) -> Tensor:
    """Mean loss of one view's rows as anchors; ``drop`` includes the diagonal."""
    own = torch.eye(len(cross), dtype=torch.bool, device=cross.device)
    logits = cross.masked_fill(drop & ~own, -torch.inf)
    if view is not None:
        within = (view @ view.T / temperature).masked_fill(drop, -torch.inf)
        logits = torch.cat([logits, within], dim=1)
    return (logits.logsumexp(dim=1) - cross.diagonal()).mean()
