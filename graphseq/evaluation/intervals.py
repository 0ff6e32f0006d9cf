"""Intervals and p-values of the mean difference of two models.

Source:
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: percentile interval
    (13.3), test of a zero mean (16.4). Banerjee, "Approximate Confidence Interval for
    Linear Functions of Means of k Populations when the Population Variances are not
    Equal", Sankhya 22, 1960: the interval over seeds.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DRAWS = 2**21  # random numbers drawn at once: up to 32 MB
SMALLEST = -16.0  # decimal logarithm of the smallest p-value over seeds


def over_users(
    each: Floats, resamples: int, confidence: float, draw: np.random.Generator
) -> tuple[tuple[float, float], float]:
    """Bootstrap interval and p-value of the mean of the users' differences."""
    means = resampled_means(each, resamples, draw)
    difference = each.mean()
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    slack = 1e-12 * np.abs(each).max()  # rounding must not break ties
    extreme = np.count_nonzero(np.abs(means - difference) >= abs(difference) - slack)
    return (float(low), float(high)), float((extreme + 1) / (resamples + 1))


def over_seeds(
    each: Floats, left: Floats, right: Floats, confidence: float
) -> tuple[tuple[float, float], float]:
    """Interval and p-value over users and seeds.

    Args:
        each: Difference of each user, a mean over the runs.
        left: Of every run of a and user, (S, N).
        right: The same for b.
        confidence: Of the interval.
    """
    from scipy import optimize, stats

    samples = each, left.mean(axis=1), right.mean(axis=1)
    variances = np.array([sample.var(ddof=1) / len(sample) for sample in samples])
    freedom = np.array([len(sample) - 1 for sample in samples])
    difference = float(each.mean())

    def half_width(tail: float) -> float:
        return float(np.sqrt(np.square(stats.t.isf(tail / 2, freedom)) @ variances))

    def excess(exponent: float) -> float:
        return half_width(10.0**exponent) - abs(difference)

    half = half_width(1 - confidence)
    interval = difference - half, difference + half
    if abs(difference) <= 1e-12 * np.abs(each).max():  # rounding
        return interval, 1.0
    if excess(SMALLEST) < 0:
        return interval, 10.0**SMALLEST
    return interval, float(10.0 ** optimize.brentq(excess, SMALLEST, 0.0))


def resampled_means(
    values: Floats, resamples: int, draw: np.random.Generator
) -> Floats:
    """Means of samples drawn with replacement, each of the original size.

    A mean depends only on how often each distinct value is drawn, and these counts are
    multinomial. A metric at k has few distinct values; with many, users are drawn one
    by one, in blocks.
    """
    size = len(values)
    distinct, counts = np.unique(values, return_counts=True)
    few = len(distinct) <= max(2, size // 50)
    means = np.empty(resamples)
    step = max(1, DRAWS // (len(counts) if few else size))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        if few:
            times = draw.multinomial(size, counts / size, size=rows)
            means[start : start + rows] = times @ distinct / size
        else:
            chosen = draw.integers(0, size, (rows, size), dtype=np.int32)
            means[start : start + rows] = values[chosen].mean(axis=1)
    return means
