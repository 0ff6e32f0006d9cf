"""A test of items without events: some are held out of the log, with all events."""

from typing import NamedTuple

import numpy as np
import polars as pl

from graphseq.data.ids import RawIds
from graphseq.data.interactions import Interactions
from graphseq.data.split import HeldOut, Split, leave_one_out
from graphseq.errors import DataError
from graphseq.schema import Count, Fraction, checked


class ColdItems(NamedTuple):
    """A log without some of its items, and the users who chose one of them last.

    Attributes:
        split: Leave-one-out of the events of all other items.
        items: Raw ids of the items held out, ascending.
        test: Users whose last event is one of them, which is the target. Items are
            numbered as in a graph of ``split`` to which ``items`` are added.
    """

    split: Split
    items: pl.Series
    test: HeldOut


@checked
def hold_out_items(
    log: Interactions,
    *,
    fraction: Fraction = 0.1,
    seed: Count = 0,
    among: RawIds | None = None,
) -> ColdItems:
    """Hold out a random fraction of the items, with all of their events.

    A model that is trained on ``split`` has never seen them. Its history of a test user
    holds all events of other items before the target.

    Args:
        log: Events.
        fraction: Fraction of the items.
        seed: Seed of the choice.
        among: Raw ids from which items are chosen, such as those that are described;
            ``None``: all.

    Raises:
        DataError: No item is chosen, no user chose one last, or no event is left.
    """
    log = log.sorted_by_id()
    possible = np.unique(log.item)
    if among is not None:
        dense = log.items.encode(among, missing=-1)
        possible = np.intersect1d(possible, dense)
    number = min(round(fraction * log.num_items), len(possible))
    chosen = np.sort(np.random.default_rng(seed).permutation(possible)[:number])
    cold = np.zeros(log.num_items, np.bool_)
    cold[chosen] = True
    is_cold = cold[log.item]
    warm = log.select(~is_cold)
    last = log.pointers[1:] - 1
    users = np.flatnonzero(
        (log.lengths > 0)
        & is_cold[np.maximum(last, 0)]
        & (np.bincount(log.user[~is_cold], minlength=log.num_users) > 0)
    )
    if not len(users):
        raise DataError(
            f"hold_out_items chose {number:,} of {log.num_items:,} items, and none of "
            "them is the last of a user with other events. Hold out a larger fraction"
        )
    import torch

    dense = warm.users.encode(log.users.ids.gather(users))
    starts, stops = warm.pointers[dense], warm.pointers[dense + 1]
    lengths = stops - starts
    ends = np.concatenate(([0], np.cumsum(lengths)))
    history = warm.item[np.repeat(starts - ends[:-1], lengths) + np.arange(ends[-1])]
    target = warm.num_items + np.searchsorted(chosen, log.item[last[users]])
    columns = (dense, history, ends, target, np.arange(len(users) + 1))
    rows = HeldOut(*(torch.from_numpy(column.astype(np.int64)) for column in columns))
    return ColdItems(leave_one_out(warm), log.items.ids.gather(chosen), rows)
