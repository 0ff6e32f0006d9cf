"""Synthetic logs whose next item depends on the last one or two: Markov chains."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from graphseq.data.arrays import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.vocabulary import Vocabulary
from graphseq.schema import Count, Fraction, Size, checked

Order = Literal[1, 2]


@checked
def cycle(
    num_users: Size = 24, num_items: Size = 12, length: Size = 8, *, seed: Count = 0
) -> Interactions:
    """Each user walks through a ring of items, i, i + 1, …, from a random start.

    The next item is certain, so a sequential model must learn to predict it; all items
    are equally popular if ``num_users`` is a multiple of ``num_items``.

    >>> log = cycle(num_users=2, num_items=3, length=4)
    >>> log.items.decode(log.item)[:4]
    ['item-2', 'item-0', 'item-1', 'item-2']

    Args:
        num_users: U.
        num_items: V, the length of the ring.
        length: Events per user.
        seed: Seed of the starts: all items in a random order, repeated.

    Raises:
        OptionError: An argument is out of range.
    """
    order = np.random.default_rng(seed).permutation(num_items)
    start = np.resize(order, num_users)
    return log_of((start[:, None] + np.arange(length)) % num_items, num_items)


@checked
def transition_matrix(
    num_items: Size, *, order: Order = 1, randomness: Fraction = 0.1, seed: Count = 0
) -> npt.NDArray[np.float64]:
    """Transition probabilities of :func:`markov`.

    Each state has one preferred successor; otherwise the next item is uniform: P =
    (1 - randomness) · preferred + randomness / V. With order 1 the preferred successors
    form one ring through all items. With order 2 each item is preferred after each last
    item for exactly one item before it, so that the last item alone is not informative.

    Returns:
        P[i, j], (V, V), from i to j; or P[h, i, j], (V, V, V), from h, then i, to j.

    Raises:
        OptionError: The order is neither 1 nor 2, or an argument is out of range.
    """
    preferred = _preferred(num_items, order, seed)
    matrix = np.full((*preferred.shape, num_items), randomness / num_items)
    likely = np.take_along_axis(matrix, preferred[..., None], axis=-1)
    np.put_along_axis(matrix, preferred[..., None], likely + 1 - randomness, axis=-1)
    return matrix


@checked
def markov(
    num_users: Size = 500,
    num_items: Size = 50,
    length: Size = 20,
    *,
    order: Order = 1,
    randomness: Fraction = 0.1,
    seed: Count = 0,
) -> Interactions:
    """Random walks by :func:`transition_matrix` of the same arguments.

    With little randomness a model that reads ``order`` items must do well; with
    ``randomness=1`` every item is uniform, and no model may beat chance.

    Source:
        Kula, Spotlight, ``spotlight/datasets/synthetic.py``, 2017.

    Departs from the source:
        The preferred successors are a ring or a Latin square instead of samples from a
        Dirichlet distribution, so that the best possible hit rate is known.

    Raises:
        OptionError: The order is neither 1 nor 2, or an argument is out of range.
    """
    preferred = _preferred(num_items, order, seed)
    rng = np.random.default_rng([seed, 1])
    walk = rng.integers(num_items, size=(num_users, length))
    follows = rng.random(walk.shape) >= randomness
    for step in range(order, length):
        state = tuple(walk[:, step - back] for back in range(order, 0, -1))
        walk[:, step] = np.where(follows[:, step], preferred[state], walk[:, step])
    return log_of(walk, num_items)


def _preferred(num_items: int, order: int, seed: int) -> Int64s:
    """The preferred successor of each state, (V,) or (V, V)."""
    ring = np.random.default_rng(seed).permutation(num_items)
    if order == 1:
        preferred = np.empty(num_items, dtype=np.int64)
        preferred[ring] = np.roll(ring, -1)
        return preferred
    index = np.arange(num_items)
    square: Int64s = ring[(index[:, None] + index) % num_items]
    return square


def log_of(items: Int64s, num_items: int) -> Interactions:
    """A log from a table of items, one row per user, (U, length); times are 0, 1, …."""
    num_users, length = items.shape
    return Interactions.from_arrays(
        np.repeat(np.arange(num_users), length),
        items.reshape(-1),
        np.tile(np.arange(length), num_users),
        users=raw_ids("user", num_users),
        items=raw_ids("item", num_items),
    )


def raw_ids(kind: str, count: int) -> Vocabulary:
    """Raw ids that differ visibly from dense ones: "item-0", "item-1", …."""
    return Vocabulary([f"{kind}-{number}" for number in range(count)])
