"""Items held out with all their events, against loops over the log."""

import numpy as np
import polars as pl
import pytest

from graphseq.data import Interactions, hold_out_items, synthetic
from graphseq.data.cold_items import ColdItems
from graphseq.errors import DataError


@pytest.fixture(scope="module")
def log() -> Interactions:
    return synthetic.communities(60, 40, 4, mean_length=6.0, seed=0)


@pytest.fixture(scope="module")
def cold(log: Interactions) -> ColdItems:
    return hold_out_items(log, fraction=0.2, seed=3)


def test_no_event_of_a_chosen_item_is_left(log: Interactions, cold: ColdItems) -> None:
    train = cold.split.train
    assert len(cold.items) == 8 == cold.items.n_unique()
    assert not train.items.ids.is_in(cold.items.implode()).any()
    assert {*train.items.ids, *cold.items} == {*log.frame()["item"]}
    expected = log.frame().filter(~pl.col("item").is_in(cold.items.implode()))
    held = cold.split.test
    kept = len(train) + len(cold.split.validation.target) + len(held.target)
    assert kept == len(expected)


def test_rows_are_the_users_who_chose_such_an_item_last(
    log: Interactions, cold: ColdItems
) -> None:
    names = [*cold.split.train.items.ids, *cold.items]
    expected = {}
    for (user,), events in log.frame().group_by("user", maintain_order=True):
        *history, last = events["item"].to_list()
        history = [item for item in history if item not in {*cold.items}]
        if last in {*cold.items} and history:
            expected[user] = (history, [last])
    rows, found = cold.test, {}
    for n, user in enumerate(rows.user.tolist()):
        a, b = rows.history_ptr[n : n + 2].tolist()
        c, d = rows.target_ptr[n : n + 2].tolist()
        found[cold.split.train.users.ids[user]] = (
            [names[i] for i in rows.history[a:b].tolist()],
            [names[i] for i in rows.target[c:d].tolist()],
        )
    assert found == expected and len(found) > 3
    assert (rows.user.diff() > 0).all()


def test_the_seed_and_the_candidates_decide(log: Interactions) -> None:
    again = hold_out_items(log, fraction=0.2, seed=3)
    other = hold_out_items(log, fraction=0.2, seed=4)
    assert again.items.equals(hold_out_items(log, fraction=0.2, seed=3).items)
    assert not again.items.equals(other.items)
    among = log.items.ids[:10]
    chosen = hold_out_items(log, fraction=0.2, among=among).items
    assert chosen.is_in(among.implode()).all() and len(chosen) == 8
    assert chosen.equals(chosen.sort())


def test_too_few_items_are_refused() -> None:
    log = Interactions.from_arrays(np.zeros(4, int), np.arange(4))
    with pytest.raises(DataError, match="chose 0 of 4 items"):
        hold_out_items(log, fraction=0.0)
