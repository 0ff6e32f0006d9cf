"""Items that are fitted to their events, against a naive softmax regression."""

import copy
from typing import Any

import polars as pl
import pytest
import torch
import torch.nn.functional as F
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError
from graphseq.evaluation import evaluate
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.models import Model, create
from graphseq.sequences import Batch
from graphseq.training import fit, fit_items

SMALL = {"backbone": {"dim": 8, "max_length": 4}}


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    """A cycle of 12 items walked by 40 users."""
    log = synthetic.cycle(40, 12, length=8, seed=0)
    return build_graph(leave_one_out(log), [CoOccurrence("item")])


def make(name: str, options: dict[str, Any]) -> Model:
    torch.manual_seed(5)
    return create({name: options}, 40, 12).double()


def histories(graph: HeteroData, length: int) -> list[tuple[Batch, int]]:
    """The history before each event but a user's first, and the event's item."""
    sequences: dict[int, list[int]] = {}
    for user, item in zip(*graph[INTERACTS].edge_index.tolist(), strict=True):
        sequences.setdefault(user, []).append(item)
    found = []
    for user, items in sequences.items():
        for end in range(1, len(items)):
            history = torch.tensor([items[max(0, end - length) : end]])
            size = torch.tensor([history.shape[1]])
            found.append((Batch(torch.tensor([user]), history, size, 12), items[end]))
    return found


def test_the_steps_are_those_of_a_naive_softmax_regression(graph: HeteroData) -> None:
    """All events, one at a time, and torch's own Adam on the new rows only."""
    model, items, lr = make("SASRec", SMALL), torch.tensor([3, 7, 8]), 0.05
    before = copy.deepcopy(model.state_dict())
    fit_items(model, graph, items, steps=4, lr=lr, others=10_000)
    found = model.item_vectors(graph).detach()

    same = make("SASRec", SMALL).eval()
    vectors = same.item_vectors(graph).detach().clone()
    states, targets = [], []
    for batch, target in histories(graph, 4):
        states.append(same.represent(batch, graph)[0].detach())
        targets.append(target)
    own = vectors[items].clone().requires_grad_()
    adam = torch.optim.Adam([own], lr=lr)
    for _ in range(4):
        table = vectors.clone()
        table[items] = own
        loss = torch.stack(
            [
                F.cross_entropy((table @ state)[None], torch.tensor([target]))
                for state, target in zip(states, targets, strict=True)
            ]
        ).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    expected = vectors.clone()
    expected[items] = own.detach()
    torch.testing.assert_close(found, expected)
    for name, tensor in model.state_dict().items():
        rest = [row for row in range(12) if row not in items.tolist()]
        at = rest if len(tensor) == 12 else slice(None)
        assert torch.equal(tensor[at], before[name][at]), name


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SASRec", {"backbone": {**SMALL["backbone"], "features": {"Propagated": {}}}}),
        ("GRU4Rec", SMALL),
        ("ComiRec", {"dim": 8}),
        ("BPRMF", {"dim": 8}),
    ],
)
def test_new_items_get_their_rank_and_the_mode_stays(
    graph: HeteroData, name: str, options: dict[str, Any]
) -> None:
    """From the states before it, the softmax of all events grows."""
    model, items = make(name, options).eval(), torch.tensor([2, 9])
    examples = histories(graph, model.max_length)
    with torch.no_grad():
        states = [model.represent(batch, graph)[0] for batch, _ in examples]

    def loss() -> float:
        vectors, total = model.item_vectors(graph).detach(), 0.0
        for state, (_, target) in zip(states, examples, strict=True):
            scores = (state.reshape(-1, vectors.shape[1]) @ vectors.T).amax(dim=0)
            total += float(scores.logsumexp(dim=0) - scores[target])
        return total

    before = loss()
    model.train()
    fit_items(model, graph, items, steps=20, lr=0.02)
    assert model.training
    assert loss() < before


def test_a_sample_of_other_events_represents_all(graph: HeteroData) -> None:
    """Repeated draws of some differ, and are near the result with all on average."""
    items = torch.tensor([4])

    def fitted(others: int, seed: int) -> torch.Tensor:
        model = make("SASRec", SMALL)
        fit_items(model, graph, items, steps=10, lr=0.05, others=others, seed=seed)
        return model.item_vectors(graph)[items].detach()

    whole = fitted(10_000, 0)
    some = [fitted(60, seed) for seed in range(6)]
    assert not torch.equal(some[0], some[1])
    assert torch.equal(some[0], fitted(60, 0))
    start = make("SASRec", SMALL).item_vectors(graph)[items].detach()
    error = (torch.stack(some).mean(0) - whole).norm()
    assert error < 0.2 * (whole - start).norm()


def test_an_item_that_was_left_out_is_learned_without_training(
    graph: HeteroData,
) -> None:
    """An item with a random vector is ranked again where the cycle has it."""
    torch.manual_seed(0)
    model = create({"SASRec": SMALL}, 40, 12)
    options: dict[str, Any] = {"progress": False, "threads": 1, "batch_size": 40}
    fit(model, graph, max_epochs=25, lr=0.02, monitor=None, **options)

    def found() -> float:
        report = evaluate(model, graph, history="kept", ks=(1,)).per_user
        split = graph["test"]
        users = split.user[split.target == 4].numpy()
        return float(report.filter(pl.col("user_index").is_in(users))["HR@1"].mean())

    good = found()
    with torch.no_grad():
        model.item_vectors(graph)[4] = torch.randn(8) * 0.1
    broken = found()
    fit_items(model, graph, torch.tensor([4]), steps=40, lr=0.05)
    assert good > 0.9 and broken < 0.1 and found() > 0.9


def test_models_without_vectors_and_items_without_events(graph: HeteroData) -> None:
    with pytest.raises(ConfigError, match="has no vectors of users and items"):
        fit_items(create({"ItemKNN": {}}, 40, 12), graph, torch.tensor([1]))
    with pytest.raises(ConfigError, match="steps: expected a whole number of 1"):
        fit_items(make("SASRec", SMALL), graph, torch.tensor([1]), steps=0)
    log = synthetic.cycle(40, 12, length=8, seed=0)
    split = leave_one_out(log)
    alone = build_graph(split)
    model = make("SASRec", SMALL)
    before = copy.deepcopy(model.state_dict())
    fit_items(model, alone, torch.empty(0, dtype=torch.int64))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
