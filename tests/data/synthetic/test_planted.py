"""Planted important items: their number, category and positions, and the target."""

import numpy as np
import pytest

from graphseq.data import synthetic
from graphseq.errors import DataError
from graphseq.schema import OptionError


def rows(**options) -> np.ndarray:
    log = synthetic.planted(**options)
    return log.item.reshape(log.num_users, -1)


def test_the_log_has_the_requested_sizes() -> None:
    log = synthetic.planted(50, categories=4, size=5, noise=30, important=2, length=6)
    assert (log.num_users, log.num_items, len(log)) == (50, 50, 50 * 7)
    assert log.items.decode(np.array([0, 49])) == ["item-0", "item-49"]


def test_the_planted_items_and_the_target_are_of_one_category() -> None:
    items = rows(num_users=500)
    history, target = items[:, :-1], items[:, -1]
    planted = history < 160
    assert (planted.sum(axis=1) == 3).all() and (target < 160).all()
    category = np.where(planted, history // 8, -1).max(axis=1)
    assert (category == target // 8).all()
    assert (
        np.where(planted, history // 8, category[:, None]) == category[:, None]
    ).all()
    assert set(category) == set(range(20))


def test_no_user_has_an_item_twice() -> None:
    items = np.sort(rows(num_users=500), axis=1)
    assert (np.diff(items, axis=1) > 0).all()


def test_positions_and_items_are_uniform() -> None:
    items = rows(num_users=4000)
    positions = (items[:, :-1] < 160).sum(axis=0)
    assert np.abs(positions - 1200).max() < 5 * (4000 * 0.3 * 0.7) ** 0.5
    noise = np.bincount(items[:, :-1].ravel(), minlength=260)[160:]
    assert np.abs(noise - 280).max() < 5 * 280**0.5
    targets = np.bincount(items[:, -1], minlength=160)
    assert np.abs(targets - 25).max() < 6 * 25**0.5


def test_the_seed_decides() -> None:
    assert synthetic.planted(20, seed=1) == synthetic.planted(20, seed=1)
    assert synthetic.planted(20, seed=1) != synthetic.planted(20, seed=2)


@pytest.mark.parametrize(
    "options", [{"important": 8}, {"important": 11, "size": 20}, {"noise": 6}]
)
def test_too_few_items_of_a_kind_are_refused(options: dict) -> None:
    with pytest.raises(DataError, match="important"):
        synthetic.planted(**options)


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(OptionError, match="categories"):
        synthetic.planted(categories=0)
