"""CL4SRec: its loss as a loop over the views, its presets, any encoder."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models import CL4SRec
from graphseq.nn import GRU, Convolution, Propagated
from graphseq.sequences import Batch
from graphseq.sequences.views import random_views


def small(**options: Any) -> CL4SRec:
    torch.manual_seed(0)
    given = {"dim": 8, "max_length": 6, "mask_rate": 0.5, "crop_keep": 0.6}
    return CL4SRec(48, 12, **(given | options)).double().eval()


def nt_xent_by_hand(a: Tensor, b: Tensor, temperature: float) -> float:
    z = torch.cat([a, b]).tolist()
    number = len(a)
    total = 0.0
    for i, anchor in enumerate(z):
        dots = {
            j: sum(x * y for x, y in zip(anchor, other, strict=True)) / temperature
            for j, other in enumerate(z)
            if j != i
        }
        whole = math.log(sum(math.exp(value) for value in dots.values()))
        total += whole - dots[(i + number) % len(z)]
    return total / len(z)


def vector(model: Any, view: Batch, row: int, pooling: str, places: int) -> Tensor:
    """One view, encoded alone and without padding."""
    n = int(view.lengths[row])
    items = view.items[row : row + 1, :n]
    alone = Batch(view.user[row : row + 1], items, view.lengths[row : row + 1], 12)
    states = model.backbone.states(model.backbone.features.weight, alone)[0]
    if pooling == "last":
        return states[-1]
    if pooling == "mean":
        return states.sum(dim=0) / n
    empty = states.new_zeros(places - n, states.shape[1])
    return torch.cat([empty, states]).flatten()


@pytest.mark.parametrize("pooling", ["last", "mean", "flatten"])
@pytest.mark.parametrize("mask_token", [True, False])
@torch.no_grad()
def test_the_contrast_is_its_equation(
    lab, cycle: HeteroData, pooling: str, mask_token: bool
) -> None:
    options = {"pooling": pooling, "mask_token": mask_token, "temperature": 0.7}
    model = small(**options, contrast_weight=0.3)
    batch = lab.load(model, cycle, batch_size=7)[0]
    torch.manual_seed(5)
    terms = model.losses(batch, cycle)
    torch.manual_seed(5)
    views = random_views(batch, model.operators)
    a, b = (
        torch.stack([vector(model, view, row, pooling, 6) for row in range(7)])
        for view in views
    )
    assert set(terms) == {"next_item", "contrast"}
    expected = 0.3 * nt_xent_by_hand(a, b, 0.7)
    assert terms["contrast"].item() == pytest.approx(expected, rel=1e-9)


@torch.no_grad()
def test_views_as_examples_ask_for_the_last_target(lab, cycle: HeteroData) -> None:
    model = small(contrast_weight=0.0, view_targets=True, pooling="flatten")
    batch = lab.load(model, cycle, batch_size=7)[0]
    torch.manual_seed(5)
    terms = model.losses(batch, cycle)
    torch.manual_seed(5)
    views = random_views(batch, model.operators)
    table, losses = model.backbone.features.weight, []
    assert batch.targets is not None
    for view in views:
        for row in range(7):
            state = vector(model, view, row, "last", 6)
            target = batch.targets[row, batch.lengths[row] - 1]
            losses.append(F.cross_entropy(table @ state, target))
    assert set(terms) == {"next_item", "views"}
    torch.testing.assert_close(terms["views"], torch.stack(losses).mean())


@pytest.mark.parametrize("sampler", ["targets", "user", "prefix"])
@pytest.mark.parametrize("loss", ["ce", "bce", "gbce"])
def test_every_sampler_and_loss_goes_with_views_as_examples(
    lab, cycle: HeteroData, sampler: str, loss: str
) -> None:
    model = small(sampler=sampler, loss=loss, num_negatives=2, view_targets=True)
    terms = model.losses(lab.load(model, cycle)[0], cycle)
    assert all(term.isfinite() for term in terms.values()) and len(terms) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": GRU(8)},
        {"encoder": Convolution(8)},
        {"features": Propagated(12, dim=8)},
        {"pooling": "flatten", "encoder": GRU(8)},
    ],
    ids=["GRU", "Convolution", "Propagated", "GRU, flattened"],
)
def test_any_encoder_and_features_will_do(
    lab, cycle: HeteroData, options: dict[str, Any]
) -> None:
    model = small(**options).float().train()
    terms = model.losses(lab.load(model, cycle)[0], cycle)
    torch.stack([*terms.values()]).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_without_weight_there_is_no_contrast(lab, cycle: HeteroData) -> None:
    model = small(contrast_weight=0.0)
    assert set(model.losses(lab.load(model, cycle)[0], cycle)) == {"next_item"}


def test_the_batch_is_left_alone(lab, cycle: HeteroData) -> None:
    """Issue 8 of DuoRec's repository: there the views overwrite the training data."""
    model = small()
    loader = lab.load(model, cycle)
    batch, before = loader[0], loader[0].items.clone()
    flat = loader.flat.clone()
    model.losses(batch, cycle)
    assert torch.equal(batch.items, before) and torch.equal(loader.flat, flat)


def test_an_option_overrules_its_preset() -> None:
    assert CL4SRec.preset("s3", 5, 9, loss="ce").options["loss"] == "ce"
    model = CL4SRec.preset("s3", 5, 9)
    assert model.backbone.encoder.options["positions"] == "end"
