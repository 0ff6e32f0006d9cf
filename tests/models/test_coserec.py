"""CoSeRec: its contrast against a loop, similar items before an epoch, operators."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS
from graphseq.models import CoSeRec
from graphseq.sequences import Batch
from graphseq.sequences.augment import InformedAugmentation
from graphseq.sequences.similarity import most_similar


@pytest.mark.parametrize("pooling", ["last", "mean", "flatten"])
def test_the_contrast_is_its_equation(
    loops: Any, noise: HeteroData, pooling: Any
) -> None:
    options = {"pooling": pooling, "temperature": 0.7, "contrast_weight": 0.3}
    augmentation = InformedAugmentation(threshold=3)
    backbone = {"mask_token": True}
    model = loops.build(CoSeRec, noise, backbone, augmentation=augmentation, **options)
    model.refresh(noise, 0)
    views = loops.record_views(model)
    batch, items = loops.batch(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    assert [*terms] == ["next_item", "contrast"]
    assert views[0].lengths.max() > model.max_length  # an insertion, which is cut
    h = loops.vectors(model.backbone, items, views[0], pooling).chunk(2)
    loops.check(terms["contrast"], 0.3 * loops.nt_xent(*h, 0.7))


@pytest.mark.parametrize("similarity", ["offline", "online", "hybrid"])
def test_item_vectors_are_read_after_the_offline_epochs(
    loops: Any, noise: HeteroData, similarity: Any
) -> None:
    augmentation = InformedAugmentation(similarity=similarity, offline_epochs=3)
    model = loops.build(CoSeRec, noise, augmentation=augmentation)
    assert model.requires == (ITEM_CO_OCCURS,)
    found = []
    for epoch in (0, 2, 3, 9):
        with torch.no_grad():
            model.backbone.features.weight.normal_()
        model.refresh(noise, epoch)
        vectors = model.item_vectors(noise)
        expected = most_similar(noise, vectors, similarity if epoch > 2 else "offline")
        [(name, similar)] = model.epoch_state.items()
        assert name == "auxiliaries.0.augmentation.similar"
        assert torch.equal(similar, expected) and not similar.requires_grad
        found.append(similar)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[2], found[3]) == (similarity == "offline")


def test_views_before_the_first_refresh_are_refused(
    loops: Any, noise: HeteroData
) -> None:
    model = loops.build(CoSeRec, noise)
    batch = loops.batch(model, noise)
    with pytest.raises(RuntimeError, match="call refresh"):
        model.losses(batch, noise)


def test_operators_have_their_own_rates_and_windows_stop_before_the_end() -> None:
    length, far = 20, 100
    augmentation = InformedAugmentation(
        crop_keep=0.31,
        mask_rate=0.43,
        reorder_rate=0.52,
        insert_rate=0.22,
        substitute_rate=0.64,
    )
    augmentation.similar = torch.arange(300) + far
    items = torch.arange(length).repeat(1000, 1)
    rows = torch.arange(1000)
    torch.manual_seed(0)
    views = augmentation(Batch(rows, items, torch.full((1000,), length), 300))
    kinds: dict[str, int] = dict.fromkeys(InformedAugmentation.NAMES, 0)
    for view, n in zip(views.items.tolist(), views.lengths.tolist(), strict=True):
        view, changed = view[:n], sum(map(int.__ne__, view[:n], range(length)))
        if n < length:
            kinds["crop"] += 1
            assert n == 6 and view == [*range(view[0], view[0] + 6)]  # of 0.31 times 20
            assert view[-1] < length - 1
        elif n > length:
            kinds["insert"] += 1
            assert n == length + 4
            inserted = [i for i, item in enumerate(view) if item >= far]
            assert all(view[i] == view[i + 1] + far for i in inserted)
        elif 300 in view:
            kinds["mask"] += 1
            assert view.count(300) == 8
        elif max(view) >= far:
            kinds["substitute"] += 1
            assert changed == 12
        else:
            kinds["reorder"] += 1
            assert changed <= 10 and view[-1] == length - 1
    assert min(kinds.values()) > 300
    cropped = (views.lengths < length).view(2, -1)
    assert (cropped[0] & cropped[1]).any()  # both views of a row by one operator
