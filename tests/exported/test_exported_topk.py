"""The items with the highest scores, against a sort."""

import numpy as np

from graphseq.exported import best_items


def test_the_best_items_are_those_of_a_sort_by_score_and_id() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(-3, 3, (50, 40)).astype(np.float32)
    scores[scores == 2] = -0.0
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    scores[0, 5:] = -np.inf
    for k in (1, 7, 40, 45):
        found = best_items(scores, k)
        for row, items, values in zip(scores, *found, strict=True):
            wanted = sorted((-s, i) for i, s in enumerate(row) if s > -np.inf)[:k]
            lacking = k - len(wanted)
            assert items.tolist() == [i for _, i in wanted] + [-1] * lacking
            assert values[: len(wanted)].tolist() == [-s for s, _ in wanted]
            assert np.isneginf(values[len(wanted) :]).all()
