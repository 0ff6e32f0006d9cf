"""ComiRec-SA: its interests, the trained one, a ring that it learns."""

import math

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import synthetic
from graphseq.models import ComiRec
from graphseq.nn import Embedding, Propagated
from graphseq.objectives import log_expected_count, log_uniform_sample
from graphseq.sequences import Batch, SequenceLoader

F64 = torch.float64


def small(num_items: int = 12, **options) -> ComiRec:
    torch.manual_seed(0)
    given = {"dim": 4, "interests": 3, "hidden": 5, "max_length": 8}
    features = Embedding(num_items, dim=4, std=1.0)
    made = ComiRec(48, num_items, **(given | {"features": features} | options))
    with torch.no_grad():
        for weight in (made.position, *made.attention.parameters()):
            weight.copy_(torch.randn_like(weight))
    return made.double().eval()


def only_batch(graph: HeteroData, sampler: str = "targets", **options) -> Batch:
    given = {"batch_size": 10_000, "max_length": 8, "num_negatives": 2}
    (batch,) = SequenceLoader(graph, sampler, **(given | options))
    return batch


def interests(model: ComiRec, items: list[int]) -> list[Tensor]:
    """K vectors of one history, number by number."""
    w = {name: weight.detach() for name, weight in model.named_parameters()}
    e = [w["features.weight"][i] for i in items]
    logits = []
    for t, vector in enumerate(e):
        key = vector + w["position"][t]
        inner = w["attention.inner.weight"] @ key + w["attention.inner.bias"]
        hidden = torch.tensor([math.tanh(float(v)) for v in inner], dtype=F64)
        logits.append((w["attention.outer.weight"] @ hidden).tolist())
    found = []
    for k in range(len(logits[0])):
        mass = sum(math.exp(logit[k]) for logit in logits)
        vector = torch.zeros(4, dtype=F64)
        for t, logit in enumerate(logits):
            vector = vector + math.exp(logit[k]) / mass * e[t]
        found.append(vector)
    return found


def test_the_specification_from_history_to_list() -> None:
    """6.8: two interests of one sequence, the target's own, the merged top 3."""
    model = ComiRec(1, 3, dim=2, interests=2, hidden=4, max_length=3).double()
    with torch.no_grad():
        model.features.weight[:] = torch.tensor([[1.0, 0], [0, 1], [2, 1]])
        model.position[:] = torch.tensor([[0.1, 0], [0, 0.1], [0.1, 0.1]])
        inner, outer = model.attention.inner, model.attention.outer
        inner.weight[:] = torch.tensor([[1.0, 0], [0, 1], [1, 1], [1, -1]])
        inner.bias[:] = 0
        outer.weight[:] = torch.tensor([[1.0, -1, 0.5, 0.25], [-0.5, 1, 0, 0.5]])
    batch = Batch(torch.tensor([0]), torch.tensor([[0, 1, 2, 3]]), torch.tensor([3]), 3)
    with torch.no_grad():
        batch3 = Batch(batch.user, batch.items[:, :3], batch.lengths, 3)
        [found] = model.represent(batch3, HeteroData())
    assert found[0].tolist() == pytest.approx([1.25999098, 0.41746852], abs=1e-8)
    assert found[1].tolist() == pytest.approx([1.11419556, 0.77768151], abs=1e-8)
    assert (found @ torch.ones(2, dtype=F64)).argmax() == 1
    table = torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 2], [0.5, -0.5]], dtype=F64)
    best = (found @ table.T).amax(dim=0).topk(3).indices + 1  # the text counts from 1
    assert best.tolist() == [3, 1, 2]


def test_interests_are_the_equations_written_as_loops(lab, cycle: HeteroData) -> None:
    model = small()
    batch = lab.test_batch(model, cycle)
    found = model.represent(batch, cycle)
    assert found.shape == (48, 3, 4)
    for row in (0, 11, 47):
        history = batch.items[row, : int(batch.lengths[row])].tolist()
        torch.testing.assert_close(found[row], torch.stack(interests(model, history)))


@pytest.mark.parametrize("softmax", ["full", "uniform", "log_uniform"])
@pytest.mark.parametrize("sampler", ["targets", "prefix", "user"])
def test_the_loss_is_of_the_interest_nearest_to_each_target(
    cycle: HeteroData, sampler: str, softmax: str
) -> None:
    model = small(softmax=softmax, num_negatives=4, sampler=sampler)
    batch = only_batch(cycle, sampler)
    batch = Batch(
        batch.user[::9],
        batch.items[::9],
        batch.lengths[::9],
        12,
        batch.targets[::9],
        batch.negatives[::9],
    )
    items = model.item_vectors(cycle)
    counts = torch.bincount(cycle[INTERACTS].edge_index[1], minlength=12).tolist()
    by_rank = sorted(range(12), key=lambda item: (-counts[item], item))
    torch.manual_seed(7)
    ranks, tries = log_uniform_sample(12, 4)
    losses, chosen = [], set()
    for row in range(len(batch)):
        for t in range(int(batch.lengths[row])):
            target = int(batch.targets[row, t])
            if target == 12:
                continue
            each = interests(model, batch.items[row, : t + 1].tolist())
            own = [(v @ items[target]).item() for v in each]
            k = own.index(max(own))
            chosen.add(k)
            logits = {i: (each[k] @ items[i]).item() for i in range(12)}
            if softmax == "full":
                others = [i for i in range(12) if i != target]
            elif softmax == "uniform":
                others = [i for i in batch.negatives[row, t].tolist()]
            else:
                others = [by_rank[r] for r in ranks.tolist()]
                others = [i for i in others if i != target]
                for i in logits:
                    rank = torch.tensor(by_rank.index(i))
                    logits[i] -= float(log_expected_count(rank, 12, tries))
            mass = sum(math.exp(logits[i]) for i in (target, *others))
            losses.append(math.log(mass) - logits[target])
    torch.manual_seed(7)
    terms = model.losses(batch, cycle)
    assert terms["next_item"].item() == pytest.approx(
        sum(losses) / len(losses), rel=1e-5
    )
    assert set(terms) == {"next_item"} and len(chosen) > 1


def test_only_the_nearest_interest_is_trained() -> None:
    """Two interests that attend to one item each; the target is the second item."""
    model = small(num_items=4, interests=2, softmax="full")
    with torch.no_grad():
        model.features.weight[:] = 8 * torch.eye(4)
        model.position.zero_()
        model.attention.inner.weight[:] = torch.eye(5, 4)
        model.attention.inner.bias.zero_()
        model.attention.outer.weight[:] = 90 * torch.eye(2, 5)
    batch = Batch(
        torch.tensor([0]),
        torch.tensor([[0, 1]]),
        torch.tensor([2]),
        4,
        torch.tensor([[4, 1]]),
    )
    graph = HeteroData()
    found = model.represent(batch, graph)
    torch.testing.assert_close(found[0], 8 * torch.eye(2, 4, dtype=F64))
    seen: list[Tensor] = []
    plain = model.next_item
    model.next_item = lambda states, *rest: seen.append(states) or plain(states, *rest)
    model.losses(batch, graph)
    torch.testing.assert_close(seen[0], found[:, 1])


def test_a_score_is_that_of_the_best_interest(lab, cycle: HeteroData) -> None:
    model = small()
    batch = lab.test_batch(model, cycle)
    each = model.represent(batch, cycle) @ model.item_vectors(cycle).T
    torch.testing.assert_close(model.score(batch, cycle), each.max(dim=1).values)


@pytest.mark.parametrize("sampler", ["prefix", "user"])
def test_all_samplers_have_the_same_loss_when_sequences_fit(
    cycle: HeteroData, sampler: str
) -> None:
    given = {"softmax": "full"}
    whole = small(**given).losses(only_batch(cycle), cycle)["next_item"]
    apart = small(sampler=sampler, **given)
    found = apart.losses(only_batch(cycle, sampler), cycle)["next_item"]
    torch.testing.assert_close(found, whole)


def excluded_hit_rate(lab, model: ComiRec, graph: HeteroData, k: int) -> float:
    scores = model.score(lab.test_batch(model, graph), graph)
    scores = scores.scatter(1, graph.test.history.view(len(scores), -1), -1e9)
    best = scores.topk(k).indices
    return (best == graph.test.target[:, None]).any(dim=1).float().mean().item()


@pytest.mark.parametrize("softmax", ["log_uniform", "full"])
def test_a_ring_is_learned_with_the_history_excluded(lab, softmax: str) -> None:
    """An interest is a mean of the history's vectors, and near to each of them.

    With the history kept, every interest ranks an item of it before all others.
    """
    graph = lab.graph_of(synthetic.cycle(90, 30, length=7, seed=0))
    model = lab.build("ComiRec", graph, softmax=softmax)
    lab.train(model, graph, 20, lr=0.02)
    assert excluded_hit_rate(lab, model, graph, 3) > 0.9  # chance: 3 of 24


def test_one_interest_learns_the_ring_with_the_history_kept(
    lab, cycle: HeteroData
) -> None:
    model = lab.build("ComiRec", cycle, interests=1)
    lab.train(model, cycle, 20, lr=0.02)
    assert lab.hit_rate(model, cycle, 3) > 0.9


def test_features_decide_the_width_and_the_required_relations() -> None:
    model = small(features=Propagated(12, dim=6))
    assert model.requires == (INTERACTS, *model.features.requires)
    assert model.position.shape == (8, 6)


def test_only_the_uniform_softmax_has_negatives_of_the_loader() -> None:
    assert small(softmax="uniform", num_negatives=7).num_negatives == 7
    assert small(softmax="log_uniform", num_negatives=7).num_negatives == 0
