"""Views of sequences that rest on which items are similar."""

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from graphseq.sequences.batch import Batch
from graphseq.sequences.places import share, some
from graphseq.sequences.views import changed


def substitute(batch: Batch, rate: float, similar: Int[Tensor, "V"]) -> Batch:
    """⌊rate n⌋ items, and at least one, replaced by what is similar to them.

    Source:
        Liu et al., CoSeRec, 2021, section 3.2.1.

    Args:
        batch: Sequences.
        rate: Share of the items.
        similar: The item most similar to each; V where there is none, which then
            becomes a random one.
    """
    places = some(batch, share(batch.lengths, rate, least=1))
    return changed(batch, torch.where(places, _alike(batch, similar), batch.items))


def insert(
    batch: Batch,
    rate: float,
    similar: Int[Tensor, "V"],
    *,
    max_length: int | None = None,
) -> Batch:
    """Before ⌊rate n⌋ items, and at least one, what is similar to them.

    Source:
        Liu et al., CoSeRec, 2021, section 3.2.1, as its code inserts.

    Args:
        batch: Sequences.
        rate: Share of the items that get a neighbour.
        similar: As in :func:`substitute`.
        max_length: Longest result: its newest items stay. ``None``: any.
    """
    n, number = batch.lengths, share(batch.lengths, rate, least=1)
    places = some(batch, number)
    longest = batch.items.shape[1]
    width = longest + max(1, min(int(rate * longest), longest))
    padding = width - longest
    # the old items move right; the new ones take the places that this frees
    moved = torch.arange(longest, device=n.device) + places.long().cumsum(dim=1)
    ahead = torch.where(places, moved - 1, width)  # a column that is cut off again
    items = F.pad(batch.items, (0, padding + 1), value=batch.num_items)
    old = torch.where(batch.mask, moved, width)
    items = torch.full_like(items, batch.num_items).scatter(1, old, batch.items)
    items = items.scatter(1, ahead, _alike(batch, similar))[:, :width]
    return _newest(changed(batch, items, n + number), max_length)


def _alike(batch: Batch, similar: Tensor) -> Tensor:
    """What is similar to the item of each place."""
    none = similar.new_full((1,), batch.num_items)
    found = torch.cat([similar, none])[batch.items]
    drawn = torch.randint_like(found, max(1, batch.num_items))
    return torch.where(found == batch.num_items, drawn, found)


def _newest(batch: Batch, most: int | None) -> Batch:
    """The newest ``most`` items of every row."""
    if most is None or batch.items.shape[1] <= most:
        return batch
    lengths = batch.lengths.clamp(max=most)
    steps = torch.arange(most, device=lengths.device)
    items = batch.items.gather(1, (batch.lengths - lengths)[:, None] + steps)
    items = items.masked_fill(steps >= lengths[:, None], batch.num_items)
    return changed(batch, items, lengths)
