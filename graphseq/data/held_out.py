"""Histories and targets that a split withholds from training."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphseq.data.columns import Int64s


class HeldOut(NamedTuple):
    """N users with what is known of each and what is to be found, as ragged rows.

    Row n's history is ``history[history_ptr[n]:history_ptr[n + 1]]``, oldest first, and
    never cropped; its targets likewise. Every row has at least one of each. A named
    tuple of int64 tensors, so ``HeteroData.to`` moves it along.

    Attributes:
        user: Dense user id of each row, ascending, (N,).
        history: Items before the targets, (H,).
        history_ptr: Where each row's history starts, (N+1,).
        target: Items to be found, oldest first, (T,).
        target_ptr: Where each row's targets start, (N+1,).
    """

    user: Tensor
    history: Tensor
    history_ptr: Tensor
    target: Tensor
    target_ptr: Tensor


def held_out(
    user: Int64s, item: Int64s, start: Int64s, cut: Int64s, stop: Int64s
) -> HeldOut:
    """Rows cut out of a log's item column.

    Args:
        user: Dense user id of each row, (N,).
        item: Items of the whole log in canonical order, (E,).
        start: Event at which each row's history starts, (N,).
        cut: Event at which the history ends and the targets start, (N,).
        stop: Event before which the targets end, (N,).
    """
    history, history_ptr = _runs(item, start, cut)
    target, target_ptr = _runs(item, cut, stop)
    columns = (user.copy(), history, history_ptr, target, target_ptr)
    return HeldOut(*(torch.from_numpy(column) for column in columns))


def _runs(values: Int64s, start: Int64s, stop: Int64s) -> tuple[Int64s, Int64s]:
    """The runs values[start:stop] of all rows, joined, and where each begins."""
    lengths = stop - start
    pointers = np.concatenate(([0], np.cumsum(lengths)))
    places = np.repeat(start - pointers[:-1], lengths)
    places += np.arange(pointers[-1])
    return values[places], pointers
