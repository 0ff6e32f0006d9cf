"""ICLRec: the E-step, both contrasts, masked negatives, several K, warm-up."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.constants import INTERACTS
from graphseq.errors import ConfigError
from graphseq.models import ICLRec, IntentContrast
from graphseq.models.backbone import Backbone
from graphseq.models.iclrec import mean_states
from graphseq.nn import kmeans, pool
from graphseq.objectives import nt_xent
from graphseq.sequences import Batch

H1 = torch.tensor([[[1.0, 0], [0, 1]], [[0, 1], [1, 1]]], dtype=torch.float64)
H2 = torch.tensor([[[1.0, 1], [0, 1]], [[0, 0], [2, 0]]], dtype=torch.float64)


def small(**options: Any) -> ICLRec:
    torch.manual_seed(0)
    part = ICLRec.default_backbone(12, dim=8, max_length=6)
    given = {"clusters": [3], "weight": 1.0, "sequence_weight": 0.1} | options
    return ICLRec(48, part, objective=IntentContrast(**given)).double().eval()


def centroids(model: ICLRec) -> list[Tensor]:
    return [*model.epoch_state.values()]


@pytest.fixture
def batch(lab: Any, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=10)[0]


@pytest.mark.parametrize(
    "pooling, expected",
    [("flatten", 0.566942303), ("mean", 1.208576721), ("last", 0.628744772)],
)
def test_the_sequence_contrast_of_the_specification(
    pooling: Any, expected: float
) -> None:
    """U-3."""
    mask = torch.ones(2, 2, dtype=torch.bool)
    h = (pool(states, mask, pooling) for states in (H1, H2))
    assert nt_xent(*h).item() == pytest.approx(expected, abs=1e-9)


def test_means_leave_out_padding() -> None:
    """U-3, last line: two real items in three positions."""
    states = torch.tensor([[[1.0, 0], [0, 2], [0.5, 0.5]]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False]])
    assert pool(states, mask, "mean").tolist() == [[0.5, 1.0]]


def test_the_e_step_clusters_the_mean_state_of_every_users_training_sequence(
    loops: Any, noise: HeteroData
) -> None:
    objective = IntentContrast(clusters=[3, 9])
    model = loops.build(ICLRec, noise, {"max_length": 6}, objective=objective)
    (users, items), expected = noise[INTERACTS].edge_index, []
    for user in range(60):
        inputs = items[users == user][:-1][-6:]  # the newest six
        if length := len(inputs):
            row = Batch(users[:1], inputs[None], torch.tensor([length]), 20)
            vectors = (model.backbone, model.item_vectors(noise), row, "mean")
            expected.append(loops.vectors(*vectors)[0])
    assert 6 < len(expected) < 60
    found = mean_states(model.backbone, noise)
    torch.testing.assert_close(found, torch.stack(expected))
    with torch.no_grad():
        model.refresh(noise, 4)
    for number, clusters in zip((3, 9), centroids(model), strict=True):
        torch.testing.assert_close(clusters, kmeans(found, number, seed=4))
        assert not clusters.requires_grad
    before = [c.clone() for c in centroids(model)]
    model.refresh(noise, 4)
    assert all(map(torch.equal, centroids(model), before))
    model.refresh(noise, 5)
    assert not torch.equal(centroids(model)[1], before[1])


def test_only_training_events_are_read(lab: Any, cycle: HeteroData) -> None:
    """Neither clusters nor labels depend on what is held out."""
    graph = copy.copy(cycle)
    del graph.validation, graph.test
    model, expected = small(fnm="both"), small(fnm="both")
    model.refresh(graph, 0)
    expected.refresh(cycle, 0)
    assert torch.equal(centroids(model)[0], centroids(expected)[0])
    assert model.losses(lab.load(model, graph)[0], graph)


def one_directional(
    anchors: Tensor, others: Tensor, exclude: Any, t: float, within: bool
) -> float:
    """The mean loss of the anchors against others, and against each other."""
    total, rows = 0.0, range(len(anchors))
    for i in rows:
        mass = math.exp(float(anchors[i] @ others[i]) / t)
        for j in rows:
            if j == i or (exclude and exclude[i][j]):
                continue
            mass += math.exp(float(anchors[i] @ others[j]) / t)
            mass += math.exp(float(anchors[i] @ anchors[j]) / t) if within else 0.0
        total += math.log(mass) - float(anchors[i] @ others[i]) / t
    return total / len(anchors)


def among_all(views: Tensor, raw: Tensor, which: list[int], t: float) -> float:
    """Eq. (14): every view against the K normalised centroids, mean over the views."""
    total = 0.0
    for view, own in zip(views, which, strict=True):
        products = [float(view @ c) / float(c.norm()) / t for c in raw]
        total += math.log(sum(map(math.exp, products))) - products[own]
    return total / len(views)


@pytest.mark.parametrize("form", ["symmetric", "paper", "prototypes"])
@pytest.mark.parametrize("fnm", ["none", "intents", "both"])
def test_terms_are_their_equations(
    loops: Any, noise: HeteroData, fnm: Any, form: Any
) -> None:
    weights = {"weight": 0.3, "sequence_weight": 0.2, "temperature": 0.7}
    objective = IntentContrast(fnm=fnm, form=form, clusters=[4], **weights)
    model = loops.build(ICLRec, noise, objective=objective)
    model.refresh(noise, 0)
    views = loops.record_views(model)
    batch, items = loops.batch(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    [raw] = centroids(model)
    assert raw.norm(dim=1).std() > 0.05  # so normalisation changes the nearest one
    own = loops.vectors(model.backbone, items, batch, "mean")
    which = [int((row - raw).square().sum(dim=1).argmin()) for row in own]
    intents = (raw / raw.norm(dim=1, keepdim=True))[which]
    newest = loops.equal_pairs(loops.last_targets(batch)) if fnm == "both" else None
    shared = None if fnm == "none" else loops.equal_pairs(which)
    h = loops.vectors(model.backbone, items, views[0], "flatten").chunk(2)
    directions = "mean" if form == "symmetric" else "sum"
    sequence = loops.nt_xent(*h, 0.7, newest, directions=directions)
    loops.check(terms["sequence"], 0.2 * sequence)
    total = 0.0
    for h in loops.vectors(model.backbone, items, views[0], "mean").chunk(2):
        if form == "paper":
            total += one_directional(h, intents, shared, 0.7, within=False)
        elif form == "prototypes":
            total += among_all(h, raw, which, 0.7)
        else:
            pairs = [(h, intents), (intents, h)]
            total += sum(one_directional(*p, shared, 0.7, True) for p in pairs) / 4
    loops.check(terms["intent"], 0.3 * total)


def test_both_contrasts_read_one_encoding_of_the_views(
    cycle: HeteroData, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small()
    model.refresh(cycle, 0)
    encoded: list[int] = []
    states = Backbone.states

    def counted(self: Backbone, items: Tensor, rows: Batch, *others: Any) -> Tensor:
        encoded.append(len(rows))
        return states(self, items, rows, *others)

    monkeypatch.setattr(Backbone, "states", counted)
    terms = model.losses(batch, cycle)
    assert {*terms} == {"next_item", "sequence", "intent"}
    assert encoded == [len(batch), 2 * len(batch)]


def test_all_numbers_of_clusters_count_equally(
    loops: Any, cycle: HeteroData, batch: Batch
) -> None:
    """In the authors' code only the last counts."""

    def intent(clusters: list[int]) -> Tensor:
        model = small(clusters=clusters)
        model.refresh(cycle, 1)
        assert [len(c) for c in centroids(model)] == clusters
        return loops.after(3, lambda: model.losses(batch, cycle)["intent"])

    alone = torch.stack([intent([number]) for number in (2, 5, 3)])
    torch.testing.assert_close(intent([2, 5, 3]), alone.mean())
    assert len(alone.unique()) == 3


def test_assignments_to_intents_are_not_trained(
    cycle: HeteroData, batch: Batch
) -> None:
    """Without views, nothing of the intent contrast depends on the encoder."""
    model = small(sequence_weight=0.0)
    model.refresh(cycle, 0)
    assert not any("centroid" in name for name in model.state_dict())
    objective, items = model.objectives[0], model.item_vectors(cycle)
    own = model.backbone.pooled(items, batch, "mean")
    h = torch.randn(2, 10, 8, dtype=torch.float64, requires_grad=True)
    objective.intent_term(*h, own, centroids(model)[0]).backward()
    assert h.grad.any() and all(p.grad is None for p in model.parameters())


def test_losses_before_the_first_refresh_are_refused(
    cycle: HeteroData, batch: Batch
) -> None:
    with pytest.raises(RuntimeError, match="call refresh"):
        small().losses(batch, cycle)


def test_warm_up_trains_by_the_sequence_contrast_alone(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small(warm_up=2)
    first, second = model.stages()
    assert (first.epochs, second.epochs, model.warmup) == (2, None, 2)
    for epoch in range(4):
        model.refresh(cycle, epoch)
        assert len(centroids(model)) == (epoch >= 2)
        step = (first if epoch < 2 else second).steps[0]
        names = {"sequence"} if epoch < 2 else {"next_item", "sequence", "intent"}
        assert set(step.losses(batch, cycle)) == names


@pytest.mark.parametrize(
    "options, names",
    [
        ({"weight": 0.0}, {"next_item", "sequence"}),
        ({"sequence_weight": 0.0}, {"next_item", "intent"}),
    ],
)
def test_terms_without_weight_are_left_out(
    cycle: HeteroData, batch: Batch, options: dict[str, Any], names: set[str]
) -> None:
    model = small(**options)
    model.refresh(cycle, 0)
    assert set(model.losses(batch, cycle)) == names


def test_with_fewer_users_than_clusters_each_user_is_one(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small(clusters=[256])
    model.refresh(cycle, 0)
    assert len(centroids(model)[0]) == 48
    assert model.losses(batch, cycle)["intent"].isfinite()


def test_parameters_are_those_of_the_specification() -> None:
    """U-16, without the rows of padding and mask; one layer, as in 2.13."""
    encoder = {"Transformer": {"layers": 1}}
    model = ICLRec(22_363, ICLRec.default_backbone(12_101, encoder=encoder))
    assert sum(p.numel() for p in model.parameters()) == 827_904 - 2 * 64


@pytest.mark.parametrize(
    "options, message",
    [
        ({"clusters": []}, "one number K"),
        ({"warm_up": 3, "sequence_weight": 0.0}, "warm_up"),
    ],
)
def test_options_that_cannot_train_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**options)


def test_a_run_clusters_before_every_epoch(cycle: HeteroData) -> None:
    model, epochs = small(clusters=[4], warm_up=1).float(), []
    refresh = model.refresh
    model.refresh = lambda graph, epoch: epochs.append(epoch) or refresh(graph, epoch)
    run = fit(model, cycle, max_epochs=3, batch_size=16, progress=False)
    assert epochs == [0, 1, 2]
    first, *others = run.history
    assert first["sequence"] > 0 and first["intent"] is None
    assert all(row["next_item"] > 0 and row["intent"] > 0 for row in others)
