"""DuoRec: the terms and passes of each mode, masked negatives, retrieval."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.models import DuoRec, SASRec, TargetContrast, duorec
from graphseq.models.duorec import retrieve_uniformly
from graphseq.objectives import nt_xent
from graphseq.sequences import Batch

MODES = ["us_x", "un", "su", "us"]


def small(**options: Any) -> DuoRec:
    torch.manual_seed(0)
    part = DuoRec.default_backbone(12, dim=8, max_length=6)
    return DuoRec(48, part, objective=TargetContrast(**options))


@pytest.fixture
def batch(lab: Any, cycle: HeteroData) -> Batch:
    return lab.load(small(), cycle, batch_size=10)[0]


def test_the_loss_of_the_specification() -> None:
    """U-9: h' and s."""
    h = torch.tensor([[1.0, 0], [0, 1]], dtype=torch.float64)
    s = torch.tensor([[0.5, 0.5], [1, 1]], dtype=torch.float64)
    assert nt_xent(h, s).item() == pytest.approx(1.063382100, abs=1e-9)


@pytest.mark.parametrize("exclude, directions", [(True, "mean"), (False, "sum")])
@pytest.mark.parametrize("sampler", ["prefix", "targets", "user"])
@pytest.mark.parametrize("mode", MODES)
def test_terms_are_their_equations(
    loops: Any,
    noise: HeteroData,
    mode: Any,
    sampler: Any,
    exclude: bool,
    directions: Any,
) -> None:
    """Without dropout h' is h."""
    options = {"exclude_same_target": exclude, "directions": directions}
    weights = {"temperature": 0.7, "weight": 0.3, "dropout_weight": 0.2}
    objective = TargetContrast(mode=mode, **options, **weights)
    model = loops.build(DuoRec, noise, {"sampler": sampler}, objective=objective)
    model.refresh(noise, 0)
    batch, items = loops.batch(model, noise, 20), model.item_vectors(noise)
    index, targets = objective.index, loops.last_targets(batch)
    terms = loops.after(5, lambda: model.losses(batch, noise))
    others = loops.after(5, lambda: retrieve_uniformly(index, index.indices(batch)))
    assert loops.last_targets(others) == targets
    rows = index.indices(batch)
    assert torch.equal(others.example == rows, index.others(rows) == 0)
    same = loops.equal_pairs(targets) if exclude else None
    h, s = (loops.vectors(model.backbone, items, rows) for rows in (batch, others))
    expected = {}
    if mode in ("un", "us"):
        contrast = loops.nt_xent(h, h, 0.7, same, directions=directions)
        expected["dropout_views"] = 0.2 * contrast
    if mode != "un":
        contrast = loops.nt_xent(h, s, 0.7, same, directions=directions)
        expected["same_target"] = 0.3 * contrast
    assert terms.keys() == {"next_item", *expected}
    for name, value in expected.items():
        loops.check(terms[name], value)


@pytest.mark.parametrize(
    "mode, contrasted, number",
    [
        ("us_x", [(1, 2)], 3),
        ("un", [(0, 1)], 2),
        ("su", [(0, 1)], 2),
        ("us", [(0, 1), (0, 2)], 3),
    ],
)
def test_passes_that_each_mode_contrasts(
    monkeypatch: pytest.MonkeyPatch,
    cycle: HeteroData,
    batch: Batch,
    mode: Any,
    contrasted: list[tuple[int, int]],
    number: int,
) -> None:
    """With dropout: h of the next-item loss, h' of a second pass, s of the partner."""
    model, pairs, passes = small(mode=mode).train(), [], []
    model.refresh(cycle, 0)
    last, loss = model.backbone.last, duorec.nt_xent

    def encode(*arguments: Any) -> Tensor:
        passes.append(last(*arguments))
        return passes[-1]

    def contrast(first: Tensor, second: Tensor, **options: Any) -> Tensor:
        at = {id(states): i for i, states in enumerate(passes)}
        pairs.append((at[id(first)], at[id(second)]))
        return loss(first, second, **options)

    monkeypatch.setattr(model.backbone, "last", encode)
    monkeypatch.setattr(duorec, "nt_xent", contrast)
    model.losses(batch, cycle)
    assert (pairs, len(passes)) == (contrasted, number)
    assert not torch.allclose(passes[0], passes[1])


def test_batches_without_an_index_are_refused(cycle: HeteroData, batch: Batch) -> None:
    model = small()
    with pytest.raises(RuntimeError, match="call refresh"):
        model.losses(batch, cycle)
    model.refresh(cycle, 0)
    with pytest.raises(ValueError, match="SequenceLoader"):
        model.losses(replace(batch, example=None), cycle)


def test_the_next_item_loss_is_sasrecs(cycle: HeteroData, batch: Batch) -> None:
    model = small().eval()
    model.refresh(cycle, 0)
    sasrec = SASRec(48, SASRec.default_backbone(12, dim=8, max_length=6)).eval()
    sasrec.load_state_dict(model.state_dict())
    expected = sasrec.losses(batch, cycle)["next_item"]
    assert torch.equal(model.losses(batch, cycle)["next_item"], expected)


def test_parameters_are_those_of_the_specification() -> None:
    """2.14; U-16 without the row of the padding."""
    model = DuoRec(22_363, 12_101)
    assert sum(p.numel() for p in model.parameters()) == 877_824 - 64


def test_a_run_trains_both_terms(cycle: HeteroData) -> None:
    run = fit(small(), cycle, max_epochs=2, batch_size=64, progress=False)
    assert {"next_item", "same_target"} <= set(run.history[0])
    assert run.history[1]["loss"] < run.history[0]["loss"]
