"""DuoRec: which views each mode contrasts, what is spared, retrieval, presets."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.models import GRU4Rec, SASRec, duorec
from graphseq.models.duorec import DuoRec
from graphseq.nn import GRU
from graphseq.objectives import nt_xent, same_id_mask
from graphseq.sequences import Batch
from graphseq.sequences.same_target import same_target


def small(**options) -> DuoRec:
    torch.manual_seed(0)
    given = {"dim": 8, "max_length": 6, "weight": 0.3, "dropout_weight": 0.7}
    return DuoRec(48, 12, **(given | options)).double().eval()


@pytest.fixture
def batch(lab, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=10)[0]


def last(model: DuoRec, batch: Batch) -> Tensor:
    """The states at the ends, row by row."""
    table, found = model.backbone.features.weight, []
    for items, n in zip(batch.items, batch.lengths.tolist(), strict=True):
        row = Batch(torch.tensor([0]), items[None, :n], torch.tensor([n]), 12)
        found.append(model.backbone.states(table, row)[0, -1])
    return torch.stack(found)


def test_the_loss_of_the_specification() -> None:
    """U-9: h' and s."""
    h = torch.tensor([[1.0, 0], [0, 1]], dtype=torch.float64)
    s = torch.tensor([[0.5, 0.5], [1, 1]], dtype=torch.float64)
    assert nt_xent(h, s).item() == pytest.approx(1.063382100, abs=1e-9)


def fixed(monkeypatch: pytest.MonkeyPatch, model: DuoRec, graph: HeteroData) -> Tensor:
    """Draw the first candidate of every row; what each example is then given."""
    index = same_target(graph, model.sampler, model.max_length)
    everyone = torch.arange(len(index.target))
    owner, found = index.candidates(everyone)
    first = found[torch.searchsorted(owner, everyone)]
    monkeypatch.setattr(type(index), "draw", lambda self, rows: first[rows])
    return first


@pytest.mark.parametrize("sampler", ["prefix", "targets"])
@pytest.mark.parametrize(
    "mode, expected",
    [
        ("us_x", {"same_target"}),
        ("un", {"dropout_views"}),
        ("su", {"same_target"}),
        ("us", {"same_target", "dropout_views"}),
    ],
)
def test_a_mode_has_its_terms(
    lab,
    monkeypatch: pytest.MonkeyPatch,
    cycle: HeteroData,
    sampler: str,
    mode: str,
    expected: set[str],
) -> None:
    """Without dropout h' is h, so every term is known."""
    model = small(mode=mode, sampler=sampler)
    batch = lab.load(model, cycle, batch_size=20)[0]
    given = fixed(monkeypatch, model, cycle)
    found = model.losses(batch, cycle)
    assert set(found) == {"next_item"} | expected
    h = last(model, batch)
    index = same_target(cycle, sampler, 6)
    partners = index.gather(given[index.of(batch)])
    newest = torch.arange(len(batch)), batch.lengths - 1
    assert (index.target[partners.example] == batch.targets[newest]).all()
    if "same_target" in expected:
        loss = 0.3 * nt_xent(h, last(model, partners))
        torch.testing.assert_close(found["same_target"], loss)
    if "dropout_views" in expected:
        torch.testing.assert_close(found["dropout_views"], 0.7 * nt_xent(h, h))


def test_which_pass_each_mode_contrasts(
    monkeypatch: pytest.MonkeyPatch, cycle: HeteroData, batch: Batch
) -> None:
    """With dropout: h of the next-item loss, h' of a second pass, s of the partner."""
    pairs, passes = {}, {}
    real_loss = duorec.nt_xent
    for mode in ("us_x", "un", "su", "us"):
        model, seen, made = small(mode=mode).train(), [], []
        read = model.backbone.last

        def reading(table, batch, read=read, made=made) -> Tensor:
            made.append(read(table, batch))
            return made[-1]

        def loss(a, b, seen=seen, **options) -> Tensor:
            seen.append((a, b))
            return real_loss(a, b, **options)

        monkeypatch.setattr(model.backbone, "last", reading)
        monkeypatch.setattr(duorec, "nt_xent", loss)
        model.losses(batch, cycle)
        number = {id(state): i for i, state in enumerate(made)}
        pairs[mode] = [(number[id(a)], number[id(b)]) for a, b in seen]
        passes[mode] = len(made)
    assert pairs == {
        "us_x": [(1, 2)],
        "un": [(0, 1)],
        "su": [(0, 1)],
        "us": [(0, 1), (0, 2)],
    }
    assert passes == {"us_x": 3, "un": 2, "su": 2, "us": 3}


def test_rows_with_the_same_target_may_be_spared(
    monkeypatch: pytest.MonkeyPatch, lab, cycle: HeteroData
) -> None:
    model = small(exclude_same_target=True)
    batch = lab.load(model, cycle, batch_size=30)[0]
    given = fixed(monkeypatch, model, cycle)
    index = same_target(cycle, "prefix", 6)
    h, s = last(model, batch), last(model, index.gather(given[batch.example]))
    target = batch.target_positions()[1]
    assert len(target.unique()) < len(target)
    expected = 0.3 * nt_xent(h, s, exclude=same_id_mask(target))
    torch.testing.assert_close(model.losses(batch, cycle)["same_target"], expected)
    plain = small().losses(batch, cycle)["same_target"]
    assert plain > expected


def test_losses_without_an_epochs_start_index_first(
    cycle: HeteroData, batch: Batch
) -> None:
    model = small()
    assert set(model.losses(batch, cycle)) == {"next_item", "same_target"}
    with pytest.raises(ValueError, match="SequenceLoader"):
        model.losses(replace(batch, example=None), cycle)


def test_without_contrast_it_is_the_model_of_its_encoder(
    cycle: HeteroData, batch: Batch
) -> None:
    plain = small()
    sasrec = SASRec(48, 12, dim=8, max_length=6, sampler="prefix").double().eval()
    sasrec.load_state_dict(plain.state_dict())
    expected = sasrec.losses(batch, cycle)["next_item"]
    torch.testing.assert_close(plain.losses(batch, cycle)["next_item"], expected)
    other = DuoRec(48, 12, encoder=GRU(8), max_length=6)
    gru4rec = GRU4Rec(48, 12, dim=8, max_length=6)
    assert {n for n, _ in other.named_parameters()} == {
        n for n, _ in gru4rec.named_parameters()
    }


def test_the_preset_is_that_of_the_specification() -> None:
    """2.14; U-16 less the padding's row."""
    model = DuoRec.preset("code", 22_363, 12_101)
    assert sum(p.numel() for p in model.parameters()) == 877_824 - 64
    assert (model.sampler, model.backbone.loss, model.mode) == ("prefix", "ce", "us_x")
    assert (model.weight, model.temperature) == (0.1, 1.0)
    assert model.backbone.encoder.dropout == 0.5
    dense = DuoRec.preset("code", 9, 9, data="ml-1m", dim=8, weight=0.2)
    assert (dense.backbone.encoder.dropout, dense.weight) == (0.1, 0.2)


def test_a_run_trains_both_terms(cycle: HeteroData) -> None:
    model = small().float()
    run = fit(model, cycle, max_epochs=2, batch_size=64, progress=False)
    assert {"next_item", "same_target"} <= set(run.history[0])
    assert run.history[1]["loss"] < run.history[0]["loss"]
