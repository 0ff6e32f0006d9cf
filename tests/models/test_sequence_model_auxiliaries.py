"""Every auxiliary objective alone, on a backbone of any features and encoder."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models import (
    SRMA,
    Auxiliary,
    Backbone,
    CL4SRec,
    CoSeRec,
    DisentangledFuture,
    DSSRec,
    DuoRec,
    EC4SRec,
    ExplainedViews,
    ICLRec,
    IntentContrast,
    InterestContrast,
    LearnableDropoutContrast,
    LearnedViews,
    LMA4Rec,
    MCLRec,
    ModelAugmentation,
    MutualInformation,
    S3Rec,
    SequenceModel,
    TargetContrast,
    ViewContrast,
    create,
)
from graphseq.nn import Propagated
from graphseq.sequences import Batch
from graphseq.sequences.augment import (
    Augmentation,
    CropMaskReorder,
    InformedAugmentation,
)
from graphseq.signatures import parameters

GRU = {"GRU": {"dropout": 0.2}}
TRANSFORMER = {"Transformer": {"layers": 1}}
LEARNABLE = {"Transformer": {"layers": 1, "learnable": {"LearnableDropout": {}}}}
PAPERS: dict[type[SequenceModel], tuple[Callable[[], Auxiliary], dict[str, Any]]] = {
    CL4SRec: (ViewContrast, GRU),
    CoSeRec: (lambda: ViewContrast(InformedAugmentation(), pooling="flatten"), GRU),
    LMA4Rec: (
        lambda: LearnableDropoutContrast(InformedAugmentation(), pooling="flatten"),
        LEARNABLE,
    ),
    DuoRec: (TargetContrast, GRU),
    ICLRec: (lambda: IntentContrast(clusters=[4], sequence_weight=0.1), GRU),
    EC4SRec: (lambda: ExplainedViews(updates=[0]), GRU),
    MCLRec: (LearnedViews, GRU),
    SRMA: (lambda: ModelAugmentation(skipped=0), GRU),
    S3Rec: (lambda: MutualInformation(pretrain_epochs=0), TRANSFORMER),
    DSSRec: (DisentangledFuture, GRU),
}
"""For every paper's model its auxiliary objective, and an encoder that it fits."""


def backbone(encoder: dict[str, Any], **options: Any) -> Backbone:
    """Propagated item vectors; the same weights on every call."""
    torch.manual_seed(0)
    sizes = {"dim": 8, "max_length": 6, "features": {"Propagated": {}}}
    return SequenceModel.default_backbone(12, **sizes, encoder=encoder, **options)


def run(lab: Any, graph: HeteroData, model: SequenceModel) -> dict[str, Tensor]:
    """The terms of the first batch in training mode."""
    with torch.no_grad():
        model.eval().refresh(graph, 0)
    torch.manual_seed(1)
    terms: dict[str, Tensor] = model.train().losses(lab.load(model, graph)[0], graph)
    return terms


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.__name__)
@pytest.mark.parametrize("sampler", ["targets", "user", "prefix"])
def test_an_auxiliary_has_the_terms_of_its_papers_model(
    lab: Any, cycle: HeteroData, paper: Any, sampler: str
) -> None:
    make, encoder = PAPERS[paper]
    part = backbone(encoder, sampler=sampler)
    own = {"objective": make()} if "objective" in parameters(paper) else {}
    if paper is SRMA:  # by default, the next item has the objective's layers, too
        own["appended_serve"] = False
    expected = run(lab, cycle, paper(48, part, **own))
    part = backbone(encoder, sampler=sampler)
    model = SequenceModel(48, part, [make()])
    found = run(lab, cycle, model)
    assert found.keys() == expected.keys() and len(found) > 1
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    torch.stack([*found.values()]).sum().backward()
    for name, parameter in model.named_parameters():
        if ".complement." not in name and "dropout.logit" not in name:
            assert parameter.grad is not None and parameter.grad.any(), name


def test_auxiliaries_combine(lab: Any, cycle: HeteroData) -> None:
    """Later terms of the same name get a number; stages and relations add up."""
    auxiliaries = [
        ViewContrast(),
        LearnableDropoutContrast(InformedAugmentation(), weight=0.3),
        ViewContrast(CropMaskReorder(crop_keep=0.9), weight=0.2),
        InterestContrast(),
        IntentContrast(clusters=[4], sequence_weight=0.1, warm_up=3),
        MutualInformation(pretrain_epochs=2),
    ]
    model = SequenceModel(48, backbone(LEARNABLE), auxiliaries)
    assert [stage.epochs for stage in model.stages()] == [3, 2, None]
    assert model.warmup == 3
    assert set(model.requires) == {
        ("user", "interacts", "item"),
        ("item", "co_occurs", "item"),
    }
    with torch.no_grad():
        model.refresh(cycle, 3)
    assert len(model.epoch_state) == 2
    terms = model.losses(lab.load(model, cycle)[0], cycle)
    contrasts = ["contrast", "contrast_2", "contrast_3"]
    assert [*terms] == ["next_item", *contrasts, "interest", "sequence", "intent"]
    assert all(term.isfinite() for term in terms.values())


LENGTH, V = 20, 300
DEFAULTS: dict[str, tuple[Callable[[], Any], bool, bool]] = {
    "CL4SRec": (ViewContrast, True, True),
    "MCLRec": (LearnedViews, True, True),
    "SRMA": (ModelAugmentation, False, False),
    "ICLRec": (IntentContrast, False, False),
}
"""Whether windows reach the last item, and whether a row's two operators differ."""


@pytest.mark.parametrize("name", DEFAULTS)
def test_default_augmentations_are_those_of_the_published_code(name: str) -> None:
    make, reach, distinct = DEFAULTS[name]
    augmentation: Augmentation = make().augmentation
    items = torch.arange(LENGTH).repeat(600, 1)
    batch = Batch(torch.arange(600), items, torch.full((600,), LENGTH), V)
    torch.manual_seed(0)
    views = augmentation(batch)
    cropped = views.lengths < LENGTH
    last = (views.items == LENGTH - 1).any(dim=1)
    assert last[cropped].any() == reach
    kept = views.items[~cropped & (views.items != V).all(dim=1)]
    assert (kept[:, -1] != LENGTH - 1).any() == reach  # the reordered rows
    first, second = cropped.view(2, -1)
    assert (first & second).any() == (not distinct)


@pytest.mark.parametrize("name", ["S3Rec", "DSSRec"])
@pytest.mark.parametrize("epochs", [0, 2])
def test_features_leave_out_all_edges_of_the_rows_whose_items_are_predicted(
    lab: Any, cycle: HeteroData, name: str, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pre-training and jointly: a mask or a split may hide any item of a row."""
    features = {"Propagated": {"relation": "interacts", "target_edges": "left_out"}}
    backbone = {"dim": 8, "features": features, "sampler": "prefix"}
    objective = {"pretrain_epochs": epochs}
    model = create({name: {"backbone": backbone, "objective": objective}}, 48, 12)
    excluded: list[Tensor] = []
    forward = Propagated.forward

    def recorded(self: Propagated, graph: HeteroData, *edges: Tensor) -> Tensor:
        excluded.extend(edges)
        return forward(self, graph, *edges)

    monkeypatch.setattr(Propagated, "forward", recorded)
    batch = lab.load(model, cycle)[0]
    model.train().stages()[0].steps[0].losses(batch, cycle)
    expected = []
    for row in range(len(batch)):
        n = int(batch.lengths[row])
        items = [*batch.items[row, :n].tolist(), int(batch.targets[row, n - 1])]
        expected += [(int(batch.user[row]), item) for item in items]
    assert sorted(zip(*excluded[-1].tolist(), strict=True)) == sorted(expected)
