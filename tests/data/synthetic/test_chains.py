from itertools import pairwise

import numpy as np
import pytest

from graphseq.data import Interactions, synthetic
from graphseq.schema import OptionError


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


def test_the_last_item_alone_is_not_informative_in_a_chain_of_order_two() -> None:
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


def test_chains_refuse_arguments_out_of_range() -> None:
    with pytest.raises(OptionError, match=r"order: expected .*, found 3"):
        synthetic.markov(order=3)
    with pytest.raises(OptionError, match="randomness"):
        synthetic.markov(randomness=-0.1)
    with pytest.raises(OptionError, match="length"):
        synthetic.cycle(length=0)
