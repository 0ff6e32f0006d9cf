"""SR-GNN and GC-SAN against the specification and their equations."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models import GCSAN, SRGNN
from graphseq.nn import GatedGraph, Propagated
from graphseq.schema import OptionError
from graphseq.sequences import Batch
from graphseq.sequences.rows import last_targets

H = torch.tensor([[1, 0], [0, 1], [1, 1], [-1, 0.5]], dtype=torch.float64)
SESSION = [0, 1, 2, 1, 3]
BOTH = pytest.mark.parametrize("kind", [SRGNN, GCSAN])


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


def states_alone(model: SRGNN | GCSAN, sequence: list[int]) -> Tensor:
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


def test_the_mixture_of_the_specification() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor, context: Tensor, allowed: Tensor) -> Tensor:
            return torch.tensor([0.3, -0.2]).double().expand_as(x)

    model = GCSAN(1, 4, dim=2, weight=0.6).double()
    specified(model.states.network)
    with torch.no_grad():
        model.features.weight[:] = H
    model.attention = nn.ModuleList([Attention()])
    found = model.represent(rows(SESSION, num_items=4), HeteroData())
    assert found[0].tolist() == pytest.approx([-0.02904243, 0.00384894], abs=1e-8)


@pytest.mark.parametrize("layers", [1, 3])
def test_attention_stays_within_each_sequence(layers: int) -> None:
    torch.manual_seed(0)
    model = GCSAN(1, 12, dim=4, layers=layers, heads=2, weight=0.7).double().eval()
    sequences = [[4, 5, 4, 6], [7], []]
    found = model.represent(rows(*sequences, width=6), HeteroData())
    for row, sequence in enumerate(sequences[:2]):
        h = states_alone(model, sequence)
        deep = h[None]
        for block in model.attention:
            deep = block(deep, deep, None)
        close(found[row], 0.7 * deep[0, -1] + 0.3 * h[-1])
    assert not found[2].any()


def test_there_are_no_positions_but_transitions_matter() -> None:
    """Both sequences have the same items and the same last one."""
    torch.manual_seed(0)
    model = GCSAN(1, 12, dim=4).double().eval()
    found = model.represent(rows([1, 2, 3], [2, 1, 3]), HeteroData())
    assert not torch.allclose(found[0], found[1])
    with torch.no_grad():  # without messages both are equal
        model.states.network.messages.weight.zero_()
        model.states.network.messages.bias.zero_()
    found = model.represent(rows([1, 2, 3], [2, 1, 3]), HeteroData())
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("options", [{"weight": 1.5}, {"weight": 0.0}, {"heads": 3}])
def test_weights_and_heads_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        GCSAN(1, 12, **options)


@torch.no_grad()
def test_blocks_drop_in_training_and_the_mixture_does_not() -> None:
    """The same seed draws the same masks in the blocks, one after the other."""
    torch.manual_seed(0)
    model = GCSAN(1, 12, dim=8, layers=2, heads=2, dropout=0.35).double().train()
    for weight in model.parameters():
        weight.add_(0.3 * torch.randn_like(weight))
    for sequence in ([4, 5, 4, 6, 1], [7], [2, 2, 9]):
        h = states_alone(model, sequence)[None]
        torch.manual_seed(1)
        found = model.represent(rows(sequence), HeteroData())
        torch.manual_seed(1)
        first, last = model.attention
        deep = first(h, h, None)
        own = last(deep[:, -1:], deep, torch.ones(1, 1, 1, len(sequence)).bool())
        close(found, 0.6 * own[:, 0] + 0.4 * h[:, -1])
    assert model.attention[0].dropout.probability == 0.35
    assert model.attention[0].attention_dropout == 0.35


@BOTH
def test_the_loss_is_the_cross_entropy_of_each_rows_target(
    lab, kind: type[SRGNN | GCSAN], cycle: HeteroData
) -> None:
    model = kind(48, 12, dim=8, max_length=5).double().eval()
    batch = lab.load(model, cycle)[0]
    assert model.sampler == "prefix" and batch.target_positions()[0].sum() == len(batch)
    scores = model.represent(batch, cycle) @ model.item_vectors(cycle).T
    target = last_targets(batch)
    expected = nn.functional.cross_entropy(scores, target)
    torch.testing.assert_close(model.losses(batch, cycle)["next_item"], expected)


@BOTH
def test_propagated_features_are_encoded_and_scored(
    lab, kind: type[SRGNN | GCSAN], cycle: HeteroData
) -> None:
    torch.manual_seed(0)
    model = kind(48, 12, features=Propagated(12, dim=8, std=1.0)).double().eval()
    assert model.requires
    plain = kind(48, 12, dim=8).double().eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        plain.features.weight[:] = model.item_vectors(cycle)
    batch = lab.test_batch(model, cycle)
    batch = replace(batch, lengths=batch.lengths.clamp(max=3))
    torch.testing.assert_close(model.score(batch, cycle), plain.score(batch, cycle))
