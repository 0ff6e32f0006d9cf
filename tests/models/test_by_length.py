"""Rows are encoded in parts of similar length, as if one by one."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from graphseq.models import Backbone
from graphseq.models.by_length import by_length
from graphseq.sequences import Batch

V = 12


@pytest.fixture
def mixed() -> Batch:
    """200 rows of 0 … 12 items, most of them short."""
    torch.manual_seed(0)
    lengths = (13 * torch.rand(200) ** 3).long()
    items = torch.randint(V, (200, 12))
    items = items.masked_fill(torch.arange(12) >= lengths[:, None], V)
    return Batch(torch.arange(200), items, lengths, V)


def test_rows_of_any_length_are_encoded_as_one_by_one(mixed: Batch) -> None:
    backbone = Backbone(V, dim=8, max_length=12).double().eval()
    table = backbone.features.weight
    last, states = backbone.last(table, mixed), backbone.states(table, mixed)
    assert states.shape == (200, 12, 8)
    for row in range(200):
        n = int(mixed.lengths[row])
        one = Batch(
            mixed.user[row : row + 1],
            mixed.items[row : row + 1, : max(1, n)],
            mixed.lengths[row : row + 1],
            V,
        )
        torch.testing.assert_close(last[row], backbone.last(table, one)[0])
        torch.testing.assert_close(states[row, :n], backbone.states(table, one)[0, :n])
    (last.sum() + states[mixed.mask].sum()).backward()
    assert backbone.features.weight.grad.any()


@pytest.mark.parametrize("parts", [2, 5, 8, 50])
def test_parts_are_as_wide_as_their_longest_row(mixed: Batch, parts: int) -> None:
    seen = []

    def read(part: Batch, rows: Any) -> Tensor:
        seen.append(part)
        assert torch.equal(part.user, mixed.user[rows])
        return part.items[..., None].float()

    found = by_length(read, mixed, parts=parts)
    assert torch.equal(found[..., 0][mixed.mask], mixed.items[mixed.mask].float())
    assert len(seen) == min(parts, 200 // 16)
    for part in seen:
        assert part.items.shape[1] == max(1, int(part.lengths.max()))
        assert part.targets is None and part.negatives is None
    cells = sum(part.items.numel() for part in seen)
    assert cells < 0.7 * mixed.items.numel()


def test_rows_of_one_length_and_small_batches_are_encoded_at_once(mixed: Batch) -> None:
    seen = []

    def read(part: Batch, rows: Any) -> Tensor:
        seen.append(part)
        return part.items[:, :1].float()

    even = replace(mixed, lengths=torch.full((200,), 12))
    few = Batch(mixed.user[:31], mixed.items[:31], mixed.lengths[:31], V)
    for whole in (even, few):
        by_length(read, whole)
        assert seen.pop() is whole and not seen
