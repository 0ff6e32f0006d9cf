"""A synthetic log in which the important items of each history are known."""

import numpy as np

from graphseq.data.arrays import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.synthetic.chains import log_of
from graphseq.errors import DataError
from graphseq.schema import Count, Size, checked


@checked
def planted(
    num_users: Size = 2000,
    *,
    categories: Size = 20,
    size: Size = 8,
    noise: Size = 100,
    important: Size = 3,
    length: Size = 10,
    seed: Count = 0,
) -> Interactions:
    """Each user's last item follows from a few items at random positions before it.

    A user draws a category, and ``important`` distinct items of it at random positions
    of a history of ``length`` events. The other positions hold distinct noise items,
    drawn uniformly. The last event is one more item of the category.

    Items below ``categories · size`` belong to category ``item // size``; the others
    are noise. So a position is important if and only if its item is below that number.
    This holds in the log: a split numbers items by their raw ids, ``item-10`` before
    ``item-2``.

    Source:
        For the experiment of Wang et al., EC4SRec, CIKM 2022, Table 1.

    Departs from the source:
        The paper does not describe its generator; this one has the same effect.

    Args:
        num_users: U.
        categories: Number of item categories.
        size: Items per category.
        noise: Items without a category.
        important: Items of the user's category in a history.
        length: Events per user, without the last.
        seed: Seed of all draws.

    Raises:
        OptionError: An argument is out of range.
        DataError: There are too few items of a kind.
    """
    if important >= size or not 0 <= length - important <= noise:
        raise DataError(
            "planted() draws distinct items: important < size, and length - important "
            f"from 0 to noise; found important={important}, size={size}, "
            f"length={length}, noise={noise}. Change one of them"
        )
    rng = np.random.default_rng(seed)
    own = rng.integers(categories, size=(num_users, 1)) * size
    own = own + _different(size, important + 1, num_users, rng)
    others = categories * size + _different(noise, length - important, num_users, rng)
    history = rng.permuted(np.concatenate([own[:, 1:], others], axis=1), axis=1)
    items = np.concatenate([history, own[:, :1]], axis=1)
    return log_of(items, categories * size + noise)


def _different(high: int, count: int, rows: int, rng: np.random.Generator) -> Int64s:
    """For each row ``count`` distinct numbers below ``high``, (rows, count)."""
    drawn: Int64s = rng.random((rows, high)).argsort(axis=1)[:, :count]
    return drawn
