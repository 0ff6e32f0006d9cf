"""Importances of all training prefixes: each row by itself, without padding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.data import synthetic
from graphseq.models import explanation
from graphseq.models.backbone import Backbone
from graphseq.models.explanation import (
    explain,
    explain_all,
    importances,
    normalise,
)
from graphseq.models.user_context import UserContext
from graphseq.nn import GRU, Convolution, Encoder, Transformer, importance
from graphseq.nn.importance import occlusion
from graphseq.objectives import cross_entropy
from graphseq.sequences import Batch
from graphseq.sequences.same_target import SameTargetIndex, same_target

METHODS = ["saliency", "occlusion", "gradients", "attention", "popularity"]


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return Backbone(12, dim=8, max_length=6).double().eval()


@pytest.fixture(scope="module")
def ring(lab: Any) -> HeteroData:
    return lab.graph_of(synthetic.cycle(16, 12, length=9, seed=0))


@pytest.fixture
def index(ring: HeteroData) -> SameTargetIndex:
    return same_target(ring, "prefix", 6)


@pytest.mark.parametrize("method", METHODS)
def test_every_prefix_is_explained_by_itself(
    backbone: Backbone,
    index: SameTargetIndex,
    ring: HeteroData,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In whichever batch it is, and wherever its scores are stored."""
    monkeypatch.setattr(explanation, "ROWS", 37)
    table = backbone.features.weight.detach()
    kept = explain_all(backbone, table, index, ring, method)
    assert len(kept) == int(index.examples.length.sum())
    assert not kept.requires_grad
    count = torch.bincount(index.flat, minlength=12)
    rows = torch.tensor([3, 0, 70, len(index.target) - 1])
    batch = index.gather(rows)
    found = importances(kept, index, rows, batch)
    assert (found[~batch.mask] == 0).all()
    for i, row in enumerate(rows.tolist()):
        alone = index.gather(torch.tensor([row]))
        expected = explain(backbone, table, alone, ring, method, count)[0]
        torch.testing.assert_close(found[i, : len(expected)], expected.to(found))


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "transformer": lambda: Transformer(8, 6, layers=1),
    "from the end": lambda: Transformer(8, 6, layers=1, positions="end"),
    "both directions": lambda: Transformer(8, 6, layers=1, causal=False),
    "recurrent": lambda: GRU(8),
    "convolution": lambda: Convolution(8, window=3),
}


@pytest.mark.parametrize("of_targets", [False, True])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_occlusion_that_shares_passes_is_that_of_each_prefix(
    index: SameTargetIndex,
    ring: HeteroData,
    encoder: str,
    of_targets: bool,
    monkeypatch: Any,
) -> None:
    """In chunks of two replicas, for all prefixes and for a few of them."""
    monkeypatch.setattr(importance, "CELLS", 2 * 6 * 8 * 8)
    monkeypatch.setattr(explanation, "ROWS", 5)
    torch.manual_seed(1)
    backbone = Backbone(
        12, dim=8, max_length=6, encoder=ENCODERS[encoder](), sampler="prefix"
    )
    backbone = backbone.double().eval()
    table = backbone.features.weight.detach()
    found = explain_all(
        backbone, table, index, ring, "occlusion", of_targets=of_targets
    )
    length = index.examples.length
    expected = []
    for row in torch.arange(len(length)):
        batch, target = index.gather(row[None]), index.target[row[None]]
        count = torch.zeros(12).long()
        targets = target if of_targets else None
        found_alone = explain(backbone, table, batch, ring, "occlusion", count, targets)
        expected += found_alone[0]
    torch.testing.assert_close(found, torch.stack(expected))
    few = torch.tensor([40, 3, 41, 3])
    some = explain_all(
        backbone, table, index, ring, "occlusion", of_targets=of_targets, needed=few
    )
    chosen = torch.isin(torch.arange(len(length)), few).repeat_interleave(length)
    torch.testing.assert_close(some, found * chosen)


def test_prefixes_of_one_sequence_share_their_passes(
    backbone: Backbone,
    index: SameTargetIndex,
    ring: HeteroData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = 0

    def counted(self: Transformer, x: torch.Tensor, *others: Any) -> torch.Tensor:
        nonlocal rows
        rows += len(x)
        return forward(self, x, *others)

    forward = Transformer.forward
    monkeypatch.setattr(Transformer, "forward", counted)
    table = backbone.features.weight.detach()
    needed = (index.examples.start == 0).nonzero()[:, 0]
    explain_all(backbone, table, index, ring, "occlusion", needed=needed)
    assert len(needed) == 6  # of 1 to 6 items: 21 replicas and 6 originals otherwise
    assert rows == 6 + 1


def test_the_best_items_score_is_explained(
    backbone: Backbone, index: SameTargetIndex, ring: HeteroData
) -> None:
    table = backbone.features.weight.detach()
    batch = index.gather(torch.arange(20))

    def best(x: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return (
            backbone.encoder(x, mask)[torch.arange(len(x)), mask.sum(1) - 1] @ table.T
        ).amax(1)

    count = torch.zeros(12).long()
    found = explain(backbone, table, batch, ring, "occlusion", count)
    expected = occlusion(best, table[batch.items.clamp(max=11)], batch.mask)
    torch.testing.assert_close(found, expected.detach())


@pytest.mark.parametrize("cells", [1, 2**24])
def test_the_targets_score_is_explained_on_request(
    backbone: Backbone,
    index: SameTargetIndex,
    ring: HeteroData,
    cells: int,
    monkeypatch: Any,
) -> None:
    """Row by row and position by position, in chunks of one replica and in one."""
    monkeypatch.setattr(importance, "CELLS", cells)
    monkeypatch.setattr(explanation, "ROWS", 37)
    table = backbone.features.weight.detach()
    kept = explain_all(backbone, table, index, ring, "occlusion", of_targets=True)
    rows = torch.tensor([60, 0, 17])
    batch = index.gather(rows)
    found = importances(kept, index, rows, batch)
    for row, n in enumerate(batch.lengths.tolist()):
        x, mask = table[batch.items[row : row + 1, :n]], torch.ones(1, n).bool()
        goal = table[index.target[rows[row]]]
        for position in range(n):
            without = x.clone()
            without[0, position] = 0
            lost = backbone.encoder(x, mask) - backbone.encoder(without, mask)
            expected = float((lost[0, -1] @ goal).detach())
            assert found[row, position].item() == pytest.approx(expected, abs=1e-9)
    first = explain_all(backbone, table, index, ring, "occlusion")
    assert not torch.allclose(kept, first)
    by_gradient = explain_all(backbone, table, index, ring, "saliency", of_targets=True)
    count = torch.zeros(12).long()
    alone = explain(backbone, table, batch, ring, "saliency", count, index.target[rows])
    torch.testing.assert_close(importances(by_gradient, index, rows, batch), alone)


def test_popularity_is_of_training_events(
    backbone: Backbone, index: SameTargetIndex, ring: HeteroData
) -> None:
    table = backbone.features.weight.detach()
    kept = explain_all(backbone, table, index, ring, "popularity")
    row = torch.tensor([5])
    batch = index.gather(row)
    n = int(batch.lengths)
    items = ring[INTERACTS].edge_index[1].tolist()
    expected = [items.count(item) for item in batch.items[0, :n].tolist()]
    assert importances(kept, index, row, batch)[0, :n].tolist() == expected


def test_normalised_importances_are_equation_5() -> None:
    """U-7(a); negative scores by size or as zero; equal if all are zero."""
    scores = torch.tensor([[0.7, 0.1, 1.2], [-1, 3, 0], [0, 0, 0]], dtype=torch.float64)
    mask = torch.tensor([[True] * 3, [True, True, False], [True, True, False]])
    by_size = normalise(scores, mask, clip=False)
    assert by_size[0].tolist() == pytest.approx([0.35, 0.05, 0.60])
    assert by_size[1].tolist() == pytest.approx([0.25, 0.75, 0])
    assert by_size[2].tolist() == pytest.approx([0.5, 0.5, 0])
    assert normalise(scores, mask, clip=True)[1].tolist() == pytest.approx([0, 1, 0])


@pytest.fixture(scope="module")
def reader() -> tuple[Backbone, Batch]:
    """A model of the last item of users, which depends on three planted items."""
    log = synthetic.planted(1200, categories=6, size=6, noise=40, length=8, seed=0)
    items = torch.tensor(log.item).view(1200, 9)
    torch.manual_seed(0)
    encoder = Transformer(32, 8, layers=1, dropout=0.2)
    backbone = Backbone(log.num_items, encoder=encoder, max_length=8)
    adam = torch.optim.Adam(backbone.parameters(), 5e-3)
    for step in range(300):
        rows = items[100 * (step % 10) :][:100]
        h = encoder(backbone.features.weight[rows[:, :8]], torch.ones(100, 8).bool())
        loss = cross_entropy(h[:, -1], backbone.features.weight, rows[:, 8])
        adam.zero_grad()
        loss.backward()
        adam.step()
    fresh = items[1000:, :8]
    full = torch.full((200,), 8)
    return backbone.eval(), Batch(torch.arange(200), fresh, full, log.num_items)


@pytest.mark.parametrize("method", [*METHODS, "random"])
def test_planted_items_rank_above_the_noise(
    reader: tuple[Backbone, Batch], method: str
) -> None:
    """AUC within each history; popularity ranks the noise above."""
    backbone, batch = reader
    count = torch.bincount(batch.items.flatten(), minlength=batch.num_items)
    table = backbone.features.weight.detach()
    scores = explain(backbone, table, batch, HeteroData(), method, count).detach()
    matters = batch.items < 36
    pairs = matters[:, :, None] & ~matters[:, None, :]
    above = (scores[:, :, None] - scores[:, None, :]).sign()[pairs].mean().item()
    auc = (above + 1) / 2
    if method == "random":
        assert 0.45 < auc < 0.55
    elif method == "popularity":
        assert auc < 0.3, auc
    else:
        assert auc > 0.6, auc


USERS: dict[str, dict[str, Any]] = {
    "history": {},
    "graph": {"source": "graph", "num_users": 16},
}


@pytest.mark.parametrize("join", ["add", "gate", "token"])
@pytest.mark.parametrize("source", USERS)
def test_what_users_add_to_the_scores_is_explained_too(
    index: SameTargetIndex, ring: HeteroData, join: Any, source: str
) -> None:
    """Occlusion, by ranking with an item whose vector is zero in its place."""
    torch.manual_seed(0)
    users = UserContext(dim=8, join=join, std=1.0, **USERS[source])
    backbone = Backbone(12, users=users, max_length=6, sampler="prefix")
    backbone = backbone.double().eval()
    with torch.no_grad():
        backbone.features.weight.normal_()[11] = 0
        users.map.weight.normal_()
    table = backbone.features.weight.detach()
    kept = explain_all(backbone, table, index, ring, "occlusion", of_targets=True)
    rows = torch.tensor([60, 0, 17])
    batch = index.gather(rows)
    found = importances(kept, index, rows, batch)
    goal = table[index.target[rows]]

    def scores(items: torch.Tensor) -> torch.Tensor:
        own = replace(batch, items=items.where(batch.mask, 12))
        return (backbone.represent(table, own, ring) * goal).sum(dim=1).detach()

    for position in range(int(batch.lengths.max())):
        without = batch.items.clone()
        without[:, position] = 11
        fall = scores(batch.items) - scores(without)
        real = batch.mask[:, position]
        torch.testing.assert_close(found[real, position], fall[real])
    saliency = explain_all(backbone, table, index, ring, "saliency", of_targets=True)
    own = importances(saliency, index, rows, batch)
    x = backbone.embed(table, batch).detach().requires_grad_()
    nodes = users.nodes(table, batch, ring)
    z = users.of_vectors(x, batch.mask, nodes)
    states = backbone.encoder.last(*backbone.with_token(x, batch.mask, z))
    (users.combine(states, z) * goal).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(own, x.grad.abs().sum(dim=2) * batch.mask)


def test_attention_to_the_token_of_a_user_is_left_out(
    index: SameTargetIndex, ring: HeteroData
) -> None:
    torch.manual_seed(0)
    users = UserContext(dim=8, join="token")
    backbone = Backbone(12, users=users, max_length=6, sampler="prefix").eval()
    table = backbone.features.weight.detach()
    batch = index.gather(torch.tensor([60, 0, 17]))
    found = explain(
        backbone, table, batch, ring, "attention", torch.zeros(12, dtype=torch.long)
    )
    assert found.shape == batch.items.shape
    assert (found[~batch.mask] == 0).all() and (found[batch.mask] > 0).all()
    assert (found.sum(dim=1) < 1).all()  # the rest is the token's
