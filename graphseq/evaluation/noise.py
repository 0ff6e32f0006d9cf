"""Noise in the histories of held-out users, to measure how robust a model is."""

import torch
from jaxtyping import Int
from torch import Tensor

from graphseq.data import HeldOut
from graphseq.data.ragged import Ragged
from graphseq.errors import GraphError


def add_noise(held_out: HeldOut, fraction: float, num_items: int, seed: int) -> HeldOut:
    """Insert random items into each history.

    Source:
        The studies of robustness of ICLRec (WWW 2022) and its successors.

    Departs from the source:
        Of n events and a fraction f, their codes insert int(f · n) items, none for a
        short history, and two at the same position as one. Here the number is rounded
        up or down at random, so that its mean is f · n.

    Args:
        held_out: Histories and targets of N users.
        fraction: Inserted items for each event of a history, at least 0.
        num_items: V.
        seed: Seed of the numbers, positions and items.

    Returns:
        The same users and targets. The inserted items are drawn uniformly from those
        that are neither in the user's history nor a target; each position, from before
        the first event to after the last, has the same probability.

    Raises:
        GraphError: A user has all items, so that there is none to insert.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(n: int) -> Tensor:
        return torch.rand(n, generator=generator, dtype=torch.float64)

    history = Ragged(held_out.history, held_out.history_ptr)
    known = history.joined(Ragged(held_out.target, held_out.target_ptr)).distinct()
    lengths = history.lengths
    added = (lengths * fraction + uniform(len(lengths))).floor().long()
    rows = torch.repeat_interleave(added)
    free = (num_items - known.lengths)[rows]
    if (free == 0).any():
        user = int(held_out.user[rows[free == 0][0]])
        raise GraphError(
            f"noise consists of items that a user does not have, and user {user} "
            f"(dense id) has all {num_items:,} items. Evaluate without noise"
        )
    items = nth_unknown((uniform(len(rows)) * free).long(), rows, known, num_items)
    before = (uniform(len(rows)) * (lengths[rows] + 1)).long()
    event = torch.arange(len(history.items)) - held_out.history_ptr[history.rows]
    place = torch.cat([2 * event + 1, 2 * before])
    order = place.argsort(stable=True)
    owner = torch.cat([history.rows, rows])
    order = order[owner[order].argsort(stable=True)]
    ptr = torch.cat([added.new_zeros(1), (lengths + added).cumsum(0)])
    return held_out._replace(
        history=torch.cat([history.items, items])[order], history_ptr=ptr
    )


def nth_unknown(
    n: Int[Tensor, "M"], rows: Int[Tensor, "M"], known: Ragged, num_items: int
) -> Int[Tensor, "M"]:
    """The n-th item, from 0, that is not in a list, for each pair of n and a list.

    Args:
        n: Numbers below V minus the length of the list.
        rows: The list of each.
        known: Sorted lists of distinct items.
        num_items: V.
    """
    # Item known[j] of a list has known[j] - j unknown ones before it.
    nth = torch.arange(len(known.items)) - known.ptr[known.rows]
    passed = known.rows * (num_items + 1) + known.items - nth
    end = torch.searchsorted(passed, rows * (num_items + 1) + n, right=True)
    return n + end - known.ptr[rows]
