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
from graphseq.sequences import Batch, SequenceLoader, UniformNegatives, examples

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


def target_counts(batches: list[Batch]) -> Counter:
    """How often each (user, item before, target) is an example."""
    found: Counter = Counter()
    for batch in batches:
        at, targets = batch.target_positions()
        rows = (batch.target_users(), batch.items[at], targets)
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
            assert set(items[n:]) <= {50}, "padding is on the right only"
            kept = 1 if sampler == "pairs" else n
            assert set(targets[kept:]) <= {50}
            found[int(batch.user[i]), tuple(items[:n]), tuple(targets[:kept])] += 1
    assert found == expected


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_seed_decides_every_number(random_graph: HeteroData, sampler: str) -> None:
    first = [*load(random_graph, sampler, seed=3)]
    assert same_epoch([*load(random_graph, sampler, seed=3)], first)
    assert not same_epoch([*load(random_graph, sampler, seed=4)], first)


def test_the_global_generator_is_neither_read_nor_changed(
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
    assert target_counts(first) == target_counts(second), (
        "the same examples in another order"
    )
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
def test_processes_divide_an_epoch_evenly(
    random_graph: HeteroData, sampler: str, world: int
) -> None:
    whole = load(random_graph, sampler)
    parts = [load(random_graph, sampler, rank=r, world=world) for r in range(world)]
    steps = -(-len(whole) // world)
    assert [len(part) for part in parts] == [steps] * world, "otherwise one would wait"
    rows = [tuple(b.tolist()) for b in whole.batches]
    theirs = [tuple(b.tolist()) for part in parts for b in part.batches]
    assert set(theirs) == set(rows)
    assert len(theirs) - len(rows) == steps * world - len(rows) < world
    turns = zip(*(part.batches for part in parts), strict=True)
    dealt = [tuple(b.tolist()) for turn in turns for b in turn]
    assert dealt[: len(rows)] == rows, "only the end has repeats"


def test_with_more_processes_than_batches_each_gets_one(written: Written) -> None:
    graph = written([[0, 1, 2]])
    parts = [load(graph, rank=rank, world=3) for rank in range(3)]
    assert [len(part) for part in parts] == [1, 1, 1]


@pytest.mark.parametrize("size", [32, 100])
def test_batches_of_targets_hold_about_as_many_targets_as_requested(
    random_graph: HeteroData, size: int
) -> None:
    loader = load(random_graph, batch_size=size, max_length=10)
    counts = [len(batch.target_positions()[1]) for batch in loader]
    total = sum(counts)
    assert total == int(examples(random_graph, "prefix", 10).targets.sum())
    assert max(counts) < size + 10, "at most one window crosses the border"
    assert sorted(counts)[1] > size - 10, "only one batch is incomplete"


@pytest.mark.parametrize("sampler", ["user", "prefix", "pairs"])
def test_batches_of_rows_hold_as_many_rows_as_requested(
    random_graph: HeteroData, sampler: str
) -> None:
    sizes = sorted(len(b) for b in load(random_graph, sampler, batch_size=16))
    assert set(sizes[1:]) == {16} and 0 < sizes[0] <= 16
    assert sum(sizes) == len(examples(random_graph, sampler, 10))


@pytest.mark.parametrize("sampler", ["targets", "user", "prefix"])
def test_every_column_has_a_real_item(random_graph: HeteroData, sampler: str) -> None:
    for batch in load(random_graph, sampler, max_length=30):
        assert batch.mask.any(dim=0).all()
        assert batch.items.shape == batch.targets.shape == batch.negatives.shape[:2]


@pytest.mark.parametrize("sampler", ["targets", "prefix"])
def test_rows_of_similar_length_share_a_batch(
    random_graph: HeteroData, sampler: str
) -> None:
    size = 64 if sampler == "targets" else 16
    batches = [*load(random_graph, sampler, max_length=40, batch_size=size)]
    cells = sum(batch.items.numel() for batch in batches)
    real = sum(int(batch.lengths.sum()) for batch in batches)
    longest = max(batch.items.shape[1] for batch in batches)
    mixed = sum(len(batch) for batch in batches) * longest
    assert real / cells > 0.75 > 0.6 > real / mixed


def test_users_are_not_sorted_by_length(random_graph: HeteroData) -> None:
    """Sorted, targets of long sequences would weigh less."""
    loader = load(random_graph, "user", max_length=40, batch_size=16)
    within = torch.stack([batch.lengths.float().var() for batch in loader])
    among = loader.examples.length.float().var()
    assert within.mean() > 0.8 * among


def test_lengths_jitter_from_epoch_to_epoch(random_graph: HeteroData) -> None:
    """Otherwise the same users would share a batch in every epoch."""
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
        at, _ = batch.target_positions()
        users = batch.user[:, None, None].expand_as(batch.negatives)[at]
        drawn = batch.target_negatives()
        assert drawn.shape == (int(at.sum()), 3) and drawn.max() < 50
        pairs = zip(users.flatten().tolist(), drawn.flatten().tolist(), strict=True)
        assert own.isdisjoint(pairs)
        assert (batch.negatives[~at] == 50).all()


@pytest.mark.parametrize("leaky", [False, True])
def test_leaky_negatives_spare_the_held_out_items_and_others_do_not(
    leaky: bool,
) -> None:
    rows = [[0, 1, 2, 3], [4, 5, 0, 1, 2], [6, 7, 8, 9, 10, 11]]
    users = [user for user, items in enumerate(rows) for _ in items]
    log = Interactions.from_arrays(users, [i for items in rows for i in items])
    graph = build_graph(leave_one_out(log))
    drawn: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for epoch in range(20):
        loader = load(graph, num_negatives=4, leaky_negatives=leaky)
        loader.set_epoch(epoch)
        for batch in loader:
            for user, items in zip(
                batch.target_users().tolist(), batch.target_negatives(), strict=True
            ):
                drawn[user] |= set(items.tolist())
    for user, items in enumerate(rows):
        spared = items if leaky else items[:-2]
        assert drawn[user] == set(range(12)) - set(spared)


def test_every_batch_of_every_epoch_draws_its_own_negatives(written: Written) -> None:
    """With this many items, hardly any draw is rejected or repeated."""
    loader = load(written([[0, 1, 2, 3]] * 60, num_items=10**6), num_negatives=4)
    drawn = []
    for epoch in range(3):
        loader.set_epoch(epoch)
        drawn += [
            tuple(batch.target_negatives().flatten()[:20].tolist()) for batch in loader
        ]
    assert len(drawn) > 12 and len(set(drawn)) == len(drawn)


def test_every_process_draws_its_own_negatives(written: Written) -> None:
    """All batches are the same users, and only the process differs."""
    graph = written([[0, 1, 2, 3]] * 4, num_items=10**6)
    parts = [load(graph, num_negatives=4, rank=rank, world=2) for rank in range(2)]
    one, other = (part[0].target_negatives() for part in parts)
    assert one.shape == other.shape
    assert not torch.equal(one, other)


def test_without_negatives_none_are_drawn(random_graph: HeteroData) -> None:
    assert load(random_graph, num_negatives=0)[0].negatives is None


def test_a_loader_has_an_end(random_graph: HeteroData) -> None:
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
        graph[INTERACTS].time = torch.empty(0, dtype=torch.int64)
    with pytest.raises(GraphError, match=f"the sampler '{sampler}' needs a user with"):
        load(graph, sampler)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(1,), (7,), (3, 2), ()])
def test_no_negative_is_among_the_users_items(
    random_graph: HeteroData, size: tuple[int, ...]
) -> None:
    users = torch.arange(120).repeat_interleave(5)
    drawn = UniformNegatives(random_graph).draw(users, size, seeded(0))
    assert drawn.shape == (600, *size)
    assert drawn.min() >= 0 and drawn.max() < 50
    own = {tuple(pair) for pair in random_graph[INTERACTS].edge_index.T.tolist()}
    rows = users.view(-1, *(1 for _ in size)).expand(drawn.shape)
    pairs = zip(rows.flatten().tolist(), drawn.flatten().tolist(), strict=True)
    assert own.isdisjoint(pairs)


def test_all_other_items_are_equally_likely(written: Written) -> None:
    graph = written([[0, 3, 3], [1, 2, 4, 5]], num_items=6)
    users = torch.tensor([0, 1]).repeat_interleave(6000)
    drawn = UniformNegatives(graph).draw(users, (1,), seeded(0))[:, 0]
    first = torch.bincount(drawn[:6000], minlength=6) / 6000
    second = torch.bincount(drawn[6000:], minlength=6) / 6000
    quarter, half = 1 / 4, 1 / 2
    expected = [0, quarter, quarter, 0, quarter, quarter]
    assert first.tolist() == pytest.approx(expected, abs=0.03)
    assert second.tolist() == pytest.approx([half, 0, 0, half, 0, 0], abs=0.03)


def test_a_user_of_all_items_gets_some_of_them(written: Written) -> None:
    graph = written([[0, 1, 2], [0]], num_items=3)
    drawn = UniformNegatives(graph).draw(torch.tensor([0, 1]), (50,), seeded(0))
    assert drawn.max() < 3 and 0 not in drawn[1]


def test_the_generator_decides_the_negatives() -> None:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 1, 1000
    graph[INTERACTS].edge_index = torch.tensor([[0], [0]])
    negatives, users = UniformNegatives(graph), torch.zeros(100, dtype=torch.int64)
    first = negatives.draw(users, (2,), seeded(1))
    assert torch.equal(negatives.draw(users, (2,), seeded(1)), first)
    assert not torch.equal(negatives.draw(users, (2,), seeded(2)), first)
