"""Both ways to draw agree, and a true null is rarely rejected."""

import numpy as np
import pytest
from scipy import stats

from graphseq.evaluation.intervals import over_seeds, resampled_means


def test_drawing_counts_equals_drawing_users() -> None:
    values = np.repeat([0.0, 1.0, 3.0], [70, 20, 10])
    draw = np.random.default_rng(1)
    means = resampled_means(values, 40_000, draw)
    jittered = values + draw.normal(0, 1e-9, 100)  # all differ: the other branch
    other = resampled_means(jittered, 40_000, draw)
    assert means.mean() == pytest.approx(other.mean(), abs=2e-3)
    assert means.std() == pytest.approx(other.std(), rel=0.02)
    assert stats.ks_2samp(np.round(means, 6), np.round(other, 6)).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (5, 5), (2, 5)])
@pytest.mark.parametrize("deviations", [(1.0, 1.0, 0.0), (1.0, 0.2, 0.5), (0.2, 1, 1)])
def test_a_true_null_is_rejected_in_at_most_five_of_a_hundred_cases(
    seeds: tuple[int, int], deviations: tuple[float, float, float]
) -> None:
    """Standard deviations of a mean: of the seeds of a and b, and of the users."""
    draw, users, cases = np.random.default_rng(0), 60, 500
    of_a, of_b, of_users = deviations
    rejected = 0
    for _ in range(cases):
        each = draw.normal(0, of_users * users**0.5, users)
        a = each + draw.normal(0, of_a, (seeds[0], 1))
        b = np.zeros(users) + draw.normal(0, of_b, (seeds[1], 1))
        (low, high), p = over_seeds(a.mean(0) - b.mean(0), a, b, 0.95)
        rejected += not low <= 0 <= high
        assert (p < 0.05) == (not low <= 0 <= high)
    assert rejected / cases <= 0.05 + 3 * (0.05 * 0.95 / cases) ** 0.5
