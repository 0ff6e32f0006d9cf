"""Logs for the benchmarks: a real one, and heavy-tailed synthetic ones of any size."""

import sys

import numpy as np
import polars as pl

from benchmarks.cases import beauty_file
from graphseq.data import Interactions, Vocabulary


def beauty() -> Interactions:
    """Amazon Beauty: 22,363 users, 12,101 items, 198,502 events; or one of its size."""
    file = beauty_file()
    if file is None:
        print("Amazon Beauty not found: a synthetic log of its size", file=sys.stderr)
        return heavy_tailed(22_363, 12_101, 198_502)
    lines = file.read_text().splitlines()
    rows = [list(map(int, line.split())) for line in lines]
    user = np.concatenate([np.full(len(row) - 1, row[0] - 1) for row in rows])
    item = np.concatenate([np.array(row[1:]) - 1 for row in rows])
    return Interactions.from_arrays(user, item)


def heavy_tailed(users: int, items: int, events: int, seed: int = 0) -> Interactions:
    """Log-normal activity (median about 8) and Zipf-like popularity."""
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(2.0, 0.95, users)
    length = (activity / activity.sum() * events).round().astype(np.int64).clip(3)
    popularity = (np.arange(items) + 20.0) ** -0.75
    picked = rng.choice(items, length.sum(), p=popularity / popularity.sum())
    item = rng.permutation(items)[picked]
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
    scale = events / 8_898_041
    users, items = round(459_133 * scale), round(313_966 * scale)
    rng = np.random.default_rng(seed)
    activity = np.cumsum(rng.lognormal(2.0, 0.95, users))
    user = np.searchsorted(activity, np.sort(rng.random(events)) * activity[-1])
    popularity = np.cumsum((np.arange(items) + 20.0) ** -0.698)
    picked = np.searchsorted(popularity, rng.random(events) * popularity[-1])
    return Interactions.from_arrays(
        user,
        rng.permutation(items)[picked],
        users=Vocabulary(pl.int_range(users, eager=True)),
        items=Vocabulary(pl.int_range(items, eager=True)),
    )
