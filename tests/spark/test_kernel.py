"""The numpy kernels of the workers against loops; they need no Spark."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graphseq.spark.kernel import (
    before,
    count_events,
    count_transitions,
    renumber,
    weigh_transitions,
)

USERS, ITEMS = 4, 5
events = st.lists(
    st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1), st.integers(0, 6)),
    min_size=1,
    max_size=30,
)


def batch_of(rows: list[tuple[int, int, int]]) -> dict[str, np.ndarray]:
    user, item, time = np.array(rows).T
    return {"user": user, "item": item, "time": time, "row": np.arange(len(rows))}


@given(rows=events, seed=st.integers(0, 99))
def test_events_of_removed_users_and_items_are_dropped(
    rows: list[tuple[int, int, int]], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    users, items = chance.integers(-1, 3, USERS), chance.integers(-1, 3, ITEMS)
    made = renumber(users.astype(np.int32), items.astype(np.int32), batch_of(rows))
    expected = [
        (users[u], items[i], t, row)
        for row, (u, i, t) in enumerate(rows)
        if users[u] >= 0 and items[i] >= 0
    ]
    assert [*zip(*(column.tolist() for column in made.values()), strict=True)] == (
        expected
    )


@given(rows=events, seed=st.integers(0, 99))
def test_events_are_counted_per_user_and_item(
    rows: list[tuple[int, int, int]], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    users, items = chance.random(USERS) < 0.7, chance.random(ITEMS) < 0.7
    made = count_events(users, items, batch_of(rows))
    found = {
        (kind, id): n
        for kind, id, n in zip(*(made[c] for c in ("kind", "id", "n")), strict=True)
    }
    kept = [(u, i) for u, i, _ in rows if users[u] and items[i]]
    assert found == Counter([(0, u) for u, _ in kept] + [(1, i) for _, i in kept])


@given(rows=events, seed=st.integers(0, 99))
def test_events_before_a_cut_are_kept(
    rows: list[tuple[int, int, int]], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    time, row = chance.integers(0, 7, USERS), chance.integers(0, len(rows), USERS)
    made = before(time, row, batch_of(rows))
    assert made["row"].tolist() == [
        n for n, (u, _, t) in enumerate(rows) if (t, n) < (time[u], row[u])
    ]


@given(
    rows=events,
    window=st.integers(1, 3),
    self_loops=st.booleans(),
    decay=st.sampled_from([1.0, 0.5, 0.3]),
)
def test_transitions_are_counted_and_weighed_by_distance(
    rows: list[tuple[int, int, int]], window: int, self_loops: bool, decay: float
) -> None:
    expected: Counter[tuple[int, int, int]] = Counter()
    for user in range(USERS):
        timed = sorted((t, n, i) for n, (u, i, t) in enumerate(rows) if u == user)
        items = [item for _, _, item in timed]
        for later, target in enumerate(items):
            for distance in range(1, min(window, later) + 1):
                source = items[later - distance]
                if self_loops or source != target:
                    expected[source, target, distance] += 1
    counted = count_transitions(window, self_loops, batch_of(rows))
    names = ("source", "target", "distance", "n")
    found = {
        (s, t, d): n for s, t, d, n in zip(*(counted[c] for c in names), strict=True)
    }
    assert found == expected
    weights: dict[tuple[int, int], float] = {}
    for (source, target, distance), n in expected.items():
        pair = source, target
        weights[pair] = weights.get(pair, 0.0) + n * decay ** (distance - 1)
    made = weigh_transitions(decay, counted)
    pairs = [*zip(made["source"].tolist(), made["target"].tolist(), strict=True)]
    assert pairs == sorted(weights)
    np.testing.assert_allclose(made["weight"], [weights[p] for p in pairs], rtol=1e-6)
