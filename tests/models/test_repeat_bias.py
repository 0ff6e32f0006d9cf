"""Biases of items that the history contains, against loops."""

import pytest
import torch

import graphseq as gs
from graphseq import Backbone
from graphseq.data.ragged import Ragged
from graphseq.models import EASE, POP, Ensemble, RepeatBias, SASRec, create, scoring
from graphseq.models.repeat_bias import occurrences
from graphseq.schema import OptionError, describe
from graphseq.sequences import Batch

V = 6
ROWS = [[3, 1, 3, 3, 0], [2], [], [5, 4, 5, V, 4, 2]]  # V: a masked item
BIAS = [0.5, -2.0, 3.0]


def batch() -> Batch:
    items = torch.tensor([row + [V] * (6 - len(row)) for row in ROWS])
    lengths = torch.tensor([len(row) for row in ROWS])
    return Batch(torch.arange(4) % 3, items, lengths, V)


def naive() -> torch.Tensor:
    """The bias of each item in each row, by loops."""
    found = torch.zeros(len(ROWS), V)
    for row, history in enumerate(ROWS):
        for age, item in enumerate(reversed(history)):
            if item < V and item not in history[len(history) - age :]:
                found[row, item] = BIAS[min(age, len(BIAS) - 1)]
    return found


@pytest.mark.parametrize("name", ["SASRec", "POP"])
@pytest.mark.parametrize("rows_of_a_block", [1, 3, 16])
@torch.no_grad()
def test_scores_have_the_bias_of_the_last_occurrence(
    small_log, name, rows_of_a_block, monkeypatch
) -> None:
    monkeypatch.setattr(scoring, "FEWEST_ROWS", 1)
    monkeypatch.setattr(scoring, "CPU_BLOCK", rows_of_a_block * 64)
    torch.manual_seed(0)
    graph = small_log.clone()
    graph["item"].num_nodes = V
    model = create({name: {}}, 3, V).eval()
    biased = RepeatBias(model, bias=BIAS)
    expected = model.score(batch(), graph) + naive()
    torch.testing.assert_close(biased.score(batch(), graph), expected)
    for _, scores in biased.scorer(graph).blocks(batch()):
        assert torch.all(scores[:, V:] == -torch.inf)


@pytest.mark.parametrize("max_length", [1, 2, 4])
@torch.no_grad()
def test_items_that_the_model_does_not_read_have_a_bias(small_log, max_length) -> None:
    torch.manual_seed(0)
    graph = small_log.clone()
    graph["item"].num_nodes = V
    model = SASRec(3, Backbone(V, dim=8, max_length=max_length)).eval()
    biased = RepeatBias(model, bias=BIAS)
    read = [row[-max_length:] for row in ROWS]
    items = torch.tensor([row + [V] * (max_length - len(row)) for row in read])
    lengths = torch.tensor([len(row) for row in read])
    rows = Batch(batch().user, items, lengths, V)
    expected = model.score(rows, graph) + naive()
    torch.testing.assert_close(biased.score(batch(), graph), expected)
    none = Ragged(
        torch.tensor([], dtype=torch.int64), torch.zeros(5, dtype=torch.int64)
    )
    [(_, found)] = biased.scorer(graph).candidate_blocks(batch(), none)
    torch.testing.assert_close(found[:, :V], expected)


def test_evaluation_reads_the_whole_history() -> None:
    """Users choose their first item again, long before what the model reads."""
    rows = [[user, *range(8, 14), user] for user in range(8)]
    users = torch.arange(8).repeat_interleave(8)
    log = gs.Interactions.from_arrays(users, torch.tensor(rows).flatten(), range(64))
    graph = gs.build_graph(gs.leave_one_out(log))
    model = SASRec(8, Backbone(graph["item"].num_nodes, dim=8, max_length=2))
    bias = [-50.0] * 6 + [50.0]
    assert gs.evaluate(RepeatBias(model, bias=bias), graph)["kept"]["MRR"] == 1
    assert gs.evaluate(model, graph)["kept"]["MRR"] < 1


def test_ranks_of_an_ensemble_are_biased_among_the_candidates(small_log) -> None:
    sizes = small_log["user"].num_nodes, small_log["item"].num_nodes
    both = Ensemble([POP(*sizes), EASE(*sizes)], combine="reciprocal_rank")
    rows = Batch(torch.tensor([0]), torch.tensor([[1]]), torch.tensor([1]), sizes[1])
    excluded = Ragged(torch.tensor([2]), torch.tensor([0, 1]))
    biased = RepeatBias(both, bias=[1.0]).scorer(small_log)
    assert biased.depends_on_candidates
    [(_, plain)] = both.scorer(small_log).candidate_blocks(rows, excluded)
    [(_, found)] = biased.candidate_blocks(rows, excluded)
    found[0, 1] -= 1
    torch.testing.assert_close(found, plain)


def test_occurrences_are_ascending_and_cut_by_rows() -> None:
    found = occurrences(batch())
    assert found.row.tolist() == sorted(found.row.tolist())
    assert found.between(1, 3).row.tolist() == [0]  # the empty row has none
    assert found.between(1, 2).item.tolist() == [2]
    assert found.between(2, 3).item.tolist() == []


def test_it_is_described_with_its_model() -> None:
    model = RepeatBias(SASRec(3, V), bias=[1.0, 2.0])
    again = create(describe(model), 3, V)
    again.load_state_dict(model.state_dict())
    assert isinstance(again, RepeatBias) and again.bias == (1.0, 2.0)
    assert again.model.max_length == model.model.max_length < again.max_length
    assert not again.stages() and again.ranks_with == model.model.ranks_with
    with pytest.raises(OptionError, match="bias"):
        RepeatBias(SASRec(3, V), bias=[])
