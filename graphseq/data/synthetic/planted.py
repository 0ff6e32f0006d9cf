"""A log in which it is known which items of a history tell the next one."""

import numpy as np

from graphseq.data.arrays import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.synthetic.naming import check_seed, check_sizes, names
from graphseq.errors import DataError


def planted(
    num_users: int = 2000,
    *,
    categories: int = 20,
    size: int = 8,
    noise: int = 100,
    important: int = 3,
    length: int = 10,
    seed: int = 0,
) -> Interactions:
    """Users whose last item follows from a few items at random places before it.

    A user draws a category, and takes ``important`` different items of it at random
    places of a history of ``length`` events; the other places get different noise
    items, drawn uniformly, and the last event of all is a further item of the category.

    Items below ``categories · size`` belong to category ``item // size``; those from
    there on are noise. So a place of a history is important if and only if its item is
    below that number.

    Source:
        For the experiment of Wang et al., EC4SRec, CIKM 2022, Table 1.

    Departs from the source:
        The paper does not describe its generator; this one has the same effect.

    Args:
        num_users: U.
        categories: Categories of items.
        size: Items in a category.
        noise: Items that belong to none.
        important: Items of a history that are of the user's category.
        length: Events of a user but the last.
        seed: Of everything drawn.

    Raises:
        DataError: A size is below 1, or there are too few items of a kind.
    """
    check_sizes(
        num_users=num_users,
        categories=categories,
        size=size,
        noise=noise,
        important=important,
        length=length,
    )
    if important >= size or not 0 <= length - important <= noise:
        raise DataError(
            "planted() puts important items of one category and different noise items "
            f"in a history, and one more of the category after it: important < size "
            f"and length - important in 0 … noise; found important={important}, "
            f"size={size}, length={length}, noise={noise}"
        )
    check_seed(seed)
    rng = np.random.default_rng(seed)
    own = rng.integers(categories, size=(num_users, 1)) * size
    own = own + _different(size, important + 1, num_users, rng)
    others = categories * size + _different(noise, length - important, num_users, rng)
    history = rng.permuted(np.concatenate([own[:, 1:], others], axis=1), axis=1)
    items = np.concatenate([history, own[:, :1]], axis=1)
    return Interactions.from_arrays(
        np.repeat(np.arange(num_users), length + 1),
        items.reshape(-1),
        np.tile(np.arange(length + 1), num_users),
        users=names("user", num_users),
        items=names("item", categories * size + noise),
    )


def _different(among: int, count: int, rows: int, rng: np.random.Generator) -> Int64s:
    """For every row ``count`` different numbers below ``among``, (rows, count)."""
    drawn: Int64s = rng.random((rows, among)).argsort(axis=1)[:, :count]
    return drawn
