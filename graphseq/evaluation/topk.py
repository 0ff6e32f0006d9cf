"""Exact top-k of every row: best score first, equal scores by ascending id."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graphseq.models.scoring import COLUMNS

SPANS = (COLUMNS, 8, 1)  # widths of the spans of columns searched by their maximum
NOTHING = torch.iinfo(torch.int64).min  # padding: below the key of every score
_LAST_ID = 2**31 - 1


def keys(
    scores: Float[Tensor, "B N"], ids: Int[Tensor, "B N"] | Int[Tensor, "N"]
) -> Int[Tensor, "B N"]:
    """One integer per item that orders by score, then by ascending id.

    The upper half is the float's bit pattern, made monotone; the lower half counts
    ids from the end. All keys of a row differ, so any top-k of them is the only one;
    and torch finds it faster among integers than among floats.

    Args:
        scores: float32 without NaN.
        ids: Ids below 2^31.
    """
    ordered = (scores + 0.0).view(torch.int32)  # adding 0.0 turns -0.0 into 0.0
    ordered ^= (ordered >> 31) & _LAST_ID
    found = ordered.long()
    found <<= 32
    found |= _LAST_ID - ids
    return found


def decode(keys: Int[Tensor, "B k"]) -> tuple[Tensor, Tensor]:
    """Ids (B, k) and scores (B, k) that :func:`keys` was given."""
    ordered = (keys >> 32).int()
    bits = ordered ^ ((ordered >> 31) & _LAST_ID)
    return _LAST_ID - (keys & 0xFFFFFFFF), bits.view(torch.float32)


def top_keys(scores: Float[Tensor, "B W"], k: int) -> Int[Tensor, "B k"]:
    """Keys of the k best columns of each row, best first.

    The best k items lie in the k spans of neighbouring columns with the best maxima: a
    span that precedes an item's own contains a better item, and there are fewer than k
    of those. So spans of 64 columns are searched by their maxima, then spans of 8 in
    the k best of them, then single columns: about 500 numbers are sorted for k = 20,
    instead of V.

    Args:
        scores: Contiguous rows of a multiple of 64 columns; columns that are not
            candidates hold -inf.
        k: Length of the lists.

    Raises:
        FloatingPointError: A score is NaN; carries row and column as ``args[1:]``.
    """
    rows, columns = scores.shape
    offsets = columns * torch.arange(rows, device=scores.device)[:, None]
    firsts = torch.zeros_like(offsets)
    wide = columns
    for span in SPANS:
        inside = torch.arange(0, wide, span, device=scores.device)
        firsts, near = _split(scores, offsets, firsts, wide, span, inside)
        maxima = near.amax(dim=2) if span > 1 else near.squeeze(2)
        if wide == columns and maxima.isnan().any():
            row, column = scores.isnan().nonzero()[0].tolist()
            raise FloatingPointError("a score is NaN", row, column)
        found = keys(maxima, firsts)
        best = found.topk(min(k, found.shape[1]), sorted=span == 1).values
        firsts, wide = decode(best)[0], span
    return best


def _split(
    scores: Tensor,
    offsets: Tensor,
    firsts: Int[Tensor, "B n"],
    wide: int,
    span: int,
    inside: Int[Tensor, "m"],
) -> tuple[Int[Tensor, "B nm"], Float[Tensor, "B nm s"]]:
    """Cut spans of ``wide`` columns into shorter ones: first columns, scores."""
    rows, columns = scores.shape
    if wide == columns:
        near = scores
    else:
        chosen = ((firsts + offsets) // wide).flatten()
        near = scores.view(-1, wide).index_select(0, chosen)
    cut = (firsts[:, :, None] + inside).view(rows, -1)
    return cut, near.view(rows, -1, span)
