"""SR-GNN against the specification and its equations."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models import SRGNN
from graphseq.nn import GatedGraph, Propagated
from graphseq.sequences import Batch
from graphseq.sequences.batch import last_targets

H = torch.tensor([[1, 0], [0, 1], [1, 1], [-1, 0.5]], dtype=torch.float64)
SESSION = [0, 1, 2, 1, 3]


def rows(*sequences: list[int], num_items: int = 12, width: int = 0) -> Batch:
    width = max(width, *map(len, sequences))
    items = [s + [num_items] * (width - len(s)) for s in sequences]
    lengths = torch.tensor([len(s) for s in sequences])
    user = torch.arange(len(sequences))
    return Batch(user, torch.tensor(items), lengths, num_items)


close = partial(torch.testing.assert_close, atol=1e-6, rtol=1e-6)


def specified(network: GatedGraph) -> None:
    """The gated cell of 6.8 (its update gate is one minus a GRU cell's)."""
    with torch.no_grad():
        network.messages.weight[:] = torch.eye(2).repeat(2, 1)
        network.cell.weight_ih.fill_(0.1)
        network.cell.weight_hh[:] = 0.2 * torch.eye(2).repeat(3, 1)
        network.cell.weight_ih[2:4] *= -1
        network.cell.weight_hh[2:4] *= -1
        for name, parameter in network.named_parameters():
            if "bias" in name:
                parameter.zero_()


def states_alone(model: SRGNN, sequence: list[int]) -> Tensor:
    """The session states of one sequence, alone and without padding."""
    items, lengths = torch.tensor([sequence]), torch.tensor([len(sequence)])
    return model.states(model.features.weight, items, lengths)[0]


def test_the_session_vector_of_the_specification() -> None:
    model = SRGNN(1, 4, dim=2, bias=False).double()
    specified(model.states.network)
    with torch.no_grad():
        model.features.weight[:] = H
        for layer in (model.of_last, model.of_each):
            layer.weight[:], layer.bias[:] = torch.eye(2), 0
        model.query.weight.fill_(1)
        model.merge.weight[:], model.merge.bias[:] = torch.eye(2).repeat(1, 2), 0
    found = model.represent(rows(SESSION, num_items=4), HeteroData())
    assert found[0].tolist() == pytest.approx([0.59428437, 2.69648150], abs=1e-8)


def test_the_session_vector_equals_its_equations() -> None:
    torch.manual_seed(0)
    model = SRGNN(1, 12, dim=4).double()
    sequences = [[4, 5, 4, 6], [7]]
    found = model.represent(rows(*sequences), HeteroData())
    for row, sequence in enumerate(sequences):
        h = states_alone(model, sequence)
        whole = torch.zeros(4).double()
        for state in h:  # Eq. (6)
            wanted = model.of_last.weight @ h[-1] + model.of_last.bias
            wanted = wanted + model.of_each.weight @ state + model.of_each.bias
            whole = whole + (model.query.weight[0] @ wanted.sigmoid()) * state
        expected = model.merge.weight @ torch.cat([whole, h[-1]]) + model.merge.bias
        close(found[row], expected)


def test_the_loss_is_the_cross_entropy_of_each_rows_target(
    lab, cycle: HeteroData
) -> None:
    model = SRGNN(48, 12, dim=8, max_length=5).double().eval()
    batch = lab.load(model, cycle)[0]
    assert model.sampler == "prefix" and batch.target_positions()[0].sum() == len(batch)
    scores = model.represent(batch, cycle) @ model.item_vectors(cycle).T
    target = last_targets(batch)
    expected = nn.functional.cross_entropy(scores, target)
    torch.testing.assert_close(model.losses(batch, cycle)["next_item"], expected)


def test_propagated_features_are_encoded_and_scored(lab, cycle: HeteroData) -> None:
    torch.manual_seed(0)
    model = SRGNN(48, 12, features=Propagated(12, dim=8, std=1.0)).double().eval()
    assert model.requires
    plain = SRGNN(48, 12, dim=8).double().eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        plain.features.weight[:] = model.item_vectors(cycle)
    batch = lab.test_batch(model, cycle)
    batch = replace(batch, lengths=batch.lengths.clamp(max=3))
    torch.testing.assert_close(model.score(batch, cycle), plain.score(batch, cycle))
