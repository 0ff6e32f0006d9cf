"""The items with the highest scores, by numpy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LAST_ID = 2**31 - 1

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


class Lists(NamedTuple):
    """The best items of N users.

    Attributes:
        items: Rows of items, best first, (N, k); -1 where there are fewer than k.
        scores: Their scores, (N, k); -inf at -1.
    """

    items: Rows
    scores: Vectors


def best_items(scores: Vectors, k: int) -> Lists:
    """The k best columns of each row: largest score first, ties by ascending column.

    Args:
        scores: float32, (N, V); -inf excludes a column.
        k: Length of the lists.
    """
    size = scores.shape[1]
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    keys = (bits ^ ((bits >> 31) & LAST_ID)).astype(np.int64) << 32
    keys |= LAST_ID - np.arange(size, dtype=np.int64)
    if k < size:
        keys = np.partition(keys, size - k, axis=1)[:, size - k :]
    keys = -np.sort(-keys, axis=1)
    items = LAST_ID - (keys & 0xFFFFFFFF)
    values = np.take_along_axis(scores, items, axis=1)
    items[np.isneginf(values)] = -1
    missing = ((0, 0), (0, max(0, k - size)))
    return Lists(
        np.pad(items, missing, constant_values=-1),
        np.pad(values, missing, constant_values=-np.inf),
    )
