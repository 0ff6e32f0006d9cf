"""Contrastive losses between views."""

from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

Scheme = Literal["symmetric", "one_sided", "cross_only"]
Similarity = Literal["dot", "cosine"]
Directions = Literal["mean", "sum"]
Reduction = Literal["mean", "none"]


def same_id_mask(identity: Int[Tensor, "B"]) -> Bool[Tensor, "B B"]:
    """Pairs of rows with the same id, for ``exclude`` of :func:`nt_xent`."""
    return identity[:, None] == identity[None, :]


def nt_xent(
    anchor: Float[Tensor, "B D"],
    positive: Float[Tensor, "B D"],
    *,
    temperature: float = 1.0,
    similarity: Similarity = "dot",
    scheme: Scheme = "symmetric",
    directions: Directions = "mean",
    exclude: Bool[Tensor, "B B"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, ""] | Float[Tensor, "B"]:
    r"""Normalised, temperature-scaled cross-entropy between two views.

    Row i of one view is the positive of row i of the other. With
    :math:`Ψ(x, y) = \exp(\mathrm{sim}(x, y) / τ)`, the loss of anchor i is

    .. math:: -\log \frac{Ψ(a_i, p_i)}
        {\sum_j Ψ(a_i, p_j) + \sum_{j \ne i} Ψ(a_i, a_j)}

    Schemes: with ``one_sided`` only rows of the first view are anchors; ``symmetric``
    takes both views as anchors, one direction after the other; ``cross_only`` is
    ``one_sided`` without the second sum.

    Source:
        Chen et al., SimCLR, 2020 (``symmetric``); Wang et al., MCLSR, CIKM 2022,
        Eqs. (8) and (11) (``one_sided``).

    Departs from the source:
        The mean over the rows of the batch; with the papers' sums, the weight of the
        loss would depend on the batch size. Papers print the sum of both directions for
        each row (``directions="sum"``), their codes take the mean.

    Args:
        anchor: First view.
        positive: Second view.
        temperature: :math:`τ > 0`; smaller values emphasise hard negatives.
        similarity: Dot product or cosine; the cosine with a zero vector is 0.
        scheme: Which rows are anchors, and their negatives.
        directions: ``mean`` or ``sum`` of the two directions of ``symmetric``.
        exclude: Pairs (i, j) that are not negatives of each other, in either view. The
            diagonal is ignored: a row's own positive always counts.
        reduction: ``mean``, or ``none`` for the value of each row: of its anchor, or of
            its two anchors with ``symmetric``.

    Returns:
        The mean over the rows, or each, (B,); 0 for one row.

    Raises:
        ValueError: The views differ in shape, or an option is unknown.
    """
    _check_choice("scheme", scheme, Scheme)
    _check_choice("similarity", similarity, Similarity)
    _check_choice("directions", directions, Directions)
    _check_choice("reduction", reduction, Reduction)
    if anchor.shape != positive.shape:  # (3, D) against (4, D) would pass unnoticed
        raise ValueError(
            "nt_xent pairs the rows of two views of equal shape; found anchor "
            f"{tuple(anchor.shape)} and positive {tuple(positive.shape)}"
        )
    if similarity == "cosine":
        anchor, positive = F.normalize(anchor, dim=1), F.normalize(positive, dim=1)
    own = torch.eye(len(anchor), dtype=torch.bool, device=anchor.device)
    drop = own if exclude is None else own | exclude
    cross = anchor @ positive.T / temperature
    view = None if scheme == "cross_only" else anchor
    loss = _anchored(cross, view, temperature, drop, reduction)
    if scheme == "symmetric":
        loss = loss + _anchored(cross.T, positive, temperature, drop.T, reduction)
        loss = loss / 2 if directions == "mean" else loss
    return loss


def _check_choice(name: str, value: str, choices: Any) -> None:
    """Refuse a value that is not one of a ``Literal``."""
    if value not in get_args(choices):
        raise ValueError(
            f"{name}: expected one of {get_args(choices)}, found {value!r}"
        )


def _anchored(
    cross: Tensor,
    view: Tensor | None,
    temperature: float,
    drop: Tensor,
    reduction: Reduction,
) -> Tensor:
    """The loss with one view's rows as anchors; ``drop`` includes the diagonal."""
    own = torch.eye(len(cross), dtype=torch.bool, device=cross.device)
    logits = cross.masked_fill(drop & ~own, -torch.inf)
    if view is not None:
        within = (view @ view.T / temperature).masked_fill(drop, -torch.inf)
        logits = torch.cat([logits, within], dim=1)
    losses = logits.logsumexp(dim=1) - cross.diagonal()
    return losses.mean() if reduction == "mean" else losses


Denominator = Literal["code", "paper"]


def negative_contrast(
    first: Float[Tensor, "B D"],
    second: Float[Tensor, "B D"],
    negative: Float[Tensor, "B D"],
    *,
    temperature: float = 0.1,
    denominator: Denominator = "code",
    reduction: Reduction = "mean",
) -> Float[Tensor, ""] | Float[Tensor, "B"]:
    r"""EC4SRec's contrast: negative views attract each other and repel positive ones.

    With :math:`Ψ(x, y) = \exp(x · y / τ)`, the positive views p of all sequences and
    their negative views n, it is the mean over the anchors u of

    .. math:: -\frac{1}{B - 1} \sum_{v \ne u} \log \frac{Ψ(n_u, n_v)}
        {\sum_p Ψ(n_u, p) + \sum_{w \ne u} Ψ(n_u, n_w)}

    Source:
        Wang et al., EC4SRec, CIKM 2022, the term L_cl-; ``supcon_fake`` in its code.

    Departs from the source:
        With ``denominator="paper"``, v is the only negative view in the denominator.
        For two sequences both are equal.

    Args:
        first: A positive view of each sequence.
        second: Another positive view.
        negative: A negative view.
        temperature: τ.
        denominator: Which negative views are part of the denominator.
        reduction: ``mean``, or ``none`` for the value of each anchor.

    Returns:
        The mean over the anchors, or each, (B,); 0 for one row.

    Raises:
        ValueError: An option is unknown.
    """
    _check_choice("denominator", denominator, Denominator)
    _check_choice("reduction", reduction, Reduction)
    own = torch.eye(len(negative), dtype=torch.bool, device=negative.device)
    away = negative @ torch.cat([first, second]).T / temperature
    together = negative @ negative.T / temperature
    if denominator == "code":
        others = torch.cat([away, together.masked_fill(own, -torch.inf)], dim=1)
        losses = others.logsumexp(dim=1, keepdim=True) - together
    else:
        mass = away.logsumexp(dim=1, keepdim=True)
        losses = torch.logaddexp(mass, together) - together
    losses = losses.masked_fill(own, 0.0)
    number = max(1, len(own) - 1)
    if reduction == "none":
        return losses.sum(dim=1) / number
    return losses.sum() / (len(own) * number)


Scope = Literal["anchor", "batch"]


def contrastive_regularization(
    first: Float[Tensor, "B D"],
    second: Float[Tensor, "B D"],
    *,
    scope: Scope = "anchor",
    reduction: Reduction = "mean",
) -> Float[Tensor, ""] | Float[Tensor, "B"]:
    r"""MCLRec's contrastive regularisation R.

    Of the 2B rows of both views together, :math:`p_i` is the inner product of row i
    with its other view and :math:`n_{ij}` those with the 2(B - 1) other rows. With
    :math:`o_{\min} = \min(p, \max n)` and :math:`o_{\max} = \max(p, \max n)`,

    .. math:: R = \mathrm{mean}\,[p_i - o_{\min}]_+
        + \mathrm{mean}\,[o_{\max} - n_{ij}]_+

    in which no :math:`[·]_+` is ever active. With bounds per anchor (``anchor``) it is

    .. math:: \frac{1}{2B} \sum_i \left(p_i - \bar n_i
        + \left|p_i - \max_j n_{ij}\right|\right)

    and with one pair of bounds for the batch (``batch``)

    .. math:: \bar p - \bar n + \left|\min p - \max n\right| .

    It counteracts the contrast: it pulls positive similarities down to that of the
    hardest negative.

    Source:
        Qin et al., MCLRec, SIGIR 2023, Eqs. (11)-(13), which are ``batch``; the
        authors' code is ``anchor``.

    Args:
        first: First view.
        second: Second view; row i belongs to row i of ``first``.
        scope: Whether bounds are per anchor or per batch.
        reduction: ``mean``, or ``none`` for each row: the mean over its two anchors.

    Returns:
        R, or its part of each row, (B,); 0 for one row, which has no negatives.

    Raises:
        ValueError: ``scope`` or ``reduction`` is unknown.
    """
    _check_choice("scope", scope, Scope)
    _check_choice("reduction", reduction, Reduction)
    size = len(first)
    if size == 1:
        nothing = (first * second).sum(dim=1) * 0
        return nothing.sum() if reduction == "mean" else nothing
    rows = torch.cat([first, second])
    scores = rows @ rows.T
    index = torch.arange(2 * size, device=rows.device)
    partner = index.roll(size)
    p = scores[index, partner]
    other = torch.ones_like(scores, dtype=torch.bool)
    other[index, index] = other[index, partner] = False
    hardest = scores.masked_fill(~other, -torch.inf).amax(dim=1)
    if reduction == "none":
        low, high = (p, hardest) if scope == "anchor" else (p.amin(), hardest.amax())
        means = (scores * other).sum(dim=1) / other.sum(dim=1)
        return (p - means + (low - high).abs()).view(2, size).mean(dim=0)
    # each row has equally many negatives: the mean of row means is the overall mean
    mean = (scores * other).sum() / other.sum()
    if scope == "anchor":
        return p.mean() - mean + (p - hardest).abs().mean()
    return p.mean() - mean + (p.amin() - hardest.amax()).abs()
