"""Every augmentation passes the checks; each check fails for a broken one."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from graphseq.models import PARTS
from graphseq.sequences import Batch, crop, join, mask
from graphseq.sequences.augment import Augmentation
from graphseq.testing import CheckError, check_augmentation, checks

OWN = {n: part for n, part in PARTS.items() if issubclass(part, Augmentation)}


@pytest.mark.parametrize("name", OWN)
def test_an_augmentation_passes_all_checks(name: str) -> None:
    check_augmentation(OWN[name])


def mask_and_crop(batch: Batch) -> Batch:
    """It passes all checks."""
    return join(mask(batch, 0.5), crop(batch, 0.7))


def empty(batch: Batch) -> Batch:
    views = mask_and_crop(batch)
    return replace(views, lengths=views.lengths - 1)


def outside(batch: Batch) -> Batch:
    views = mask_and_crop(batch)
    return replace(views, items=views.items + 1)


def unpadded(batch: Batch) -> Batch:
    views = mask_and_crop(batch)
    return replace(views, items=views.items % batch.num_items)


def unchanged(batch: Batch) -> Batch:
    return join(mask(batch, 0.0), mask(batch, 0.0))


def twice(batch: Batch) -> Batch:
    view = mask(batch, 0.5)
    return join(view, view)


def fixed(batch: Batch) -> Batch:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return mask_and_crop(batch)


def in_place(batch: Batch) -> Batch:
    views = mask_and_crop(batch)
    batch.items[:, 0] = 0
    return views


def targeted(batch: Batch) -> Batch:
    views = mask_and_crop(batch)
    return replace(views, targets=views.items)


def shuffled(batch: Batch) -> Batch:
    return mask_and_crop(batch) if len(batch) > 1 else batch


class Counting(Augmentation):
    """Reads a number that is no option."""

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, batch: Batch) -> Batch:
        return join(mask(batch, self.rate), crop(batch, 0.7))


def changed_after() -> Counting:
    views = Counting()
    views.rate = 0.9
    return views


BROKEN: dict[str, Any] = {
    "there_are_two_views_of_every_row": lambda: lambda batch: mask(batch, 0.5),
    "items_are_ids_or_masks": lambda: outside,
    "rows_are_padded_on_the_right": lambda: unpadded,
    "no_view_is_empty": lambda: empty,
    "views_differ_from_their_sequences": lambda: unchanged,
    "the_two_views_are_drawn_independently": lambda: twice,
    "the_seed_decides_the_views": lambda: fixed,
    "the_batch_stays_as_it_is": lambda: in_place,
    "views_have_no_targets": lambda: targeted,
    "one_row_is_enough": lambda: shuffled,
    "options_rebuild_it": changed_after,
}


def test_a_function_that_keeps_the_claims_passes() -> None:
    check_augmentation(lambda: mask_and_crop)


@pytest.mark.parametrize("check", checks("augmentation"))
def test_a_check_fails_for_an_augmentation_that_breaks_its_claim(check: Any) -> None:
    with pytest.raises(CheckError, match=f"(?s){check.name}.*checked:.*found:.*to do:"):
        check(BROKEN[check.name])
