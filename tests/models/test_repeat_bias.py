"""Biases of items that the history contains, against loops over prefixes."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq import Recommender
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


def test_the_gradients_are_those_of_two_softmaxes(model: SASRec) -> None:
    """Without biases for all else; with those of each prefix for the biases."""
    nothing = HeteroData()
    repeats = model.backbone.repeats
    items = model.item_vectors(nothing)
    states = model.backbone.states(items, batch())
    plain, biased = [], []
    for row, targets in enumerate(TARGETS):
        for position, target in enumerate(targets):
            if target == V:
                continue
            logits = states[row, position] @ items.T
            prefix = ROWS[row][: position + 1]
            added = [torch.zeros((), dtype=torch.float64)] * V
            for age, item in enumerate(reversed(prefix)):
                if item < V and item not in prefix[len(prefix) - age :]:
                    added[item] = repeats.bias[min(age, 2)]
            plain.append(logits.logsumexp(0) - logits[target])
            scores = logits.detach() + torch.stack(added)
            biased.append(scores.logsumexp(0) - scores[target])
    loss = model.losses(batch(), nothing)["next_item"]
    expected = sum(plain) / len(plain)
    torch.testing.assert_close(loss, expected)
    weights = [w for w in model.parameters() if w is not repeats.theta]
    ours = torch.autograd.grad(loss, [*weights, repeats.theta])
    theirs = torch.autograd.grad(expected, weights)
    torch.testing.assert_close(ours[:-1], theirs)
    own = torch.autograd.grad(sum(biased) / len(biased), repeats.theta)
    torch.testing.assert_close(ours[-1], own[0])


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
    assert repeats.add_to(torch.zeros(1, V), empty).tolist() == [[0.0] * V]


@pytest.mark.parametrize("again", [True, False])
def test_it_learns_whether_users_choose_items_again(again: bool) -> None:
    """Random items; every other event repeats the one before it, or none does."""
    torch.manual_seed(0)
    order = torch.stack([torch.randperm(40)[:10] for _ in range(60)])
    items = order[:, :5].repeat_interleave(2, dim=1) if again else order
    users, lengths = torch.arange(60), torch.full((60,), 9)
    rows = Batch(users, items[:, :-1], lengths, 40, targets=items[:, 1:])
    repeats = RepeatBias(ages=4)
    model = SASRec(60, Backbone(40, dim=8, repeats=repeats, max_length=9))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        model.losses(rows, HeteroData())["next_item"].backward()
        optimizer.step()
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
