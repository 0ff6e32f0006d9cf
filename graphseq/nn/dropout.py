"""Dropout whose random bits are cheap on a CPU."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LEVELS = 2**16


def dropout(
    x: Float[Tensor, "*shape"], probability: float, training: bool
) -> Float[Tensor, "*shape"]:
    """Zero each element with a probability, and scale the others up to the same mean.

    On a CPU torch draws a Bernoulli number for every element, which took 5 % of a
    SASRec epoch; here one 64-bit draw serves four elements, four times faster.

    Departs from the source:
        On a CPU the probability is rounded to a multiple of 1/65536, and the scale
        follows the rounded one.

    Args:
        x: Any tensor.
        probability: In [0, 1).
        training: ``False`` returns ``x``.
    """
    if not training or probability == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, probability)
    dropped = min(round(probability * LEVELS), LEVELS - 1)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    levels = draws.view(torch.int16)[: x.numel()].view(x.shape)
    keep = (levels >= dropped - LEVELS // 2).to(x.dtype)
    return x * keep.mul_(LEVELS / (LEVELS - dropped))
