"""The real Fourier basis of a window: filters in frequency as matrices of columns.

The one-sided transform of W columns has the bins k = 0 … F - 1, F = W // 2 + 1. Here
real matrices of cosines and sines replace it: they are exported as products, and on a
CPU, for windows of 50 columns, a fixed filter is 1.6 times as fast as by the fast
transform, and a learned one 0.8 times (``benchmarks/filters.py``).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def waves(window: int) -> Float[Tensor, "2 F W"]:
    """cos(2π k t / W) and sin(2π k t / W) of every bin k and column t, in float64.

    Args:
        window: W.
    """
    bins = torch.arange(window // 2 + 1)[:, None]
    turns = bins * torch.arange(window) % window  # exact, also for large W
    angle = turns.double() * (2 * math.pi / window)
    return torch.stack([angle.cos(), angle.sin()])


def bin_weights(window: int) -> Float[Tensor, "F"]:
    """How often a bin counts: once for k = 0 and k = W / 2, twice for all others.

    The transform of real columns has the same content in the bins k and W - k.
    """
    weights = torch.full((window // 2 + 1,), 2.0, dtype=torch.float64)
    weights[0] = 1.0
    if window % 2 == 0:
        weights[-1] = 1.0
    return weights


def low_pass(window: int, cutoff: int) -> Float[Tensor, "W W"]:
    r"""The projection onto the lowest bins, k = 0 … c // 2.

    .. math:: C_{ts} = \frac{1}{W} \sum_{k=0}^{⌊c/2⌋} w_k \cos\frac{2πk(t - s)}{W}

    Args:
        window: W.
        cutoff: c.
    """
    kept = slice(cutoff // 2 + 1)
    low = waves(window)[:, kept]
    scaled = low * bin_weights(window)[kept, None] / window
    return torch.einsum("pkt,pks->ts", scaled, low)
