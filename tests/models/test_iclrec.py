"""ICLRec: the E-step, both contrasts, what is spared, several K, warm-up."""

import copy
import math

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.constants import INTERACTS
from graphseq.errors import ConfigError
from graphseq.models import GRU4Rec, ICLRec, SASRec, iclrec
from graphseq.nn import GRU, kmeans, pool
from graphseq.objectives import nt_xent
from graphseq.sequences import Batch

H1 = torch.tensor([[[1.0, 0], [0, 1]], [[0, 1], [1, 1]]], dtype=torch.float64)
H2 = torch.tensor([[[1.0, 1], [0, 1]], [[0, 0], [2, 0]]], dtype=torch.float64)


def small(**options) -> ICLRec:
    torch.manual_seed(0)
    given = {"dim": 8, "max_length": 6, "clusters": (3,), "intent_weight": 1.0}
    return ICLRec(48, 12, **(given | options)).double().eval()


@pytest.fixture
def batch(lab, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=10)[0]


@pytest.fixture
def views(monkeypatch: pytest.MonkeyPatch, batch: Batch) -> tuple[Batch, Batch]:
    """Fixed views: the rows without their last item, and reversed."""
    v = batch.num_items
    cut = batch.items.scatter(1, (batch.lengths - 1)[:, None], v)
    first = Batch(batch.user, cut, batch.lengths - 1, v)
    turned = torch.full_like(batch.items, v)
    for row, n in enumerate(batch.lengths.tolist()):
        turned[row, :n] = batch.items[row, :n].flip(0)
    second = Batch(batch.user, turned, batch.lengths, v)
    monkeypatch.setattr(iclrec, "random_views", lambda *_, **__: (first, second))
    return first, second


def means(model: ICLRec, batch: Batch) -> Tensor:
    states = model.backbone.states(model.backbone.features.weight, batch)
    lengths = batch.lengths.tolist()
    return torch.stack(
        [s[:n].mean(dim=0) for s, n in zip(states, lengths, strict=True)]
    )


@pytest.mark.parametrize(
    "pooling, expected",
    [("flatten", 0.566942303), ("mean", 1.208576721), ("last", 0.628744772)],
)
def test_the_sequence_contrast_of_the_specification(
    pooling: str, expected: float
) -> None:
    """U-3."""
    model = small(dim=2)
    model.backbone.states = lambda table, batch: torch.cat([H1, H2])
    model.backbone.last = lambda table, batch: torch.cat([H1, H2])[:, -1]
    both = Batch(torch.arange(4), torch.zeros(4, 2).long(), torch.full((4,), 2), 12)
    h = model.pooled(torch.zeros(12, 2).double(), both, pooling)
    assert nt_xent(*h).item() == pytest.approx(expected, abs=1e-9)


def test_a_mean_leaves_padding_out() -> None:
    """U-3, last line: two real places of three."""
    states = torch.tensor([[[1.0, 0], [0, 2], [0.5, 0.5]]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False]])
    assert pool(states, mask, "mean").tolist() == [[0.5, 1.0]]


def test_the_e_step_clusters_the_mean_state_of_every_users_training_sequence(
    cycle: HeteroData,
) -> None:
    model = small()
    edges, expected = cycle[INTERACTS].edge_index, []
    for user in range(48):
        items = edges[1][edges[0] == user][:-1][-6:]  # its inputs, the newest six
        row = Batch(torch.tensor([user]), items[None], torch.tensor([len(items)]), 12)
        expected.append(means(model, row)[0])
    found = model.intents(cycle)
    torch.testing.assert_close(found, torch.stack(expected))
    with torch.no_grad():
        model.refresh(cycle, 4)
    torch.testing.assert_close(
        model.epoch_state["centroids_0"], kmeans(found, 3, seed=4)
    )


def test_only_training_events_are_read(lab, cycle: HeteroData) -> None:
    """Neither clusters nor labels know what is held out."""
    graph = copy.copy(cycle)
    del graph.validation, graph.test
    model = small(fnm="both")
    model.refresh(graph, 0)
    expected = small(fnm="both")
    expected.refresh(cycle, 0)
    assert torch.equal(model.epoch_state["centroids_0"], expected.memory["centroids_0"])
    assert model.losses(lab.load(model, graph)[0], graph)


@pytest.mark.parametrize("fnm", ["none", "intents"])
@pytest.mark.parametrize("form", ["symmetric", "paper"])
def test_the_intent_term_is_the_equation_written_as_loops(
    cycle: HeteroData, batch: Batch, views: tuple[Batch, Batch], fnm: str, form: str
) -> None:
    model = small(fnm=fnm, form=form, intent_weight=0.3)
    model.refresh(cycle, 0)
    raw = model.epoch_state["centroids_0"]
    own = means(model, batch).detach()
    distances = [[float((h - c).norm()) for c in raw] for h in own]
    which = [row.index(min(row)) for row in distances]
    assert len(set(which)) > 1
    intents = [raw[k] / raw[k].norm() for k in which]

    def anchored(anchors: list, others: list, within: bool) -> float:
        total = 0.0
        for i, anchor in enumerate(anchors):
            mass = math.exp(float(anchor @ others[i]))
            for j in range(len(anchors)):
                if j == i or (fnm == "intents" and which[i] == which[j]):
                    continue
                mass += math.exp(float(anchor @ others[j]))
                mass += math.exp(float(anchor @ anchors[j])) if within else 0.0
            total += math.log(mass) - float(anchor @ others[i])
        return total / len(anchors)

    total = 0.0
    for view in views:
        h = [*means(model, view).detach()]
        if form == "paper":
            total += anchored(h, intents, False)
        else:
            total += (anchored(h, intents, True) + anchored(intents, h, True)) / 4
    found = model.losses(batch, cycle)["intent"]
    assert found.item() == pytest.approx(0.3 * total)


@pytest.mark.parametrize("fnm", ["none", "intents", "both"])
def test_the_sequence_term_compares_states_side_by_side(
    cycle: HeteroData, batch: Batch, views: tuple[Batch, Batch], fnm: str
) -> None:
    """Newest with newest; only ``both`` spares rows with the same last target."""
    model = small(fnm=fnm, sequence_weight=0.3)
    h = []
    for view in views:
        states = model.backbone.states(model.backbone.features.weight, view)
        flat = torch.zeros(len(batch), 6, 8).double()
        for row, n in enumerate(view.lengths.tolist()):
            flat[row, 6 - n :] = states[row, :n]
        h.append(flat.flatten(1))
    place = batch.lengths - 1
    last = batch.targets[torch.arange(len(batch)), place]
    same = last[:, None] == last
    assert same.sum() > len(batch)
    expected = 0.3 * nt_xent(*h, exclude=same if fnm == "both" else None)
    torch.testing.assert_close(model.losses(batch, cycle)["sequence"], expected)


def test_of_several_numbers_of_clusters_every_one_counts(
    cycle: HeteroData, batch: Batch, views: tuple[Batch, Batch]
) -> None:
    """The authors' code keeps the last alone."""
    several = small(clusters=[2, 5, 3])
    several.refresh(cycle, 1)
    assert [len(several.memory[f"centroids_{i}"]) for i in range(3)] == [2, 5, 3]
    alone = []
    for number in (2, 5, 3):
        model = small(clusters=[number])
        model.refresh(cycle, 1)
        alone.append(model.losses(batch, cycle)["intent"])
    found = several.losses(batch, cycle)["intent"]
    torch.testing.assert_close(found, torch.stack(alone).mean())
    assert len({round(x.item(), 6) for x in alone}) == 3


def test_centroids_are_constants_and_assignments_do_not_train(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small()
    model.refresh(cycle, 0)
    assert not model.epoch_state["centroids_0"].requires_grad
    assert not any("centroid" in name for name in model.state_dict())
    before = model.epoch_state["centroids_0"].clone()
    torch.stack([*model.losses(batch, cycle).values()]).sum().backward()
    assert torch.equal(model.epoch_state["centroids_0"], before)


def test_the_same_epoch_finds_the_same_clusters_and_a_later_one_others(
    cycle: HeteroData,
) -> None:
    model, found = small(clusters=(9,)), []
    for epoch in (0, 0, 1):
        model.refresh(cycle, epoch)
        found.append(model.epoch_state["centroids_0"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_losses_without_an_epochs_start_find_the_clusters_first(
    cycle: HeteroData, batch: Batch
) -> None:
    model, expected = small(), small()
    expected.refresh(cycle, 0)
    model.train()
    state = torch.get_rng_state()
    assert torch.equal(model.centroids(cycle)[0], expected.memory["centroids_0"])
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert set(model.losses(batch, cycle)) == {"next_item", "sequence", "intent"}


def test_warm_up_trains_by_the_sequence_contrast_alone(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small(warm_up=2)
    assert model.warmup == 2
    for epoch in range(4):
        model.refresh(cycle, epoch)
        names = set(model.losses(batch, cycle))
        assert names == (
            {"sequence"} if epoch < 2 else {"next_item", "sequence", "intent"}
        )
        assert bool(model.epoch_state) == (epoch >= 2)


@pytest.mark.parametrize(
    "options, names",
    [
        ({"intent_weight": 0.0}, {"next_item", "sequence"}),
        ({"sequence_weight": 0.0}, {"next_item", "intent"}),
    ],
)
def test_a_term_without_weight_is_left_out(
    cycle: HeteroData, batch: Batch, options: dict, names: set[str]
) -> None:
    model = small(**options)
    model.refresh(cycle, 0)
    assert set(model.losses(batch, cycle)) == names
    assert bool(model.epoch_state) == ("intent" in names)


def test_more_intents_than_users_are_an_intent_each(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small(clusters=(256,))
    model.refresh(cycle, 0)
    assert len(model.epoch_state["centroids_0"]) == 48
    assert model.losses(batch, cycle)["intent"].isfinite()


def test_without_contrast_it_is_the_model_of_its_encoder(
    lab, cycle: HeteroData, batch: Batch
) -> None:
    plain = small(intent_weight=0.0, sequence_weight=0.0)
    sasrec = SASRec(48, 12, dim=8, max_length=6, sampler="user").double().eval()
    sasrec.load_state_dict(plain.state_dict())
    expected = sasrec.losses(batch, cycle)["next_item"]
    torch.testing.assert_close(plain.losses(batch, cycle)["next_item"], expected)
    other = ICLRec(48, 12, encoder=GRU(8), max_length=6).double().eval()
    gru4rec = GRU4Rec(48, 12, dim=8, max_length=6).double().eval()
    missing = set(dict(gru4rec.named_parameters())) ^ set(
        dict(other.named_parameters())
    )
    assert not missing


def test_the_published_size_and_layers() -> None:
    """U-16, less the rows for padding and mask; 2.13's layers."""
    model = ICLRec.preset("code", 22_363, 12_101)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 827_904 - 2 * 64
    encoder = model.backbone.encoder
    assert (len(encoder.blocks), encoder.positions) == (1, "end")
    paper = ICLRec.preset("paper", 9, 9, dim=8, max_length=7, clusters=(4, 2))
    assert (paper.clusters, paper.backbone.dim, paper.max_length) == ((4, 2), 8, 7)


@pytest.mark.parametrize(
    "options, words",
    [({"clusters": []}, "one K"), ({"warm_up": 3, "sequence_weight": 0.0}, "warm_up")],
)
def test_options_that_cannot_train_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        small(**options)


def test_a_run_clusters_anew_before_every_epoch(cycle: HeteroData) -> None:
    model, epochs = small(clusters=(4,)).float(), []
    refresh = model.refresh
    model.refresh = lambda graph, epoch: epochs.append(epoch) or refresh(graph, epoch)
    run = fit(model, cycle, max_epochs=3, batch_size=16, progress=False)
    assert epochs == [0, 1, 2]
    for row in run.history:
        assert {"next_item", "sequence", "intent"} <= set(row)
