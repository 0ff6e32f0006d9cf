"""Logs to measure on: a real one, and heavy-tailed ones of any size."""

import numpy as np
import polars as pl

from benchmarks.cases import beauty_file
from graphseq.data import Interactions, Vocabulary


def beauty() -> Interactions:
    """Amazon Beauty: 22,363 users, 12,101 items, 198,502 events; or one of its size."""
    file = beauty_file()
    if file is None:
        return heavy_tailed(22_363, 12_101, 198_502)
    lines = file.read_text().splitlines()
    rows = [list(map(int, line.split())) for line in lines]
    user = np.concatenate([np.full(len(row) - 1, row[0] - 1) for row in rows])
    item = np.concatenate([np.array(row[1:]) - 1 for row in rows])
    return Interactions.from_arrays(user, item)


def heavy_tailed(users: int, items: int, events: int, seed: int = 0) -> Interactions:
    """Log-normal activity (median near 8) and Zipf-like popularity, no pair certain."""
    chance = np.random.default_rng(seed)
    activity = chance.lognormal(2.0, 0.95, users)
    length = (activity / activity.sum() * events).round().astype(np.int64).clip(3)
    popularity = (np.arange(items) + 20.0) ** -0.75
    drawn = chance.choice(items, length.sum(), p=popularity / popularity.sum())
    item = chance.permutation(items)[drawn]
    return Interactions.from_arrays(
        np.repeat(np.arange(users), length),
        item,
        users=Vocabulary(pl.int_range(users, eager=True)),
        items=Vocabulary(pl.int_range(items, eager=True)),
    )


def cds() -> Interactions:
    """A log of the size of Amazon CDs: 75k users, 64k items, 1.1M events."""
    return heavy_tailed(75_000, 64_000, 1_100_000)


def large() -> Interactions:
    """450k users, 300k items, 10M events."""
    return heavy_tailed(450_000, 300_000, 10_000_000)


def books(events: int = 8_898_041, seed: int = 0) -> Interactions:
    """A log with the sizes of Amazon Books, 459,133 users and 313,966 items, or scaled.

    Log-normal activity, and popularity like a Zipf law's, tuned so that users share
    items 2.9 billion times, themselves included (the sum of the squared popularities).
    """
    share = events / 8_898_041
    users, items = round(459_133 * share), round(313_966 * share)
    chance = np.random.default_rng(seed)
    activity = np.cumsum(chance.lognormal(2.0, 0.95, users))
    user = np.searchsorted(activity, np.sort(chance.random(events)) * activity[-1])
    popularity = np.cumsum((np.arange(items) + 20.0) ** -0.698)
    drawn = np.searchsorted(popularity, chance.random(events) * popularity[-1])
    return Interactions.from_arrays(
        user,
        chance.permutation(items)[drawn],
        users=Vocabulary(pl.int_range(users, eager=True)),
        items=Vocabulary(pl.int_range(items, eager=True)),
    )
