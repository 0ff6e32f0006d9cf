"""Logs in which the last item, or the last two, tell the next."""

import numpy as np
import numpy.typing as npt

from graphseq.data.arrays import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.synthetic.naming import check_seed, check_shares, check_sizes, names
from graphseq.errors import DataError


def cycle(
    num_users: int = 24, num_items: int = 12, length: int = 8, *, seed: int = 0
) -> Interactions:
    """Every user walks the items in a ring, i, i + 1, …, from a start of their own.

    The next item is certain, so a model that reads sequences must learn to name it;
    popularity tells nothing as long as ``num_users`` is a multiple of ``num_items``.

    >>> log = cycle(num_users=2, num_items=3, length=4)
    >>> log.items.decode(log.item)[:4]
    ['item-2', 'item-0', 'item-1', 'item-2']

    Args:
        num_users: U.
        num_items: V, the length of the ring.
        length: Events of every user.
        seed: Of the starts: all items in a random order, over and over.

    Raises:
        DataError: A size is below 1.
    """
    check_sizes(num_users=num_users, num_items=num_items, length=length)
    check_seed(seed)
    order = np.random.default_rng(seed).permutation(num_items)
    start = np.resize(order, num_users)
    return _table((start[:, None] + np.arange(length)) % num_items, num_items)


def transition_matrix(
    num_items: int, *, order: int = 1, randomness: float = 0.1, seed: int = 0
) -> npt.NDArray[np.float64]:
    """How likely each item follows, as :func:`markov` draws it.

    A state has one favourite successor, and else any item: P = (1 - randomness) ·
    favourite + randomness / V. With order 1 the favourites form one ring through all
    items. With order 2 every item is the favourite of each last item with just one
    item before it, so that the last item alone tells nothing.

    Returns:
        P[i, j], (V, V), from i to j; or P[h, i, j], (V, V, V), from h, then i, to j.

    Raises:
        DataError: The order is neither 1 nor 2, or a number is out of range.
    """
    check_sizes(num_items=num_items)
    check_seed(seed)
    check_shares(randomness=randomness)
    favourite = _favourites(num_items, order, seed)
    chance = np.full((*favourite.shape, num_items), randomness / num_items)
    likely = np.take_along_axis(chance, favourite[..., None], axis=-1)
    np.put_along_axis(chance, favourite[..., None], likely + 1 - randomness, axis=-1)
    return chance


def markov(
    num_users: int = 500,
    num_items: int = 50,
    length: int = 20,
    *,
    order: int = 1,
    randomness: float = 0.1,
    seed: int = 0,
) -> Interactions:
    """Users who walk by :func:`transition_matrix` of the same arguments.

    With little randomness a model of the order of the chain must do well; with
    ``randomness=1`` every item is drawn uniformly, and none may do better than chance.

    Source:
        Kula, Spotlight, ``spotlight/datasets/synthetic.py``, 2017.

    Departs from the source:
        The favourites are a ring or a Latin square, not drawn from a Dirichlet
        distribution, so the best possible hit rate is known.

    Raises:
        DataError: The order is neither 1 nor 2, or a number is out of range.
    """
    check_sizes(num_users=num_users, num_items=num_items, length=length)
    check_seed(seed)
    check_shares(randomness=randomness)
    favourite = _favourites(num_items, order, seed)
    rng = np.random.default_rng([seed, 1])
    walk = rng.integers(num_items, size=(num_users, length))
    keeps = rng.random(walk.shape) >= randomness
    for step in range(order, length):
        state = tuple(walk[:, step - back] for back in range(order, 0, -1))
        walk[:, step] = np.where(keeps[:, step], favourite[state], walk[:, step])
    return _table(walk, num_items)


def _favourites(num_items: int, order: int, seed: int) -> Int64s:
    """The favourite successor of each state, (V,) or (V, V)."""
    if order not in (1, 2):
        raise DataError(f"a chain is of order 1 or 2; found {order}")
    ring = np.random.default_rng(seed).permutation(num_items)
    if order == 1:
        favourite = np.empty(num_items, dtype=np.int64)
        favourite[ring] = np.roll(ring, -1)
        return favourite
    place = np.arange(num_items)
    square: Int64s = ring[(place[:, None] + place) % num_items]
    return square


def _table(items: Int64s, num_items: int) -> Interactions:
    """A log from one row of items a user, (U, length); event t has the time t."""
    num_users, length = items.shape
    return Interactions.from_arrays(
        np.repeat(np.arange(num_users), length),
        items.reshape(-1),
        np.tile(np.arange(length), num_users),
        users=names("user", num_users),
        items=names("item", num_items),
    )
