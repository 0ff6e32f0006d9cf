import numpy as np
import pytest

from graphseq.data import leave_one_out, synthetic
from graphseq.errors import DataError
from graphseq.schema import OptionError


def hit_rate(scores: np.ndarray, target: np.ndarray) -> float:
    own = scores[np.arange(len(target)), target]
    return float(np.mean((scores > own[:, None]).sum(axis=1) < 10))


def test_communities_have_the_requested_users_and_items() -> None:
    log = synthetic.communities()
    assert (log.num_users, log.num_items) == (2000, 800)
    assert log.has_time
    assert log.lengths.min() >= 5
    assert log.lengths.mean() == pytest.approx(12, rel=0.1)
    pair = log.user * log.num_items + log.item
    assert len(np.unique(pair)) == len(log), "no user has an item twice"
    count = np.sort(np.bincount(log.item, minlength=800))[::-1]
    assert count[:160].sum() > 2 * count[-320:].sum(), "a few items are popular"


def test_in_communities_sequences_and_neighbours_beat_popularity() -> None:
    split = leave_one_out(synthetic.communities())
    user, item, size = split.train.user, split.train.item, split.train.num_items
    popular = np.bincount(item, minlength=size).astype(float)
    follows, taken = np.zeros((size, size)), np.zeros((split.train.num_users, size))
    within = user[1:] == user[:-1]
    np.add.at(follows, (item[:-1][within], item[1:][within]), 1)
    taken[user, item] = 1
    test = split.test
    last = test.history[test.history_ptr[1:] - 1].numpy()
    target, seen = test.target.numpy(), taken[test.user.numpy()] > 0
    by_popularity = hit_rate(np.where(seen, -1, popular + 0 * seen), target)
    by_neighbours = hit_rate(
        np.where(seen, -1, taken[test.user] @ (taken.T @ taken)), target
    )
    by_sequence = hit_rate(np.where(seen, -1, follows[last] + 1e-6 * popular), target)
    assert by_sequence > 8 * by_popularity
    assert by_neighbours > 4 * by_popularity


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_users": 0}, "num_users"),
        ({"drift": 1.5}, "drift"),
        ({"mean_length": 2.0}, "mean_length"),
        ({"num_items": 30}, "num_items"),
        ({"num_communities": 500}, "communities"),
    ],
)
def test_communities_refuse_arguments_out_of_range(options: dict, match: str) -> None:
    with pytest.raises((DataError, OptionError), match=match):
        synthetic.communities(**options)
