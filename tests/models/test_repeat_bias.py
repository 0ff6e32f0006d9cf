"""Biases of items that the history contains, against loops over prefixes."""

import math

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq import Recommender, fit
from graphseq.data import Interactions, leave_one_out
from graphseq.errors import ConfigError
from graphseq.export import export_model
from graphseq.graphs import build_graph
from graphseq.models import Backbone, RepeatBias, SASRec, create
from graphseq.schema import OptionError, describe
from graphseq.sequences import Batch

V = 6
ROWS = [[3, 1, 3, 3, 0], [2], [5, 4, 5, V, 4, 2]]  # V: a masked item
TARGETS = [[1, V, 3, 0, 4], [2], [V, 5, 1, 4, 2, 5]]  # V: none


def batch() -> Batch:
    def padded(rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor([row + [V] * (6 - len(row)) for row in rows])

    lengths = torch.tensor([len(row) for row in ROWS])
    return Batch(torch.arange(3), padded(ROWS), lengths, V, targets=padded(TARGETS))


def naive(history: list[int], bias: list[float]) -> list[float]:
    """The bias of each item, by loops."""
    found = [0.0] * V
    for age, item in enumerate(reversed(history)):
        if item < V and item not in history[len(history) - age :]:
            found[item] = bias[min(age, len(bias) - 1)]
    return found


@pytest.fixture
def model() -> SASRec:
    torch.manual_seed(0)
    repeats = RepeatBias(ages=3)
    made = SASRec(3, Backbone(V, dim=4, repeats=repeats, max_length=6)).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_()
    return made


@pytest.fixture
def graph() -> HeteroData:
    users = [user for user in range(8) for _ in range(6)]
    items = [(user + step) % V for user in range(8) for step in range(6)]
    log = Interactions.from_arrays(users, items, range(48))
    return build_graph(leave_one_out(log))


def test_the_loss_is_the_softmax_with_the_biases_of_each_prefix(model: SASRec) -> None:
    nothing = HeteroData()
    bias = model.backbone.repeats.bias.tolist()
    losses = []
    items, states = model.item_vectors(nothing), None
    states = model.backbone.states(items, batch())
    for row, targets in enumerate(TARGETS):
        for position, target in enumerate(targets):
            if target == V:
                continue
            logits = (states[row, position] @ items.T).tolist()
            added = naive(ROWS[row][: position + 1], bias)
            scores = [a + b for a, b in zip(logits, added, strict=True)]
            mass = sum(math.exp(score) for score in scores)
            losses.append(math.log(mass) - scores[target])
    found = model.losses(batch(), nothing)["next_item"].item()
    assert found == pytest.approx(sum(losses) / len(losses))


@torch.no_grad()
def test_scores_have_the_biases_of_the_whole_history(model: SASRec) -> None:
    nothing = HeteroData()
    rows = batch()
    plain = model.represent(rows, nothing) @ model.item_vectors(nothing).T
    bias = model.backbone.repeats.bias.tolist()
    added = torch.tensor([naive(row, bias) for row in ROWS], dtype=torch.float64)
    torch.testing.assert_close(model.score(rows, nothing), plain + added)
    for first, scores in model.scorer(nothing).blocks(rows):
        expected = (plain + added)[first : first + len(scores)].float()
        torch.testing.assert_close(scores[:, :V], expected)
        assert torch.all(scores[:, V:] == -torch.inf)


def test_an_empty_history_has_no_bias() -> None:
    empty = Batch(torch.tensor([0]), torch.tensor([[V]]), torch.tensor([0]), V)
    repeats = RepeatBias(ages=2)
    torch.nn.init.ones_(repeats.theta)
    assert repeats.at_ends(empty).values.tolist() == [[0.0]]


@pytest.mark.parametrize("again", [True, False])
def test_it_learns_whether_users_choose_items_again(again: bool) -> None:
    """Random items; every other event repeats the one before it, or none does."""
    generator = torch.Generator().manual_seed(0)
    users, items = [], []
    for user in range(60):
        order = torch.randperm(40, generator=generator)[:10].tolist()
        row = [item for item in order[:5] for _ in range(2)] if again else order
        users += [user] * 10
        items += row
    log = Interactions.from_arrays(users, items, range(600))
    graph = build_graph(leave_one_out(log))
    repeats = RepeatBias(ages=4)
    torch.manual_seed(0)
    number = graph["item"].num_nodes
    model = SASRec(60, Backbone(number, dim=8, repeats=repeats, max_length=10))
    fit(model, graph, max_epochs=15, lr=0.05, patience=None, progress=False)
    newest, *older = repeats.bias.tolist()
    assert (newest > 2) if again else (newest < -3)
    assert max(older) < -3


def test_what_it_cannot_be_used_with_is_refused(graph: HeteroData, tmp_path) -> None:
    with pytest.raises(OptionError, match=r"repeats: is learned from .* set loss='ce'"):
        Backbone(V, repeats=RepeatBias(), loss="bce")
    with pytest.raises(OptionError, match=r"backbone\.repeats: is not learned from ma"):
        create({"BERT4Rec": {"backbone": {"repeats": {"RepeatBias": {}}}}}, 3, V)
    sasrec = SASRec(8, Backbone(V, dim=4, repeats=RepeatBias()))
    with pytest.raises(ConfigError, match=r"a bias for items of the history is added"):
        export_model(sasrec, graph, tmp_path / "export")
    pytest.importorskip("faiss")
    with pytest.raises(ConfigError, match=r"Rank with evaluate or Recommender\(index="):
        Recommender(sasrec, graph, index="faiss").recommend([0], k=2)


def test_it_is_written_in_files() -> None:
    backbone = {"dim": 8, "repeats": {"RepeatBias": {"ages": 5}}}
    model = create({"SASRec": {"backbone": backbone}}, 3, V)
    again = create(describe(model), 3, V)
    again.load_state_dict(model.state_dict())
    assert len(again.backbone.repeats.bias) == 5  # type: ignore[union-attr,arg-type]
