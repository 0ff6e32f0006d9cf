"""SR-GNN, GC-SAN and the states that they share: 6.8 of the specification, loops."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import GCSAN, SRGNN
from graphseq.models.sessions import SessionStates, unfold
from graphseq.nn import GatedGraph, Propagated
from graphseq.sequences import Batch

H = torch.tensor([[1, 0], [0, 1], [1, 1], [-1, 0.5]], dtype=torch.float64)
SESSION = [0, 1, 2, 1, 3]


def rows(*sequences: list[int], num_items: int = 12, width: int = 0) -> Batch:
    width = max(width, *map(len, sequences))
    items = [s + [num_items] * (width - len(s)) for s in sequences]
    lengths = torch.tensor([len(s) for s in sequences])
    user = torch.arange(len(sequences))
    return Batch(user, torch.tensor(items), lengths, num_items)


close = partial(torch.testing.assert_close, atol=1e-6, rtol=1e-6)
"""Edge weights are float32, whatever the model is."""


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


def test_srgnn_reads_out_as_specified() -> None:
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


def test_gcsan_mixes_as_specified() -> None:
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


def session_loop(states: SessionStates, table: Tensor, sequence: list[int]) -> Tensor:
    """One sequence alone: its own small graph, edge by edge; states place by place."""
    nodes = sorted(set(sequence))
    counts: dict[tuple[int, int], int] = {}
    for a, b in pairwise(sequence):
        pair = nodes.index(a), nodes.index(b)
        counts[pair] = 1 if states.binary else counts.get(pair, 0) + 1
    edges = sorted(counts)
    into = [sum(c for (_, t), c in counts.items() if t == e[1]) for e in edges]
    out = [sum(c for (s, _), c in counts.items() if s == e[0]) for e in edges]
    weights = [
        torch.tensor([counts[e] / n for e, n in zip(edges, sums, strict=True)]).double()
        for sums in (into, out)
    ]
    edge_index = torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T
    x = states.network(table[torch.tensor(nodes)], edge_index, *weights)
    return torch.stack([x[nodes.index(item)] for item in sequence])


@pytest.mark.parametrize("binary", [True, False])
def test_a_batch_of_graphs_is_one_graph_after_the_other(binary: bool) -> None:
    torch.manual_seed(0)
    states = SessionStates(4, steps=2, binary=binary, bias=True).double()
    table = torch.randn(12, 4, dtype=torch.float64)
    sequences = [[0, 1, 0, 1, 0, 2], [], [5], [3, 3, 3], [11, 0, 11]]
    batch = rows(*sequences, width=7)
    before = batch.items.clone()
    found = states(table, batch)
    assert found.shape == (5, 7, 4)
    assert not found[~batch.mask].any()
    for row, sequence in enumerate(sequences):
        if sequence:
            expected = session_loop(states, table, sequence)
            close(found[row, : len(sequence)], expected)
    assert torch.equal(batch.items, before)


def test_unfold_puts_zeros_where_there_is_no_item_even_if_there_is_no_node() -> None:
    alias = torch.zeros(2, 3, dtype=torch.long)
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    assert torch.equal(unfold(torch.zeros(0, 2), alias, nothing), torch.zeros(2, 3, 2))
    mask = torch.tensor([[True, True, False], [True, False, False]])
    nodes = torch.tensor([[1.0, 2], [3, 4]])
    alias = torch.tensor([[0, 1, 0], [1, 0, 0]])
    expected = [[[1, 2], [3, 4], [0, 0]], [[3, 4], [0, 0], [0, 0]]]
    assert unfold(nodes, alias, mask).tolist() == expected


def test_srgnn_attends_as_its_equations_say() -> None:
    torch.manual_seed(0)
    model = SRGNN(1, 12, dim=4).double()
    sequences = [[4, 5, 4, 6], [7]]
    found = model.represent(rows(*sequences), HeteroData())
    for row, sequence in enumerate(sequences):
        h = session_loop(model.states, model.features.weight, sequence)
        whole = torch.zeros(4).double()
        for state in h:  # Eq. (6)
            wanted = model.of_last.weight @ h[-1] + model.of_last.bias
            wanted = wanted + model.of_each.weight @ state + model.of_each.bias
            whole = whole + (model.query.weight[0] @ wanted.sigmoid()) * state
        expected = model.merge.weight @ torch.cat([whole, h[-1]]) + model.merge.bias
        close(found[row], expected)


@pytest.mark.parametrize("layers", [1, 3])
def test_gcsan_attends_along_each_sequence_alone(layers: int) -> None:
    torch.manual_seed(0)
    model = GCSAN(1, 12, dim=4, layers=layers, heads=2, weight=0.7).double().eval()
    sequences = [[4, 5, 4, 6], [7], []]
    found = model.represent(rows(*sequences, width=6), HeteroData())
    for row, sequence in enumerate(sequences[:2]):
        h = session_loop(model.states, model.features.weight, sequence)
        deep = h[None]
        for block in model.attention:
            deep = block(deep, deep, None)
        close(found[row], 0.7 * deep[0, -1] + 0.3 * h[-1])
    assert not found[2].any()


def test_gcsan_has_no_positions_but_knows_what_followed_what() -> None:
    """Both sequences have the same items and the same last one."""
    torch.manual_seed(0)
    model = GCSAN(1, 12, dim=4).double().eval()
    found = model.represent(rows([1, 2, 3], [2, 1, 3]), HeteroData())
    assert not torch.allclose(found[0], found[1])
    with torch.no_grad():  # without messages nothing tells them apart
        model.states.network.messages.weight.zero_()
        model.states.network.messages.bias.zero_()
    found = model.represent(rows([1, 2, 3], [2, 1, 3]), HeteroData())
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("kind", [SRGNN, GCSAN])
def test_the_loss_is_the_cross_entropy_of_each_rows_target(
    lab, kind: type, cycle: HeteroData
) -> None:
    model = kind(48, 12, dim=8, max_length=5).double().eval()
    batch = lab.load(model, cycle)[0]
    assert model.sampler == "prefix" and batch.target_positions()[0].sum() == len(batch)
    scores = model.represent(batch, cycle) @ model.item_vectors(cycle).T
    place = batch.lengths - 1
    target = batch.targets[torch.arange(len(batch)), place]
    expected = nn.functional.cross_entropy(scores, target)
    torch.testing.assert_close(model.losses(batch, cycle)["next_item"], expected)


@pytest.mark.parametrize("kind", [SRGNN, GCSAN])
def test_propagated_features_are_read_and_scored(
    lab, kind: type, cycle: HeteroData
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


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"weight=1\.5"):
        GCSAN(1, 12, weight=1.5)
