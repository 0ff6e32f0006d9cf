"""Rows read in parts by length: the same states, less padding."""

import pytest
import torch

from graphseq.models.backbone import Backbone
from graphseq.models.by_length import last_by_length
from graphseq.sequences import Batch

V = 9


@pytest.fixture
def batch() -> Batch:
    """20 rows of 0 … 12 items."""
    torch.manual_seed(0)
    lengths = torch.randint(0, 13, (20,))
    items = torch.randint(V, (20, 12))
    items = items.masked_fill(torch.arange(12) >= lengths[:, None], V)
    return Batch(torch.arange(20), items, lengths, V)


@pytest.mark.parametrize("parts", [1, 3, 8, 50])
def test_every_row_has_its_state(batch: Batch, parts: int) -> None:
    backbone = Backbone(V, dim=8, max_length=12).double().eval()
    table = backbone.features.weight
    found = last_by_length(backbone, table, batch, parts=parts)
    torch.testing.assert_close(found, backbone.last(table, batch))
    found.sum().backward()
    assert backbone.features.weight.grad.any()


def test_parts_are_as_wide_as_their_longest_row(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = Backbone(V, dim=8, max_length=12)
    seen, read = [], backbone.last

    def reading(table: torch.Tensor, part: Batch) -> torch.Tensor:
        seen.append(part)
        return read(table, part)

    monkeypatch.setattr(backbone, "last", reading)
    last_by_length(backbone, backbone.features.weight, batch, parts=5)
    for part in seen:
        assert part.items.shape[1] == max(1, int(part.lengths.max()))
    assert len(seen) == 5
    cells = sum(part.items.numel() for part in seen)
    assert cells < 0.7 * batch.items.numel()
