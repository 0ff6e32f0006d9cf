"""The logs of the checks have the structure that they are said to have."""

import numpy as np

from graphseq.testing import samples


def test_the_weighted_log_has_all_items_and_weights() -> None:
    log = samples.weighted_log()
    assert (log.num_users, log.num_items) == (24, 12)
    assert log.weight is not None and {*log.weight.tolist()} == {1, 2, 3, 4, 5}


def test_shuffling_keeps_users_times_and_the_counts_of_items() -> None:
    log = samples.ring()
    other = samples.shuffled(log)
    assert np.array_equal(log.user, other.user)
    assert np.array_equal(np.sort(log.item), np.sort(other.item))
    assert not np.array_equal(log.item, other.item)


def test_changes_name_what_differs() -> None:
    graph = samples.graph_of(samples.ring())
    before = samples.snapshot(graph)
    assert samples.changes(graph, before) == []
    store = graph["item", "precedes", "item"]
    store.edge_weight = store.edge_weight + 1
    del graph["user", "interacts", "item"].time
    assert samples.changes(graph, before) == [
        "user interacts item time",
        "item precedes item edge_weight",
    ]
