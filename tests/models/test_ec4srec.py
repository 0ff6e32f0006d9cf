"""EC4SRec: variants, updates, what each term compares, retrieval, presets."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import ec4srec
from graphseq.models.ec4srec import EC4SRec, schedule
from graphseq.models.explaining import explain_all, importances, shares
from graphseq.nn import GRU, Convolution
from graphseq.objectives import negative_contrast, nt_xent
from graphseq.sequences import Batch
from graphseq.sequences.retrieval import probabilities, shared
from graphseq.sequences.same_target import same_target

TERMS = {
    "SSL": ({"next_item"}, {"next_item", "views", "negative_views"}),
    "SL": ({"next_item", "same_target"}, {"next_item", "same_target"}),
    "full": (
        {"next_item", "same_target"},
        {"next_item", "same_target", "views", "negative_views"},
    ),
}


def small(**options) -> EC4SRec:
    torch.manual_seed(0)
    given = {"dim": 8, "max_length": 6, "updates": [2, 5]}
    return EC4SRec(48, 12, **(given | options)).double().eval()


@pytest.fixture
def batch(lab, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=10)[0]


@torch.no_grad()
def refreshed(model: EC4SRec, graph: HeteroData, epoch: int) -> EC4SRec:
    model.refresh(graph, epoch)
    return model


def last(model: EC4SRec, batch: Batch) -> Tensor:
    return model.backbone.last(model.backbone.features.weight, batch)


@pytest.mark.parametrize("variant", TERMS)
def test_terms_before_and_after_the_first_update(
    cycle: HeteroData, batch: Batch, variant: str
) -> None:
    model = small(variant=variant)
    before, after = TERMS[variant]
    assert set(model.losses(batch, cycle)) == before, "without an epoch's start"
    for epoch in range(7):
        refreshed(model, cycle, epoch)
        expected = before if epoch < 2 else after
        assert set(model.losses(batch, cycle)) == expected
        assert bool(model.epoch_state) == (epoch >= 2)


def test_a_run_does_not_stop_before_the_first_update() -> None:
    assert small().warmup == 2
    assert EC4SRec(9, 9).warmup == 15


@pytest.mark.parametrize(
    "updates, horizon, expected",
    [
        ([15, 30], 150, (15, 30)),
        ([30, 15, 15], 150, (15, 30)),
        (1, 150, (75,)),
        (2, 150, (50, 100)),
        (4, 150, (30, 60, 90, 120)),
        (3, 10, (2, 5, 7)),
    ],
)
def test_updates_are_named_or_spread_evenly(
    updates: list[int] | int, horizon: int, expected: tuple[int, ...]
) -> None:
    assert schedule(updates, horizon) == expected
    if isinstance(updates, int):
        found = [math.floor(k * horizon / (updates + 1)) for k in range(1, updates + 1)]
        assert expected == tuple(found)


def test_importances_change_at_updates_only(cycle: HeteroData) -> None:
    model = small()
    kept = {}
    for epoch in range(8):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        refreshed(model, cycle, epoch)
        kept[epoch] = model.epoch_state.get("scores")
    assert kept[0] is None and kept[1] is None
    assert all(torch.equal(kept[2], kept[e]) for e in (3, 4))
    assert all(torch.equal(kept[5], kept[e]) for e in (6, 7))
    assert not torch.equal(kept[2], kept[5])
    index = same_target(cycle, "prefix", 6)
    assert len(kept[2]) == int(index.examples.length.sum()), "ragged, without padding"
    refreshed(model, cycle, 0)
    assert not model.epoch_state, "a run that starts anew explains anew"


@pytest.mark.parametrize("explanation", ["saliency", "gradients", "attention"])
def test_importances_are_those_of_the_method(
    cycle: HeteroData, explanation: str
) -> None:
    model = refreshed(small(explanation=explanation), cycle, 2)
    table, index = model.item_vectors(cycle), same_target(cycle, "prefix", 6)
    expected = explain_all(model.backbone, table.detach(), index, explanation)
    torch.testing.assert_close(model.epoch_state["scores"], expected)


@pytest.mark.parametrize("denominator", ["code", "paper"])
def test_the_view_terms_are_their_equations(
    monkeypatch: pytest.MonkeyPatch, cycle: HeteroData, batch: Batch, denominator: str
) -> None:
    model = refreshed(
        small(variant="SSL", denominator=denominator, view_weight=0.3), cycle, 2
    )
    torch.manual_seed(1)
    views = model.views(batch, cycle)
    monkeypatch.setattr(model, "views", lambda *_: views)
    h1, h2, n = last(model, views).chunk(3)
    found = model.losses(batch, cycle)
    torch.testing.assert_close(found["views"], 0.3 * nt_xent(h1, h2))
    expected = negative_contrast(h1, h2, n, temperature=0.1, denominator=denominator)
    torch.testing.assert_close(found["negative_views"], 0.05 * expected)


def test_views_spare_what_is_important(lab, cycle: HeteroData) -> None:
    """With 6 items: 1 important, 4 unimportant."""
    model = refreshed(small(), cycle, 2)
    torch.manual_seed(0)
    checked = 0
    for batch in lab.load(model, cycle, batch_size=40):
        index = same_target(cycle, "prefix", 6)
        rows = index.of(batch)
        scores = importances(model.epoch_state["scores"], index, rows, batch)
        made = model.views(batch, cycle).items.chunk(3)
        for row, views in enumerate(zip(*made, strict=True)):
            n = int(batch.lengths[row])
            if n != 6:
                continue
            items, order = batch.items[row].tolist(), scores[row].argsort(stable=True)
            best, worst = int(order[-1]), set(order[:4].tolist())
            for view in views[:2]:
                kept = [item for item in view.tolist() if item != 12]
                if len(kept) == 1:
                    assert kept == [items[best]]
                else:
                    places = set(range(6)) - worst
                    assert all(view[i] == items[i] for i in places)
            assert not torch.equal(views[0], views[1])
            negative = [item for item in views[2].tolist() if item != 12]
            if len(negative) < 6:
                assert items[best] not in negative
            checked += 1
    assert checked > 40


def test_rows_of_one_item_are_their_own_positive_views(lab, cycle: HeteroData) -> None:
    model = refreshed(small(), cycle, 2)
    batch = lab.load(model, cycle, batch_size=200)[0]
    single = batch.lengths == 1
    assert single.sum() > 20
    first, second, negative = model.views(batch, cycle).items.chunk(3)
    assert torch.equal(first[single], second[single])
    assert torch.equal(first[single, 0], batch.items[single, 0])
    drawn = negative[single]
    assert (drawn[:, 0] < 12).all() and (drawn[:, 1:] == 12).all()
    assert len(drawn[:, 0].unique()) > 5


@pytest.mark.parametrize("utility", ["code", "paper"])
@pytest.mark.parametrize("clip", [False, True])
def test_sequences_are_retrieved_by_the_importance_of_what_they_share(
    cycle: HeteroData, utility: str, clip: bool
) -> None:
    model = refreshed(small(utility=utility, clip=clip), cycle, 2)
    index = same_target(cycle, "prefix", 6)
    row = int((index.examples.length == 4).nonzero()[0])
    rows = torch.full((3000,), row)
    torch.manual_seed(0)
    found = model.retrieved(index.gather(rows), cycle).example
    owner, candidates = index.candidates(rows[:1])
    others = index.gather(candidates)
    weight = importances(model.epoch_state["scores"], index, candidates, others)
    weight = shares(weight, others.mask, clip=clip)
    batch = index.gather(rows[:1])
    a, number = shared(batch, owner, others, weight)
    own = batch.lengths[owner]
    p = probabilities(a, number, own, others.lengths, owner, utility=utility)
    assert p.max() > 1.3 * p.min()
    count = torch.stack([(found == c).sum() for c in candidates]) / 3000
    assert ((count - p).abs() <= 5 * (p * (1 - p) / 3000).sqrt() + 1e-9).all()


def test_before_the_first_update_retrieval_is_duorecs(
    monkeypatch: pytest.MonkeyPatch, cycle: HeteroData, batch: Batch
) -> None:
    model = refreshed(small(), cycle, 0)
    index = same_target(cycle, "prefix", 6)
    monkeypatch.setattr(type(index), "draw", lambda self, rows: rows.flip(0))
    found = model.retrieved(batch, cycle)
    assert torch.equal(found.example, batch.example.flip(0))


def test_the_retrieved_sequence_is_contrasted_with_a_second_pass(
    monkeypatch: pytest.MonkeyPatch, cycle: HeteroData, batch: Batch
) -> None:
    model = refreshed(small(variant="SL", target_weight=0.4), cycle, 2)
    found = model.retrieved(batch, cycle)
    monkeypatch.setattr(model, "retrieved", lambda *_: found)
    expected = 0.4 * nt_xent(last(model, batch), last(model, found))
    torch.testing.assert_close(model.losses(batch, cycle)["same_target"], expected)


@pytest.mark.parametrize("encoder", [GRU, Convolution])
def test_any_encoder_will_do(cycle: HeteroData, batch: Batch, encoder: type) -> None:
    """Table 4 of the paper has GRU4Rec and Caser under it."""
    model = refreshed(small(encoder=encoder(8)), cycle, 2)
    assert set(model.losses(batch, cycle)) == TERMS["full"][1]


def test_presets_are_those_of_the_specification() -> None:
    """2.16."""
    model = EC4SRec(22_363, 12_101)
    assert sum(p.numel() for p in model.parameters()) == 877_824 - 64
    assert (model.view_weight, model.negative_weight) == (0.1, 0.05)
    assert (model.target_weight, model.updates) == (0.1, (15, 30))
    assert model.repel.keywords == {"temperature": 0.1, "denominator": "code"}
    guide = model.guide
    assert (guide.important, guide.unimportant, guide.mu) == (0.3, 0.7, None)
    assert (guide.order, guide.ways) == ("time", ("crop", "mask", "reorder"))
    code = EC4SRec.preset("code", 9, 9, dim=8)
    assert (code.guide.order, code.backbone.dim) == ("importance", 8)
    paper = EC4SRec.preset("paper", 9, 9, mu=0.4)
    assert (paper.guide.mu, paper.guide.ways) == (0.4, ("crop", "mask"))
    assert paper.repel.keywords["denominator"] == "paper"
    assert paper.retrieve.keywords["utility"] == "paper"


@pytest.mark.parametrize(
    "options, words",
    [
        ({"updates": 0}, "updates"),
        ({"updates": []}, "updates"),
        ({"updates": [-1]}, "updates"),
        ({"negative": ()}, "negative"),
        ({"explanation": "attention", "encoder": GRU(8)}, "Transformer"),
    ],
)
def test_options_that_cannot_train_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        small(**options)


def test_a_resumed_run_has_its_importances_again(
    cycle: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It explains nothing anew, and ends with the weights of an unbroken run."""
    calls, real = [], ec4srec.explain_all
    monkeypatch.setattr(ec4srec, "explain_all", lambda *a: calls.append(1) or real(*a))

    def run(name: str, dies_in: int | None = None, **options) -> EC4SRec:
        model = small(updates=[1]).float()
        losses = model.losses

        def dying(batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
            if dying.epoch == dies_in:
                raise RuntimeError("killed")
            return losses(batch, graph)

        refresh = model.refresh

        def counting(graph: HeteroData, epoch: int) -> None:
            dying.epoch = epoch
            refresh(graph, epoch)

        model.losses, model.refresh = dying, counting
        where = {"folder": tmp_path / name, "accelerator": "cpu", "threads": 1}
        fit(
            model,
            cycle,
            max_epochs=4,
            batch_size=64,
            progress=False,
            **where,
            **options,
        )
        return model

    whole = run("whole")
    assert len(calls) == 1
    with pytest.raises(RuntimeError, match="killed"):
        run("part", dies_in=3)
    assert len(calls) == 2
    resumed = run("part", resume=True)
    assert len(calls) == 2
    assert torch.equal(resumed.memory["scores"], whole.memory["scores"])
    for mine, its in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, its)
