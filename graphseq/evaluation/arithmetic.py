"""Figures that can, or cannot, stand beside each other: hit rates and NDCG."""

import math
import re
from collections.abc import Mapping

METRIC = re.compile(r"(HR|NDCG)@(\d+)")


def impossible(
    figures: Mapping[str, float], *, tolerance: float = 2e-4
) -> dict[str, tuple[float, float]]:
    r"""Find NDCG figures that contradict the hit rates beside them.

    With one target a user, a hit at rank r adds :math:`1/\log_2(r+1)`. The hits between
    the ranks a and b therefore add at least their number by the value of rank b, and at
    most by that of rank a + 1:

    .. math::
        \frac{HR_b - HR_a}{\log_2(b+1)} \le NDCG_b - NDCG_a
            \le \frac{HR_b - HR_a}{\log_2(a+2)},

    where a = 0 stands for no list at all, with no hits.

    Args:
        figures: ``HR@k`` and ``NDCG@k``, as fractions; k for which one is absent, and
            other metrics, are passed over.
        tolerance: What rounding may explain; the default suits four printed digits.

    Returns:
        The name of an ``NDCG@k`` that is outside, to the interval in which it must lie
        beside the next smaller k. Which of the figures is the wrong one is not known.

    Raises:
        ValueError: A hit rate falls as the list becomes longer.
    """
    lengths = sorted({int(m[2]) for m in map(METRIC.fullmatch, figures) if m})
    whole = [k for k in lengths if {f"HR@{k}", f"NDCG@{k}"} <= figures.keys()]
    found = {}
    a, hits, gain = 0, 0.0, 0.0
    for b in whole:
        more = figures[f"HR@{b}"] - hits
        if more < -tolerance:
            raise ValueError(f"HR@{b} is smaller than HR@{a}: {dict(figures)}")
        low, high = more / math.log2(b + 1), more / math.log2(a + 2)
        here = figures[f"NDCG@{b}"]
        if not low - tolerance <= here - gain <= high + tolerance:
            found[f"NDCG@{b}"] = (gain + low, gain + high)
        a, hits, gain = b, figures[f"HR@{b}"], here
    return found
