"""Check published metrics for consistency: hit rates against NDCG."""

import math
import re
from collections.abc import Mapping

METRIC = re.compile(r"(HR|NDCG)@(\d+)")


def impossible(
    metrics: Mapping[str, float], *, tolerance: float = 2e-4
) -> dict[str, tuple[float, float]]:
    r"""Find NDCG values that contradict the hit rates of the same list.

    With one target a user, a hit at rank r adds :math:`1/\log_2(r+1)`. So the hits
    between the ranks a and b add at least the value of rank b each, and at most that
    of rank a + 1:

    .. math::
        \frac{HR_b - HR_a}{\log_2(b+1)} \le NDCG_b - NDCG_a
            \le \frac{HR_b - HR_a}{\log_2(a+2)},

    where a = 0 is the empty list, without hits.

    Args:
        metrics: ``HR@k`` and ``NDCG@k``, as fractions. Other metrics are ignored, and
            so is a k that lacks one of the two.
        tolerance: Largest deviation due to rounding; the default suits four digits.

    Returns:
        For each ``NDCG@k`` that is out of bounds, the interval that the next smaller k
        allows. Which of the values is wrong remains unknown.

    Raises:
        ValueError: A hit rate decreases as the list grows.
    """
    lengths = sorted({int(m[2]) for m in map(METRIC.fullmatch, metrics) if m})
    complete = [k for k in lengths if {f"HR@{k}", f"NDCG@{k}"} <= metrics.keys()]
    found = {}
    a, hits, gain = 0, 0.0, 0.0
    for b in complete:
        more = metrics[f"HR@{b}"] - hits
        if more < -tolerance:
            raise ValueError(f"HR@{b} is smaller than HR@{a}: {dict(metrics)}")
        low, high = more / math.log2(b + 1), more / math.log2(a + 2)
        ndcg = metrics[f"NDCG@{b}"]
        if not low - tolerance <= ndcg - gain <= high + tolerance:
            found[f"NDCG@{b}"] = (gain + low, gain + high)
        a, hits, gain = b, metrics[f"HR@{b}"], ndcg
    return found
