"""CL4SRec: the contrast and the views' next items against loops; any backbone."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.models import CL4SRec
from graphseq.sequences import Batch
from graphseq.sequences.augment import CropMaskReorder
from graphseq.sequences.operators import join

RATES = {"crop_keep": 0.6, "mask_rate": 0.5, "reorder_rate": 0.6}


def small(backbone: dict[str, Any] | None = None, **options: Any) -> CL4SRec:
    torch.manual_seed(0)
    part = CL4SRec.default_backbone(
        12, **{"dim": 8, "max_length": 6} | (backbone or {})
    )
    augmentation = CropMaskReorder(crop_keep=0.6, mask_rate=0.5)
    return CL4SRec(48, part, augmentation=augmentation, **options)


@pytest.mark.parametrize("mask_token", [True, False])
@pytest.mark.parametrize("pooling", ["last", "mean", "flatten"])
def test_terms_are_their_equations(
    loops: Any, noise: HeteroData, pooling: Any, mask_token: bool
) -> None:
    options = {"pooling": pooling, "view_targets": True, "contrast_weight": 0.3}
    augmentation = CropMaskReorder(**RATES)
    backbone = {"mask_token": mask_token}
    model = loops.build(
        CL4SRec, noise, backbone, augmentation=augmentation, temperature=0.7, **options
    )
    views = loops.record_views(model)
    batch, items = loops.batch(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    assert [*terms] == ["next_item", "contrast", "views"]
    h = loops.vectors(model.backbone, items, views[0], pooling).chunk(2)
    loops.check(terms["contrast"], 0.3 * loops.nt_xent(*h, 0.7))
    states = loops.vectors(model.backbone, items, views[0])
    log_probability = (states @ items.T).log_softmax(dim=1)
    targets = 2 * loops.last_targets(batch)
    losses = [-log_probability[i, t].item() for i, t in enumerate(targets)]
    loops.check(terms["views"], sum(losses) / len(losses))


@pytest.mark.parametrize("sampler", ["targets", "user", "prefix"])
@pytest.mark.parametrize("loss", ["ce", "bce", "gbce"])
def test_views_are_examples_for_every_sampler_and_loss(
    lab: Any, cycle: HeteroData, sampler: str, loss: str
) -> None:
    backbone = {"sampler": sampler, "loss": loss, "num_negatives": 2}
    model = small(backbone, view_targets=True)
    terms = model.losses(lab.load(model, cycle)[0], cycle)
    assert all(term.isfinite() for term in terms.values()) and len(terms) == 3


@pytest.mark.parametrize(
    "backbone, options",
    [
        ({"encoder": {"GRU": {}}}, {}),
        ({"encoder": {"Convolution": {}}}, {}),
        ({"features": {"Propagated": {}}}, {}),
        ({"encoder": {"GRU": {}}}, {"pooling": "flatten"}),
    ],
    ids=["GRU", "Convolution", "Propagated", "GRU, flattened"],
)
def test_every_parameter_of_any_backbone_is_trained(
    lab: Any, cycle: HeteroData, backbone: dict[str, Any], options: dict[str, Any]
) -> None:
    model = small(backbone, **options).train()
    terms = model.losses(lab.load(model, cycle)[0], cycle)
    torch.stack([*terms.values()]).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_without_weight_there_is_no_contrast(lab: Any, cycle: HeteroData) -> None:
    model = small(contrast_weight=0.0)
    views = []
    model.auxiliaries[0].augmentation.register_forward_hook(
        lambda *arguments: views.append(arguments)
    )
    assert set(model.losses(lab.load(model, cycle)[0], cycle)) == {"next_item"}
    assert not views


def test_the_training_data_are_left_unchanged(lab: Any, cycle: HeteroData) -> None:
    """Issue 8 of DuoRec's repository: there the views overwrite the training data."""
    model = small()
    loader = lab.load(model, cycle)
    batch, before = loader[0], loader[0].items.clone()
    flat = loader.flat.clone()
    model.losses(batch, cycle)
    assert torch.equal(batch.items, before) and torch.equal(loader.flat, flat)


def test_a_function_can_be_the_augmentation(lab: Any, cycle: HeteroData) -> None:
    def twice(batch: Batch) -> Batch:
        return join(batch, batch)

    part = CL4SRec.default_backbone(12, dim=8, max_length=6)
    model = CL4SRec(48, part, augmentation=twice).eval()
    batch = lab.load(model, cycle)[0]
    assert model.losses(batch, cycle)["contrast"] > 0


@pytest.mark.parametrize("join", ["add", "gate", "token"])
@pytest.mark.parametrize("pooling", ["last", "flatten"])
def test_views_that_are_examples_are_joined_by_their_users(
    loops: Any, noise: HeteroData, join: Any, pooling: Any
) -> None:
    """As rows of the same items are, row by row."""
    users = {"UserContext": {"join": join}}
    options = {"view_targets": True, "pooling": pooling}
    backbone = {"users": users}
    model = loops.build(
        CL4SRec, noise, backbone, augmentation=CropMaskReorder(**RATES), **options
    )
    views = loops.record_views(model)
    batch, items = loops.batch(model, noise), model.item_vectors(noise)
    term = model.losses(batch, noise)["views"]
    targets, losses = 2 * loops.last_targets(batch), []
    for row, target in enumerate(targets):
        n = int(views[0].lengths[row])
        own = Batch(
            views[0].user[row : row + 1],
            views[0].items[row : row + 1, :n],
            torch.tensor([n]),
            views[0].num_items,
        )
        [state] = model.backbone.represent(items, own, noise)
        losses.append(-(items @ state).log_softmax(dim=0)[target].item())
    loops.check(term, sum(losses) / len(losses))
