"""Windows on the sequences: their targets, and the history of each target."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import leave_one_out, read_log
from graphseq.graphs import build_graph
from graphseq.sequences import Examples, examples
from graphseq.sequences.samplers import gather

Written = Callable[..., HeteroData]
TOY = [[0, 1, 2, 3, 4], [5], [], [6, 7]]


def positions(found: Examples) -> list[tuple[int, list[int], list[int]]]:
    """(user, positions read, positions of the targets) of every window."""
    columns = zip(
        found.user.tolist(),
        found.start.tolist(),
        found.length.tolist(),
        found.first.tolist(),
        strict=True,
    )
    return [
        (
            user,
            list(range(start, start + length)),
            list(range(start + first + 1, start + length + 1)),
        )
        for user, start, length, first in columns
    ]


def test_targets_of_a_sequence_that_fits_are_one_window(written: Written) -> None:
    found = positions(examples(written(TOY), "targets", 50))
    assert found == [(0, [0, 1, 2, 3], [1, 2, 3, 4]), (3, [6], [7])]


def test_a_user_is_one_window_of_the_newest_items(written: Written) -> None:
    found = positions(examples(written(TOY), "user", 50))
    assert found == [(0, [0, 1, 2, 3], [1, 2, 3, 4]), (3, [6], [7])]
    found = positions(examples(written(TOY), "user", 2))
    assert found == [(0, [2, 3], [3, 4]), (3, [6], [7])]


def test_every_prefix_is_a_window_with_one_target(written: Written) -> None:
    found = positions(examples(written(TOY), "prefix", 50))
    assert found == [
        (0, [0], [1]),
        (0, [0, 1], [2]),
        (0, [0, 1, 2], [3]),
        (0, [0, 1, 2, 3], [4]),
        (3, [6], [7]),
    ]
    assert positions(examples(written(TOY), "prefix", 2))[3] == (0, [2, 3], [4])


def test_a_first_event_is_the_target_of_an_empty_window(written: Written) -> None:
    graph = written(TOY)
    found = examples(graph, "prefix", 2, empty_history=True)
    assert positions(found) == [
        (0, [], [0]),
        (0, [0], [1]),
        (0, [0, 1], [2]),
        (0, [1, 2], [3]),
        (0, [2, 3], [4]),
        (1, [], [5]),
        (3, [], [6]),
        (3, [6], [7]),
    ]
    flat = graph[INTERACTS].edge_index[1]
    batch = gather(flat, found, torch.arange(8), 8)
    assert batch.lengths.tolist() == [0, 1, 2, 2, 2, 0, 0, 1]
    at = (batch.lengths - 1).clamp(min=0)
    assert batch.targets[torch.arange(8), at].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert int((batch.targets < 8).sum()) == 8


def test_every_event_is_a_pair(written: Written) -> None:
    found = positions(examples(written(TOY), "pairs", 50))
    users = [0] * 5 + [1] + [3] * 2
    assert [(u, t) for u, _, t in found] == [(u, [e]) for e, u in enumerate(users)]


def test_the_user_of_the_specification_has_four_prefixes(written: Written) -> None:
    """5.5: of seven events two are held out; n - 3 = 4 samples are left."""
    train = written([[1, 2, 3, 4, 5]])
    assert len(examples(train, "prefix", 50)) == 4
    assert examples(train, "user", 50).targets.tolist() == [4]


@pytest.mark.parametrize("max_length", [1, 2, 3, 5, 8, 39, 40, 100])
@pytest.mark.parametrize("sampler", ["targets", "prefix"])
def test_every_event_but_a_users_first_is_a_target_exactly_once(
    random_graph: HeteroData, sampler: str, max_length: int
) -> None:
    found = positions(examples(random_graph, sampler, max_length))
    times = Counter((user, at) for user, _, targets in found for at in targets)
    users = random_graph[INTERACTS].edge_index[0].tolist()
    expected = [(u, e) for e, u in enumerate(users) if e and users[e - 1] == u]
    assert times == Counter(expected)


@pytest.mark.parametrize("max_length", [1, 2, 3, 5, 8, 39, 40, 100])
@pytest.mark.parametrize("sampler", ["targets", "user", "prefix"])
def test_windows_stay_within_their_user_and_the_longest_length(
    random_graph: HeteroData, sampler: str, max_length: int
) -> None:
    users = random_graph[INTERACTS].edge_index[0].tolist()
    for user, read, targets in positions(examples(random_graph, sampler, max_length)):
        assert 1 <= len(read) <= max_length
        assert targets, "every window has a target"
        assert {users[at] for at in read + targets} == {user}
        assert targets[-1] == read[-1] + 1, "the newest target follows the newest item"


@pytest.mark.parametrize("max_length", [2, 3, 5, 8])
def test_a_target_of_a_later_window_has_half_a_window_of_history(
    random_graph: HeteroData, max_length: int
) -> None:
    found = positions(examples(random_graph, "targets", max_length))
    seen: set[int] = set()
    for user, read, targets in found:
        first = targets[0] - read[0]  # items read before the first target
        if user in seen:
            assert first > max_length // 2
            assert len(read) == max_length
        else:
            assert first == 1
        seen.add(user)


def test_user_windows_are_the_newest_and_complete(random_graph: HeteroData) -> None:
    counts = torch.bincount(random_graph[INTERACTS].edge_index[0], minlength=120)
    ends = counts.cumsum(0).tolist()
    found = positions(examples(random_graph, "user", 6))
    assert [u for u, _, _ in found] == (counts > 1).nonzero()[:, 0].tolist()
    for user, read, targets in found:
        assert targets[-1] == ends[user] - 1
        assert len(read) == min(6, counts[user] - 1) == len(targets)


def test_counts_on_beauty_are_those_of_the_specification(shared: Path) -> None:
    """U-15: 131,413 targets, as windows or as prefixes."""
    log = read_log(shared / "data/amazon-beauty/Beauty.txt", format="sequences")
    graph = build_graph(leave_one_out(log))
    assert len(examples(graph, "prefix", 50)) == 131_413
    for max_length in (50, 7):
        found = examples(graph, "targets", max_length)
        assert int(found.targets.sum()) == 131_413
        assert int(found.length.max()) == max_length
    users = examples(graph, "user", 50)
    assert len(users) == 22_363
    assert -(-len(users) // 256) == 88, "updates of an epoch, 5.5"
    assert -(-131_413 // 256) == 514
    assert len(examples(graph, "pairs", 50)) == 131_413 + 22_363
