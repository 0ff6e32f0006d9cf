"""A synthetic log like those of shops: communities, drift, noise and popularity."""

import numpy as np
import numpy.typing as npt

from graphseq.data.arrays import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.synthetic.chains import raw_ids
from graphseq.errors import DataError
from graphseq.schema import Count, Fraction, Size, Weight, checked

SUCCESSORS = np.array([0.6, 0.3, 0.1])  # probability of each companion of an item
SHORTEST = 5  # events of a user
START = 1_577_836_800  # unix seconds, 2020
SPAN, PAUSE = 2 * 365 * 86_400, 3 * 86_400  # seconds


@checked
def communities(
    num_users: Size = 2000,
    num_items: Size = 800,
    num_communities: Size = 20,
    *,
    mean_length: float = 12.0,
    follow: Fraction = 0.6,
    drift: Fraction = 0.1,
    noise: Fraction = 0.05,
    skew: Weight = 1.0,
    seed: Count = 0,
) -> Interactions:
    """Users stay among the items of a community for a while, then drift to the next.

    At each step a user drifts to the next community in a ring (``drift``), or picks any
    item (``noise``); otherwise the user takes one of three companions of the previous
    item (``follow``), or an item of the community by popularity. So sequences and
    neighbours predict the next item much better than global popularity. No user has an
    item twice. Times are unix seconds over about two years.

    Args:
        num_users: U.
        num_items: V.
        num_communities: Communities of about V / num_communities items each.
        mean_length: Mean number of events per user; the minimum is 5.
        follow: Probability of a companion of the previous item.
        drift: Probability of moving to the next community.
        noise: Probability of a uniformly random item.
        skew: Exponent of the popularity inside a community, rank ** -skew.
        seed: Seed of all draws.

    Raises:
        OptionError: An argument is out of range.
        DataError: There are too few items, or ``mean_length`` is below 5.
    """
    if mean_length < SHORTEST:
        raise DataError(
            f"communities() needs mean_length >= {SHORTEST}; found {mean_length}"
        )
    if num_items < 4 * max(mean_length, num_communities):
        raise DataError(
            "communities() needs num_items of at least 4 times mean_length and 4 times "
            f"num_communities; found num_items={num_items}, mean_length={mean_length}, "
            f"num_communities={num_communities}. Add items"
        )
    rng = np.random.default_rng(seed)
    shop = _Shop(num_items, num_communities, skew, rng)
    length = SHORTEST + rng.geometric(1 / (mean_length - SHORTEST + 1), num_users) - 1
    length = np.minimum(length, num_items // 4)
    walk = _walks(shop, num_users, 2 * int(length.max()), follow, drift, noise, rng)
    user, item = _first_visits(walk, length)
    pause = rng.exponential(PAUSE, len(user))
    begin = START + rng.integers(SPAN, size=num_users)
    return Interactions.from_arrays(
        user,
        rng.permutation(num_items)[item],  # so that ids are not informative
        begin[user] + np.cumsum(pause).astype(np.int64) - _start_of(pause, user),
        users=raw_ids("user", num_users),
        items=raw_ids("item", num_items),
    )


class _Shop:
    """Items in communities: item i is number i // C of community i % C."""

    def __init__(
        self, num_items: int, count: int, skew: float, rng: np.random.Generator
    ) -> None:
        self.num_items, self.count = num_items, count
        self.sizes = (num_items - np.arange(count) + count - 1) // count
        weight = np.arange(1, self.sizes.max() + 1) ** -skew
        self.popularity = np.cumsum(weight) / weight.sum()
        draw = rng.random((num_items, len(SUCCESSORS)))
        community = np.arange(num_items) % count
        self.companions = community[:, None] + count * (
            (draw * self.sizes[community][:, None]).astype(np.int64)
        )

    def popular(self, community: Int64s, draw: npt.NDArray[np.float64]) -> Int64s:
        """An item of each community by popularity, (N,); ``draw`` is uniform."""
        rank = np.minimum(
            np.searchsorted(self.popularity, draw), self.sizes[community] - 1
        )
        item: Int64s = community + self.count * rank
        return item


def _walks(
    shop: _Shop,
    num_users: int,
    steps: int,
    follow: float,
    drift: float,
    noise: float,
    rng: np.random.Generator,
) -> Int64s:
    """Items in the order of the users' visits, with repeats, (U, T)."""
    community = rng.integers(shop.count, size=num_users)
    walk = np.empty((num_users, steps), dtype=np.int64)
    walk[:, 0] = last = shop.popular(community, rng.random(num_users))
    which = rng.choice(len(SUCCESSORS), p=SUCCESSORS, size=walk.shape)
    for step in range(1, steps):
        drifts = rng.random(num_users) < drift
        community = (community + drifts) % shop.count
        # After a drift or a noise item, the next one is chosen by popularity.
        follows = (rng.random(num_users) < follow) & (last % shop.count == community)
        popular = shop.popular(community, rng.random(num_users))
        item = np.where(follows, shop.companions[last, which[:, step]], popular)
        stray = rng.random(num_users) < noise
        last = np.where(stray, rng.integers(shop.num_items, size=num_users), item)
        walk[:, step] = last
    return walk


def _first_visits(walk: Int64s, length: Int64s) -> tuple[Int64s, Int64s]:
    """The first ``length[u]`` distinct items of each row: users and items, (E,)."""
    num_users = len(walk)
    pair = (np.arange(num_users)[:, None] * (walk.max() + 1) + walk).reshape(-1)
    first = np.zeros(walk.size, dtype=np.bool_)
    first[np.unique(pair, return_index=True)[1]] = True
    new = first.reshape(walk.shape)
    new &= np.cumsum(new, axis=1) <= length[:, None]
    return np.repeat(np.arange(num_users), new.sum(axis=1)), walk[new]


def _start_of(pause: npt.NDArray[np.float64], user: Int64s) -> Int64s:
    """Sum of all pauses before the first event of each event's user, (E,)."""
    total = np.concatenate(([0.0], np.cumsum(pause)))
    first = np.searchsorted(user, user)
    start: Int64s = total[first].astype(np.int64)
    return start
