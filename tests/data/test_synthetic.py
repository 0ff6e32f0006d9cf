from itertools import pairwise

import numpy as np
import pytest

from graphseq.data import Interactions, leave_one_out, synthetic
from graphseq.errors import DataError


def sequences(log: Interactions) -> list[list[int]]:
    return [part.tolist() for part in np.split(log.item, log.pointers[1:-1])]


def test_in_a_cycle_the_next_item_is_certain() -> None:
    log = synthetic.cycle(num_users=24, num_items=12, length=8)
    assert (log.num_users, log.num_items, len(log)) == (24, 12, 192)
    for items in sequences(log):
        assert all((b - a) % 12 == 1 for a, b in pairwise(items))
    assert set(np.bincount(log.item)) == {16}


@pytest.mark.parametrize("order", [1, 2])
def test_a_chain_follows_its_matrix(order: int) -> None:
    options = {"order": order, "randomness": 0.3, "seed": 3}
    log = synthetic.markov(3000, 5, 12, **options)
    expected = synthetic.transition_matrix(5, **options)
    np.testing.assert_allclose(expected.sum(axis=-1), 1)
    found = np.zeros_like(expected)
    for items in sequences(log):
        np.add.at(
            found,
            tuple(np.array(items[s : 12 - order + s]) for s in range(order + 1)),
            1,
        )
    found /= found.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=0.04)


def test_the_last_item_alone_tells_nothing_in_a_chain_of_order_two() -> None:
    matrix = synthetic.transition_matrix(7, order=2, randomness=0.1)
    np.testing.assert_allclose(matrix.mean(axis=0), 1 / 7)


def test_full_randomness_is_uniform() -> None:
    np.testing.assert_allclose(synthetic.transition_matrix(4, randomness=1.0), 0.25)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: synthetic.cycle(seed=seed),
        lambda seed: synthetic.markov(order=2, seed=seed),
        lambda seed: synthetic.communities(200, 100, 5, seed=seed),
    ],
)
def test_the_seed_decides(make) -> None:
    assert make(1) == make(1)
    assert make(1) != make(2)


def test_communities_have_users_and_items_as_asked() -> None:
    log = synthetic.communities()
    assert (log.num_users, log.num_items) == (2000, 800)
    assert log.has_time
    assert log.lengths.min() >= 5
    assert log.lengths.mean() == pytest.approx(12, rel=0.1)
    pair = log.user * log.num_items + log.item
    assert len(np.unique(pair)) == len(log), "nobody takes an item twice"
    count = np.sort(np.bincount(log.item, minlength=800))[::-1]
    assert count[:160].sum() > 2 * count[-320:].sum(), "a few items are popular"


def hit_rate(scores: np.ndarray, target: np.ndarray) -> float:
    own = scores[np.arange(len(target)), target]
    return float(np.mean((scores > own[:, None]).sum(axis=1) < 10))


def test_in_communities_sequences_and_neighbours_tell_more_than_popularity() -> None:
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
def test_communities_refuse_what_cannot_be(options: dict, match: str) -> None:
    with pytest.raises(DataError, match=match):
        synthetic.communities(**options)


def test_chains_refuse_what_cannot_be() -> None:
    with pytest.raises(DataError, match="order 1 or 2; found 3"):
        synthetic.markov(order=3)
    with pytest.raises(DataError, match="randomness"):
        synthetic.markov(randomness=-0.1)
    with pytest.raises(DataError, match="length"):
        synthetic.cycle(length=0)
