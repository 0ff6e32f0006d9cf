"""Contrast of the views of a sequence with the intent of its user."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from graphseq.objectives.contrastive import Reduction, nt_xent, same_id_mask

Form = Literal["symmetric", "paper"]


def intent_contrast(
    first: Float[Tensor, "B D"],
    second: Float[Tensor, "B D"],
    intents: Float[Tensor, "B D"],
    *,
    identity: Int[Tensor, "B"] | None = None,
    form: Form = "symmetric",
    temperature: float = 1.0,
    reduction: Reduction = "mean",
) -> Float[Tensor, ""] | Float[Tensor, "B"]:
    r"""Contrast of both views of a user's sequence with the user's intent.

    As printed (``paper``), a view is compared with its own intent :math:`c_u` against
    those of the batch,

    .. math:: \sum_{h ∈ \{h^1, h^2\}} -\frac{1}{B} \sum_u \log
        \frac{e^{h_u \cdot c_u}}{\sum_v e^{h_u \cdot c_v}} ;

    as in the authors' code (``symmetric``), it is half of the sum of two
    :func:`nt_xent`: intents are anchors, too, and the negatives of a view include other
    views, those of an intent other intents. Users with the same intent are negatives of
    each other unless ``identity`` is given.

    Source:
        Chen et al., ICLRec, WWW 2022, Eqs. (15)-(17).

    Departs from the source:
        The denominator includes the positive.

    Args:
        first: First view of each sequence.
        second: Second view.
        intents: Intent vector of each user: a centroid of length 1.
        identity: Intent id of each user; pairs with the same intent are masked out
            (false negative mitigation, Eq. 17). ``None``: no pair is (Eq. 16).
        form: Which of the two formulas.
        temperature: :math:`τ > 0`.
        reduction: ``mean``, or ``none`` for the value of each row.

    Raises:
        ValueError: ``form`` is unknown.
    """
    if form not in get_args(Form):
        raise ValueError(f"form: expected one of {get_args(Form)}, found {form!r}")
    exclude = None if identity is None else same_id_mask(identity)
    scheme: Literal["symmetric", "cross_only"]
    scheme = "symmetric" if form == "symmetric" else "cross_only"
    losses = [
        nt_xent(
            view,
            intents,
            temperature=temperature,
            scheme=scheme,
            exclude=exclude,
            reduction=reduction,
        )
        for view in (first, second)
    ]
    total = torch.stack(losses).sum(dim=0)
    return total / 2 if form == "symmetric" else total


def prototype_contrast(
    first: Float[Tensor, "B D"],
    second: Float[Tensor, "B D"],
    prototypes: Float[Tensor, "K D"],
    identity: Int[Tensor, "B"],
    *,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
) -> Float[Tensor, ""] | Float[Tensor, "B"]:
    r"""Contrast of both views of a user's sequence with the user's intent among all K.

    .. math:: \sum_{h ∈ \{h^1, h^2\}} -\frac{1}{B} \sum_u \log
        \frac{e^{h_u \cdot c_u / τ}}{\sum_{k=1}^K e^{h_u \cdot c_k / τ}}

    Intents that no user of the batch has are negatives, too, and users with the same
    intent are not negatives of each other.

    Source:
        Chen et al., ICLRec, WWW 2022, Eq. (14), summed over the views as in Eq. (15).

    Args:
        first: First view of each sequence.
        second: Second view.
        prototypes: Vector of each intent: a centroid of length 1.
        identity: Intent id of each user, 0 … K-1.
        temperature: :math:`τ > 0`.
        reduction: ``mean``, or ``none`` for the value of each row.
    """
    losses = [
        F.cross_entropy(
            view @ prototypes.T / temperature, identity, reduction=reduction
        )
        for view in (first, second)
    ]
    return torch.stack(losses).sum(dim=0)
