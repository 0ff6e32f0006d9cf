"""Rows read in parts by length: the same states, less padding."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from graphseq.models.backbone import Backbone
from graphseq.models.by_length import by_length
from graphseq.sequences import Batch

V = 9


@pytest.fixture
def batch() -> Batch:
    """200 rows of 0 … 12 items, most of them short."""
    torch.manual_seed(0)
    lengths = (13 * torch.rand(200) ** 3).long()
    items = torch.randint(V, (200, 12))
    items = items.masked_fill(torch.arange(12) >= lengths[:, None], V)
    return Batch(torch.arange(200), items, lengths, V)


def test_a_backbone_reads_rows_of_any_length_as_one_by_one(batch: Batch) -> None:
    backbone = Backbone(V, dim=8, max_length=12).double().eval()
    table = backbone.features.weight
    last, states = backbone.last(table, batch), backbone.states(table, batch)
    assert states.shape == (200, 12, 8)
    for row in range(200):
        n = int(batch.lengths[row])
        one = Batch(
            batch.user[row : row + 1],
            batch.items[row : row + 1, : max(1, n)],
            batch.lengths[row : row + 1],
            V,
        )
        torch.testing.assert_close(last[row], backbone.last(table, one)[0])
        torch.testing.assert_close(states[row, :n], backbone.states(table, one)[0, :n])
    (last.sum() + states[batch.mask].sum()).backward()
    assert backbone.features.weight.grad.any()


@pytest.mark.parametrize("parts", [2, 5, 8, 50])
def test_parts_are_as_wide_as_their_longest_row(batch: Batch, parts: int) -> None:
    seen = []

    def read(part: Batch) -> Tensor:
        seen.append(part)
        return part.items[..., None].float()

    found = by_length(read, batch, parts=parts)
    assert torch.equal(found[..., 0][batch.mask], batch.items[batch.mask].float())
    assert len(seen) == min(parts, 200 // 16)
    for part in seen:
        assert part.items.shape[1] == max(1, int(part.lengths.max()))
        assert part.targets is None and part.negatives is None
    cells = sum(part.items.numel() for part in seen)
    assert cells < 0.7 * batch.items.numel()


def test_rows_of_one_length_and_small_batches_are_read_at_once(batch: Batch) -> None:
    seen = []

    def read(part: Batch) -> Tensor:
        seen.append(part)
        return part.items[:, :1].float()

    even = replace(batch, lengths=torch.full((200,), 12))
    few = Batch(batch.user[:31], batch.items[:31], batch.lengths[:31], V)
    for whole in (even, few):
        by_length(read, whole)
        assert seen.pop() is whole and not seen
