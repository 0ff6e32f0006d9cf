"""Losses of targets against sampled negatives."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def bce(
    positive: Float[Tensor, "N"], negative: Float[Tensor, "N n"]
) -> Float[Tensor, ""]:
    r"""Binary cross-entropy: :math:`-\log σ(s^+) - \sum_k \log(1 - σ(s^-_k))`.

    Source:
        Kang & McAuley, SASRec, ICDM 2018, Eq. (6), with n negatives per target.

    Args:
        positive: Score of each target.
        negative: Scores of its negatives.

    Returns:
        The mean over the targets.
    """
    return (F.softplus(-positive) + F.softplus(negative).sum(dim=1)).mean()


def gbce(
    positive: Float[Tensor, "N"],
    negative: Float[Tensor, "N n"],
    *,
    num_items: int,
    calibration: float = 0.75,
) -> Float[Tensor, ""]:
    r"""Generalised BCE, which corrects the overconfidence due to negative sampling.

    .. math:: -β \log σ(s^+) - \sum_k \log(1 - σ(s^-_k)), \quad
        β = α \left(t (1 - \tfrac{1}{α}) + \tfrac{1}{α}\right), \quad
        α = \frac{n}{V - 1}

    Source:
        Petrov & Macdonald, gSASRec, RecSys 2023, arXiv:2308.07192, Eqs. (14)-(16).

    Departs from the source:
        Not divided by n + 1; the mean is over targets as in :func:`bce`.

    Args:
        positive: Score of each target.
        negative: Scores of its negatives.
        num_items: V.
        calibration: t; 0 is :func:`bce`, 1 removes the sampling bias completely.

    Returns:
        The mean over the targets.
    """
    alpha = negative.shape[1] / (num_items - 1)
    beta = alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)
    return (beta * F.softplus(-positive) + F.softplus(negative).sum(dim=1)).mean()


def bpr(
    positive: Float[Tensor, "N"], negative: Float[Tensor, "N n"]
) -> Float[Tensor, ""]:
    r"""Bayesian personalised ranking: :math:`-\log σ(s^+ - s^-)`.

    Source:
        Rendle et al., BPR, UAI 2009, the criterion BPR-Opt without its prior.

    Args:
        positive: Score of each target.
        negative: Scores of its negatives.

    Returns:
        The mean over the pairs.
    """
    return F.softplus(negative - positive[:, None]).mean()
