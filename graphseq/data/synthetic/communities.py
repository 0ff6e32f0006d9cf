"""A log like those of shops: communities, drifting interests, noise and fashion."""

import numpy as np
import numpy.typing as npt

from graphseq.data.arrays import Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.synthetic.naming import check_seed, check_shares, check_sizes, names
from graphseq.errors import DataError

SUCCESSORS = np.array([0.6, 0.3, 0.1])  # how often each companion of an item is taken
SHORTEST = 5  # events of a user
BEGIN, SPAN, PAUSE = (
    1_577_836_800,
    2 * 365 * 86_400,
    3 * 86_400,
)  # seconds; from 2020 on


def communities(
    num_users: int = 2000,
    num_items: int = 800,
    num_communities: int = 20,
    *,
    mean_length: float = 12.0,
    follow: float = 0.6,
    drift: float = 0.1,
    noise: float = 0.05,
    skew: float = 1.0,
    seed: int = 0,
) -> Interactions:
    """Users who stay among the items of a community for a while, then drift on.

    At each step a user drifts to the next community in a ring (``drift``), or picks
    any item at all (``noise``); else takes one of three companions of the item before
    (``follow``), or what is in fashion in the community. So the last items tell much of
    the next one, who shares items shares interests, and popularity tells little.
    Nobody takes an item twice. The times are unix seconds over about two years.

    Args:
        num_users: U.
        num_items: V.
        num_communities: Communities of about V / num_communities items each.
        mean_length: Mean number of events of a user; none has fewer than 5.
        follow: How often a user takes a companion of the item before.
        drift: How often a user moves on to the next community.
        noise: How often a user takes an item at random.
        skew: Exponent of the popularity inside a community, rank ** -skew.
        seed: Of everything drawn.

    Raises:
        DataError: A number is out of range, or items are too few for such users.
    """
    check_sizes(num_users=num_users, num_communities=num_communities)
    check_seed(seed)
    check_shares(follow=follow, drift=drift, noise=noise)
    if mean_length < SHORTEST or skew < 0 or num_items < 4 * mean_length:
        raise DataError(
            f"communities() takes mean_length {SHORTEST} or more, skew 0 or more, and "
            f"num_items of 4 times mean_length or more; found {mean_length}, {skew}, "
            f"{num_items}"
        )
    if num_items < 4 * num_communities:
        raise DataError(
            f"a community has 4 items or more; found {num_items} items in "
            f"{num_communities} communities"
        )
    rng = np.random.default_rng(seed)
    shop = _Shop(num_items, num_communities, skew, rng)
    length = SHORTEST + rng.geometric(1 / (mean_length - SHORTEST + 1), num_users) - 1
    length = np.minimum(length, num_items // 4)
    walk = _walks(shop, num_users, 2 * int(length.max()), follow, drift, noise, rng)
    user, item = _first_visits(walk, length)
    pause = rng.exponential(PAUSE, len(user))
    begin = BEGIN + rng.integers(SPAN, size=num_users)
    return Interactions.from_arrays(
        user,
        rng.permutation(num_items)[item],  # so that ids tell nothing
        begin[user] + np.cumsum(pause).astype(np.int64) - _start_of(pause, user),
        users=names("user", num_users),
        items=names("item", num_items),
    )


class _Shop:
    """Items in communities: item i is number i // C of community i % C."""

    def __init__(
        self, num_items: int, count: int, skew: float, rng: np.random.Generator
    ) -> None:
        self.num_items, self.count = num_items, count
        self.sizes = (num_items - np.arange(count) + count - 1) // count
        weight = np.arange(1, self.sizes.max() + 1) ** -skew
        self.fashion = np.cumsum(weight) / weight.sum()
        place = rng.random((num_items, len(SUCCESSORS)))
        home = np.arange(num_items) % count
        self.companions = home[:, None] + count * (
            (place * self.sizes[home][:, None]).astype(np.int64)
        )

    def fashionable(self, home: Int64s, draw: npt.NDArray[np.float64]) -> Int64s:
        """An item of each community, (N,), by popularity; ``draw`` is uniform."""
        rank = np.minimum(np.searchsorted(self.fashion, draw), self.sizes[home] - 1)
        item: Int64s = home + self.count * rank
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
    """Items in the order in which the users come by them, repeats included, (U, T)."""
    home = rng.integers(shop.count, size=num_users)
    walk = np.empty((num_users, steps), dtype=np.int64)
    walk[:, 0] = last = shop.fashionable(home, rng.random(num_users))
    which = rng.choice(len(SUCCESSORS), p=SUCCESSORS, size=walk.shape)
    for step in range(1, steps):
        drifts = rng.random(num_users) < drift
        home = (home + drifts) % shop.count
        # Whoever drifted, or strayed from home by noise, begins anew at home.
        follows = (rng.random(num_users) < follow) & (last % shop.count == home)
        fashion = shop.fashionable(home, rng.random(num_users))
        item = np.where(follows, shop.companions[last, which[:, step]], fashion)
        stray = rng.random(num_users) < noise
        last = np.where(stray, rng.integers(shop.num_items, size=num_users), item)
        walk[:, step] = last
    return walk


def _first_visits(walk: Int64s, length: Int64s) -> tuple[Int64s, Int64s]:
    """The first ``length[u]`` distinct items of each row: users and items, (E,)."""
    num_users = len(walk)
    pair = (np.arange(num_users)[:, None] * (walk.max() + 1) + walk).reshape(-1)
    fresh = np.zeros(walk.size, dtype=np.bool_)
    fresh[np.unique(pair, return_index=True)[1]] = True
    new = fresh.reshape(walk.shape)
    new &= np.cumsum(new, axis=1) <= length[:, None]
    return np.repeat(np.arange(num_users), new.sum(axis=1)), walk[new]


def _start_of(pause: npt.NDArray[np.float64], user: Int64s) -> Int64s:
    """The sum of pauses before each event's user began, (E,)."""
    total = np.concatenate(([0.0], np.cumsum(pause)))
    first = np.searchsorted(user, user)
    start: Int64s = total[first].astype(np.int64)
    return start
