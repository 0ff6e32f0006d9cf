"""Contrast of sequences with what their users intend."""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graphseq.objectives.contrastive import nt_xent, same_id_mask

Form = Literal["symmetric", "paper"]


def intent_contrast(
    first: Float[Tensor, "B D"],
    second: Float[Tensor, "B D"],
    intents: Float[Tensor, "B D"],
    *,
    identity: Int[Tensor, "B"] | None = None,
    form: Form = "symmetric",
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    r"""Both views of a user's sequence against the intent of that user.

    As printed (``paper``), a view is to find its own intent :math:`c_u` among those of
    the batch,

    .. math:: \sum_{h ∈ \{h^1, h^2\}} -\frac{1}{B} \sum_u \log
        \frac{e^{h_u \cdot c_u}}{\sum_v e^{h_u \cdot c_v}} ;

    as the authors compute it (``symmetric``), it is half of the sum of two
    :func:`nt_xent`, so that intents are anchors, too, and views repel views and intents
    intents. Users of one intent are negatives of each other unless ``identity`` tells.

    Source:
        Chen et al., ICLRec, WWW 2022, Eqs. (15)-(17).

    Departs from the source:
        The positive stands in the denominator.

    Args:
        first: First view of each sequence.
        second: Second view.
        intents: What each user intends: here, a centroid of length 1.
        identity: Number of each user's intent; users who share one are then no
            negatives of each other (false negative mitigation, Eq. 17). ``None``: all
            are (Eq. 16).
        form: Which of the two.
        temperature: :math:`τ > 0`.

    Raises:
        ValueError: ``form`` is neither.
    """
    if form not in get_args(Form):
        raise ValueError(f"intent_contrast knows {get_args(Form)}; got form={form!r}")
    exclude = None if identity is None else same_id_mask(identity)
    scheme: Literal["symmetric", "cross_only"]
    scheme = "symmetric" if form == "symmetric" else "cross_only"
    losses = [
        nt_xent(view, intents, temperature=temperature, scheme=scheme, exclude=exclude)
        for view in (first, second)
    ]
    total = torch.stack(losses).sum()
    return total / 2 if form == "symmetric" else total
