"""Augmentations: two views of every row, the operators that make them, conflicts."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.errors import ConfigError
from graphseq.graphs import CoOccurrence
from graphseq.schema import OptionError
from graphseq.sequences import (
    Augmentation,
    Batch,
    CropMaskReorder,
    InformedAugmentation,
    join,
)
from graphseq.sequences.augment import draw_views
from graphseq.sequences.similarity import most_similar

V = 100
SIMILAR = torch.arange(V).add(50) % V


def equal_rows(length: int, number: int = 4_000) -> Batch:
    """Rows that hold the items 0 … length - 1."""
    items = torch.arange(length).repeat(number, 1)
    lengths = torch.full((number,), length)
    return Batch(torch.arange(number), items, lengths, V)


def operators(batch: Batch, view: Batch) -> dict[str, float]:
    """The fraction of rows that each operator made; reorder: all others."""
    n = batch.lengths
    inserted, cropped = view.lengths > n, view.lengths < n
    same = ~inserted & ~cropped
    masked = ((view.items == V) & view.mask).any(dim=1)
    foreign = same & ((view.items >= 50) & (view.items < V)).any(dim=1)
    found = {
        "insert": inserted,
        "substitute": foreign,
        "mask": masked,
        "reorder": same & ~masked & ~foreign,
        "crop": cropped,
    }
    return {name: rows.double().mean().item() for name, rows in found.items()}


def informed(**options: Any) -> InformedAugmentation:
    augmentation = InformedAugmentation(**options)
    augmentation.similar = SIMILAR
    return augmentation


@pytest.mark.parametrize("augmentation", [CropMaskReorder(), informed()])
def test_two_views_of_every_row_are_2b_rows(augmentation: Augmentation) -> None:
    batch = equal_rows(6, 10)
    before = batch.items.clone()
    torch.manual_seed(0)
    views = augmentation(batch)
    assert len(views) == 20
    assert torch.equal(views.user, batch.user.repeat(2))
    assert (views.items[~views.mask] == V).all()
    assert not torch.equal(views.items[:10], views.items[10:])
    assert torch.equal(batch.items, before)
    torch.manual_seed(0)
    assert torch.equal(augmentation(batch).items, views.items)


@pytest.mark.parametrize(
    "names", [("crop",), ("mask",), ("reorder",), ("crop", "mask", "reorder")]
)
def test_views_are_made_by_the_given_operators(names: tuple[Any, ...]) -> None:
    torch.manual_seed(0)
    batch = equal_rows(10)
    views = CropMaskReorder(operators=names, distinct=False)(batch)
    counts = operators(equal_rows(10, 8_000), views)
    for name in ("insert", "substitute", "crop", "mask", "reorder"):
        expected = 1 / len(names) if name in names else 0.0
        assert counts[name] == pytest.approx(expected, abs=0.03), name


def test_the_fractions_are_those_of_the_options() -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"distinct": False, "reach_last": False}
    crops = CropMaskReorder(crop_keep=0.5, operators=["crop"], **options)
    views = crops(equal_rows(10, 200))
    assert (views.lengths == 5).all()
    assert views.items[views.mask].max() == 8, "the last item is out of reach"
    masks = CropMaskReorder(mask_rate=0.4, operators=["mask"], **options)
    assert ((masks(equal_rows(10, 200)).items == V).sum(dim=1) == 4).all()
    reorders = CropMaskReorder(reorder_rate=0.5, operators=["reorder"], **options)
    moved = reorders(equal_rows(10, 200)).items != torch.arange(10)
    assert moved.any() and not moved[:, -1].any()


@pytest.mark.parametrize("distinct", [True, False])
def test_rows_of_one_item_stay_as_they_are_if_operators_differ(distinct: bool) -> None:
    torch.manual_seed(0)
    views = CropMaskReorder(distinct=distinct, mask_rate=1.0)(equal_rows(1, 100))
    assert bool((views.items == 0).all()) == distinct


@pytest.mark.parametrize("operators", [["crop"], ["crop", "crop"], []])
def test_two_different_operators_need_two(operators: list[Any]) -> None:
    with pytest.raises(OptionError, match="operators: expected 2 or more"):
        CropMaskReorder(operators=operators)


INFORMED = InformedAugmentation.NAMES


@pytest.mark.parametrize(
    "length, options, chosen",
    [
        (4, {}, ("insert", "substitute", "mask")),
        (4, {"short": ("crop", "reorder")}, ("crop", "reorder")),
        (5, {"short": ("mask",)}, INFORMED),
        (4, {"operators": ("crop",)}, ("insert", "substitute", "mask")),
        (5, {"operators": ("insert", "crop")}, ("insert", "crop")),
    ],
)
def test_short_rows_and_longer_ones_draw_from_operators_of_their_own(
    length: int, options: dict[str, Any], chosen: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    batch = equal_rows(length)
    for view in split(informed(**options)(batch)):
        counts = operators(batch, view)
        for name in INFORMED:
            expected = 1 / len(chosen) if name in chosen else 0.0
            assert counts[name] == pytest.approx(expected, abs=0.04), name


def split(views: Batch) -> list[Batch]:
    half = len(views) // 2
    return [
        Batch(views.user[rows], views.items[rows], views.lengths[rows], V)
        for rows in (slice(half), slice(half, None))
    ]


@pytest.mark.parametrize("names", [(), ("insert", "shuffle")])
@pytest.mark.parametrize("option", ["short", "operators"])
def test_no_or_unknown_operators_are_refused(
    option: str, names: tuple[Any, ...]
) -> None:
    with pytest.raises(ConfigError, match=f"{option}: expected"):
        InformedAugmentation(**{option: names})


def test_views_before_the_first_refresh_are_refused() -> None:
    with pytest.raises(RuntimeError, match="call refresh"):
        InformedAugmentation()(equal_rows(3, 2))


@pytest.fixture
def graph() -> HeteroData:
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 3, 5
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 0), (2, 2), (2, 3), (2, 4)]
    graph[INTERACTS].edge_index = torch.tensor(pairs).T.contiguous()
    return CoOccurrence("item", weight="iuf")(graph)


@pytest.mark.parametrize(("epoch", "how"), [(0, "offline"), (1, "online")])
def test_the_vectors_count_after_the_epochs_by_the_graph_alone(
    graph: HeteroData, epoch: int, how: Any
) -> None:
    torch.manual_seed(0)
    items = torch.randn(5, 4)
    augmentation = InformedAugmentation(similarity="online", offline_epochs=1)
    augmentation.refresh(items, graph, epoch)
    expected = {h: most_similar(graph, items, h) for h in ("offline", "online")}
    assert augmentation.similar is not None
    assert torch.equal(augmentation.similar, expected[how])
    assert not torch.equal(expected["offline"], expected["online"])


def test_only_informed_views_read_the_item_graph() -> None:
    assert InformedAugmentation.requires == (ITEM_CO_OCCURS,)
    assert CropMaskReorder.requires == ()


def test_a_class_of_its_own_must_draw_views() -> None:
    class Half(Augmentation):
        pass

    with pytest.raises(NotImplementedError, match="Half must define forward"):
        Half()(equal_rows(3, 2))


def test_views_are_cut_to_their_newest_items() -> None:
    batch = equal_rows(5, 2)
    views = draw_views(lambda batch: join(batch, batch), batch, 3)
    assert views.items.tolist() == [[2, 3, 4]] * 4


def test_another_number_of_views_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2 rows for 2; return join\(first, second\)"):
        draw_views(lambda batch: batch, equal_rows(5, 2), 6)
