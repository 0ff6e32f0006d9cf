"""Epochs: complete, balanced, and the same for a seed in any process."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch.utils.data import DataLoader
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import Interactions, leave_one_out
from graphseq.errors import GraphError
from graphseq.graphs import build_graph
from graphseq.sequences import Batch, SequenceLoader, examples

Written = Callable[..., HeteroData]
SAMPLERS = ["targets", "user", "prefix", "pairs"]


def load(graph: HeteroData, sampler: str = "targets", **options) -> SequenceLoader:
    given = {"batch_size": 32, "max_length": 10, "num_negatives": 2}
    return SequenceLoader(graph, sampler, **(given | options))


def equal(a: Batch, b: Batch) -> bool:
    names = ("user", "items", "lengths", "targets", "negatives")
    pairs = [(getattr(a, name), getattr(b, name)) for name in names]
    return all(x is y is None or torch.equal(x, y) for x, y in pairs)


def same_epoch(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(map(equal, a, b))


def states_at_targets(batches: list[Batch]) -> Counter:
    """How often each (user, item read before, target) is asked for."""
    found: Counter = Counter()
    for batch in batches:
        places, targets = batch.target_positions()
        users = batch.user[:, None].expand_as(places)[places]
        rows = (users, batch.items[places], targets)
        found.update(zip(*(row.tolist() for row in rows), strict=True))
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_is_the_windows_it_was_cut_from(
    random_graph: HeteroData, sampler: str
) -> None:
    """Every row of an epoch against plain slices of the user's list."""
    flat = random_graph[INTERACTS].edge_index[1].tolist()
    windows = examples(random_graph, sampler, 10)
    expected: Counter = Counter()
    for user, start, length, first in zip(
        windows.user.tolist(),
        windows.start.tolist(),
        windows.length.tolist(),
        windows.first.tolist(),
        strict=True,
    ):
        read = [] if sampler == "pairs" else flat[start : start + length]
        follows = flat[start + 1 : start + 1 + length]
        wanted = [50] * first + follows[first:]
        expected[user, tuple(read), tuple(wanted)] += 1
    found: Counter = Counter()
    for batch in load(random_graph, sampler):
        for i, n in enumerate(batch.lengths.tolist()):
            items, targets = batch.items[i].tolist(), batch.targets[i].tolist()
            assert set(items[n:]) <= {50}, "padding stands to the right only"
            kept = 1 if sampler == "pairs" else n
            assert set(targets[kept:]) <= {50}
            found[int(batch.user[i]), tuple(items[:n]), tuple(targets[:kept])] += 1
    assert found == expected


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_seed_decides_every_number(random_graph: HeteroData, sampler: str) -> None:
    first = [*load(random_graph, sampler, seed=3)]
    assert same_epoch([*load(random_graph, sampler, seed=3)], first)
    assert not same_epoch([*load(random_graph, sampler, seed=4)], first)


def test_the_global_generator_neither_matters_nor_moves(
    random_graph: HeteroData,
) -> None:
    torch.manual_seed(1)
    first = [*load(random_graph)]
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert same_epoch([*load(random_graph)], first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_epochs_differ_and_can_be_repeated(
    random_graph: HeteroData, sampler: str
) -> None:
    loader = load(random_graph, sampler)
    first = [*loader]
    loader.set_epoch(1)
    second = [*loader]
    assert not same_epoch(first, second)
    assert asked(first) == asked(second), "the same examples in another order"
    loader.set_epoch(0)
    assert same_epoch([*loader], first)


def identity(batch: Batch) -> Batch:
    return batch


@pytest.mark.parametrize("sampler", ["targets", "prefix"])
def test_any_number_of_workers_gives_the_same_batches(
    random_graph: HeteroData, sampler: str
) -> None:
    loader = load(random_graph, sampler)
    loader.set_epoch(2)
    alone = [*loader]
    for workers in (0, 2):
        batches = DataLoader(
            loader, batch_size=None, num_workers=workers, collate_fn=identity
        )
        assert same_epoch([*batches], alone)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_an_epoch_evenly(
    random_graph: HeteroData, sampler: str, world: int
) -> None:
    whole = load(random_graph, sampler)
    parts = [load(random_graph, sampler, rank=r, world=world) for r in range(world)]
    share = -(-len(whole) // world)
    assert [len(part) for part in parts] == [share] * world, "or one waits for ever"
    rows = [tuple(b.tolist()) for b in whole.batches]
    theirs = [tuple(b.tolist()) for part in parts for b in part.batches]
    assert set(theirs) == set(rows)
    assert len(theirs) - len(rows) == share * world - len(rows) < world
    turns = zip(*(part.batches for part in parts), strict=True)
    dealt = [tuple(b.tolist()) for turn in turns for b in turn]
    assert dealt[: len(rows)] == rows, "only the end is filled up with repeats"


def test_more_processes_than_batches_are_all_given_one(written: Written) -> None:
    graph = written([[0, 1, 2]])
    parts = [load(graph, rank=rank, world=3) for rank in range(3)]
    assert [len(part) for part in parts] == [1, 1, 1]


@pytest.mark.parametrize("size", [32, 100])
def test_batches_of_targets_hold_about_as_many_targets_as_asked(
    random_graph: HeteroData, size: int
) -> None:
    loader = load(random_graph, batch_size=size, max_length=10)
    counts = [len(batch.target_positions()[1]) for batch in loader]
    total = sum(counts)
    assert total == int(examples(random_graph, "prefix", 10).targets.sum())
    assert max(counts) < size + 10, "a window at most stands across the border"
    assert sorted(counts)[1] > size - 10, "only one batch is a rest"


@pytest.mark.parametrize("sampler", ["user", "prefix", "pairs"])
def test_batches_of_rows_hold_as_many_rows_as_asked(
    random_graph: HeteroData, sampler: str
) -> None:
    sizes = sorted(len(b) for b in load(random_graph, sampler, batch_size=16))
    assert set(sizes[1:]) == {16} and 0 < sizes[0] <= 16
    assert sum(sizes) == len(examples(random_graph, sampler, 10))


@pytest.mark.parametrize("sampler", ["targets", "user", "prefix"])
def test_no_column_is_nothing_but_padding(
    random_graph: HeteroData, sampler: str
) -> None:
    for batch in load(random_graph, sampler, max_length=30):
        assert batch.mask.any(dim=0).all()
        assert batch.items.shape == batch.targets.shape == batch.negatives.shape[:2]


@pytest.mark.parametrize("sampler", ["targets", "prefix"])
def test_rows_of_similar_length_travel_together(
    random_graph: HeteroData, sampler: str
) -> None:
    size = 64 if sampler == "targets" else 16
    batches = [*load(random_graph, sampler, max_length=40, batch_size=size)]
    cells = sum(batch.items.numel() for batch in batches)
    real = sum(int(batch.lengths.sum()) for batch in batches)
    longest = max(batch.items.shape[1] for batch in batches)
    mixed = sum(len(batch) for batch in batches) * longest
    assert real / cells > 0.75 > 0.6 > real / mixed


def test_users_meet_whatever_their_length(random_graph: HeteroData) -> None:
    """Sorted, a batch's targets would count for less the longer its sequences are."""
    loader = load(random_graph, "user", max_length=40, batch_size=16)
    within = torch.stack([batch.lengths.float().var() for batch in loader])
    among = loader.examples.length.float().var()
    assert within.mean() > 0.8 * among


def test_lengths_jitter_from_epoch_to_epoch(random_graph: HeteroData) -> None:
    """Or the same users would meet in every epoch."""
    loader = load(random_graph)
    met = []
    for epoch in (0, 1):
        loader.set_epoch(epoch)
        met.append({frozenset(rows.tolist()) for rows in loader.batches})
    assert len(met[0] & met[1]) < len(met[0]) / 4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_negatives_are_never_the_users_training_items(
    random_graph: HeteroData, sampler: str
) -> None:
    own = {tuple(pair) for pair in random_graph[INTERACTS].edge_index.T.tolist()}
    for batch in load(random_graph, sampler, num_negatives=3):
        places, _ = batch.target_positions()
        users = batch.user[:, None, None].expand_as(batch.negatives)[places]
        drawn = batch.target_negatives()
        assert drawn.shape == (int(places.sum()), 3) and drawn.max() < 50
        pairs = zip(users.flatten().tolist(), drawn.flatten().tolist(), strict=True)
        assert own.isdisjoint(pairs)
        assert (batch.negatives[~places] == 50).all()


def test_every_batch_of_every_epoch_draws_its_own_negatives(written: Written) -> None:
    """So large a catalogue that hardly any draw is rejected, and none is the same."""
    loader = load(written([[0, 1, 2, 3]] * 60, num_items=10**6), num_negatives=4)
    drawn = []
    for epoch in range(3):
        loader.set_epoch(epoch)
        drawn += [
            tuple(batch.target_negatives().flatten()[:20].tolist()) for batch in loader
        ]
    assert len(drawn) > 12 and len(set(drawn)) == len(drawn)


def test_without_negatives_none_are_drawn(random_graph: HeteroData) -> None:
    assert load(random_graph, num_negatives=0)[0].negatives is None


def test_a_loader_ends_as_a_list_does(random_graph: HeteroData) -> None:
    loader = load(random_graph)
    assert len([*loader]) == len(loader)
    with pytest.raises(IndexError):
        loader[len(loader)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_graph_without_an_example_is_refused(sampler: str) -> None:
    log = Interactions.from_arrays([0, 0, 0, 1, 1, 1], [0, 1, 2, 2, 1, 0])
    graph = build_graph(leave_one_out(log))  # one training event a user
    if sampler == "pairs":
        assert len(load(graph, sampler)) == 1
        graph[INTERACTS].edge_index = torch.empty(2, 0, dtype=torch.int64)
    with pytest.raises(GraphError, match=f"nothing can be learnt .*{sampler}"):
        load(graph, sampler)
