"""Softmax over sampled items, or over the targets of the batch."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def sampled_softmax(
    states: Float[Tensor, "N D"],
    items: Float[Tensor, "V D"],
    targets: Int[Tensor, "N"],
    negatives: Int[Tensor, "n"] | Int[Tensor, "N n"],
    *,
    log_expected_target: Float[Tensor, "N"] | None = None,
    log_expected_negative: Float[Tensor, "n"] | None = None,
) -> Float[Tensor, ""]:
    """Softmax over the target and sampled negatives.

    The target is always part of the denominator; a negative equal to the row's target
    (an accidental hit) is masked. With the log expected count of each item subtracted
    from its logit, the loss estimates that of the full softmax.

    Source:
        Bengio & Senécal, 2008; ``tf.nn.sampled_softmax_loss`` as used by ComiRec.
        Eq. (14) of MCLSR as printed leaves the target out of the denominator and is
        unbounded below; this is the corrected form.

    Args:
        states: Query vectors.
        items: Item vectors.
        targets: Target item of each row.
        negatives: Sampled items, shared by the rows or separate for each.
        log_expected_target: Log expected count of each target; ``None``: uncorrected.
        log_expected_negative: Log expected count of each shared negative.

    Returns:
        The mean over the rows.
    """
    positive = (states * items[targets]).sum(dim=1, keepdim=True)
    if negatives.dim() == 1:
        negative = states @ items[negatives].T
        hits = negatives[None, :] == targets[:, None]
    else:
        negative = torch.einsum("nd,nkd->nk", states, items[negatives])
        hits = negatives == targets[:, None]
    if log_expected_target is not None and log_expected_negative is not None:
        positive = positive - log_expected_target[:, None]
        negative = negative - log_expected_negative
    negative = negative.masked_fill(hits, -torch.inf)
    logits = torch.cat([positive, negative], dim=1)
    return (logits.logsumexp(dim=1) - positive[:, 0]).mean()


def in_batch_softmax(
    states: Float[Tensor, "N D"],
    items: Float[Tensor, "V D"],
    targets: Int[Tensor, "N"],
    *,
    counts: Float[Tensor, "V"] | None = None,
    strength: float = 1.0,
    user: Int[Tensor, "N"] | None = None,
) -> Float[Tensor, ""]:
    """Softmax over the targets of the batch, optionally corrected for popularity.

    Pairs of rows with the same target, or from the same user, are masked out.

    Source:
        The logQ correction of Yi et al., RecSys 2019, on the negatives only.

    Args:
        states: Query vectors.
        items: Item vectors.
        targets: Target item of each row; the other rows' targets are the negatives.
        counts: Training events of each item, for the correction; ``None``: none.
        strength: Weight of the correction; 1 is unbiased.
        user: User of each row.

    Returns:
        The mean over the rows.
    """
    logits = states @ items[targets].T
    own = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    same = targets[:, None] == targets[None, :]
    if user is not None:
        same = same | (user[:, None] == user[None, :])
    positive = logits.diagonal()
    if counts is not None:
        log_q = (counts[targets] / counts.sum()).clamp(min=1e-12).log()
        logits = torch.where(own, logits, logits - strength * log_q)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    return (logits.logsumexp(dim=1) - positive).mean()


def uniform_sample(
    num_items: int, size: int, generator: torch.Generator | None = None
) -> Int[Tensor, "n"]:
    """Draw items uniformly, with replacement, for a whole batch."""
    return torch.randint(num_items, (size,), generator=generator)


def log_uniform_probability(num_items: int) -> Float[Tensor, "V"]:
    r"""Probability of each popularity rank: :math:`\log\frac{k+2}{k+1} / \log(V+1)`."""
    return _probability(torch.arange(num_items), num_items)


def _probability(rank: Int[Tensor, "*n"], num_items: int) -> Float[Tensor, "*n"]:
    rank = rank.double()
    return ((rank + 2) / (rank + 1)).log() / math.log(num_items + 1)


def log_uniform_sample(
    num_items: int, size: int, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, "n"], int]:
    """Draw distinct popularity ranks, log-uniformly (Zipf).

    Args:
        num_items: V.
        size: Number of distinct ranks, at most V.
        generator: Source of randomness; ``None``: torch's global one.

    Returns:
        The ranks (0 is the most popular item), and the number of draws needed, for
        :func:`log_expected_count`.
    """
    size = min(size, num_items)
    span = math.log(num_items + 1)
    draws = torch.empty(0, dtype=torch.int64)
    while True:
        uniform = torch.rand(4 * size, generator=generator, dtype=torch.float64)
        ranks = ((uniform * span).exp() - 1).long().clamp(0, num_items - 1)
        draws = torch.cat([draws, ranks])
        values, inverse = draws.unique(return_inverse=True)
        if len(values) >= size:
            break
    first = torch.full((len(values),), len(draws)).scatter_reduce(
        0, inverse, torch.arange(len(draws)), reduce="amin"
    )
    first, order = first.sort()
    return values[order[:size]], int(first[size - 1]) + 1


def log_expected_count(
    rank: Int[Tensor, "*n"], num_items: int, tries: int
) -> Float[Tensor, "*n"]:
    """Log of the expected count of a rank among distinct draws: 1 - (1 - p)^tries."""
    probability = _probability(rank, num_items)
    return (-torch.expm1(tries * torch.log1p(-probability))).log().float()
