"""How important each item of a sequence is to what a model makes of it.

A method explains a number for each sequence: a closure from the item vectors, before
positions, and the mask. EC4SRec explains the score of the best item, ``top_score``.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Method = Literal[
    "saliency", "occlusion", "gradients", "attention", "popularity", "random"
]
Explained = Callable[[Float[Tensor, "B L D"], Bool[Tensor, "B L"]], Float[Tensor, "B"]]
CELLS = 2**24  # scores, or numbers of replicas, that are held at a time


def top_score(
    states: Float[Tensor, "B D"], table: Float[Tensor, "V D"]
) -> Float[Tensor, "B"]:
    """The largest inner product of each state with an item.

    Which item that is, is found without gradients and in chunks; the score has them.
    """
    with torch.no_grad():
        chunks = states.split(max(1, CELLS // len(table)))
        best = torch.cat([(chunk @ table.T).argmax(dim=1) for chunk in chunks])
    return (states * table[best]).sum(dim=1)


def saliency(
    explained: Explained, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
) -> Float[Tensor, "B L"]:
    r""":math:`\sum_j |∂y / ∂x_{ij}|`.

    Source:
        Simonyan et al., 2014; Wang et al., EC4SRec, CIKM 2022, Eq. (5).

    Args:
        explained: What is explained, y.
        x: Item vectors.
        mask: True at real items.

    Returns:
        A score for every place, zero at padded ones.
    """
    return _gradient(explained, x, mask).abs().sum(dim=2) * mask


def occlusion(
    explained: Explained, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
) -> Float[Tensor, "B L"]:
    r""":math:`y - y^{(-i)}`: what is lost with the vector of place i set to zero.

    The place stays in the sequence, with its position. There is a replica of a sequence
    for each of its items, and a chunk of replicas at a time.

    Source:
        Zeiler & Fergus, 2014; Wang et al., EC4SRec, CIKM 2022.

    Args:
        explained: What is explained, y.
        x: Item vectors.
        mask: True at real items.

    Returns:
        A score for every place, of either sign; zero at padded ones.
    """
    rows, places = mask.nonzero().unbind(dim=1)
    chunk = max(1, CELLS // max(1, x.shape[1] * x.shape[2] * 8))
    with torch.no_grad():
        whole = explained(x, mask)
        without = [
            explained(_occluded(x[row], place), mask[row])
            for row, place in zip(rows.split(chunk), places.split(chunk), strict=True)
        ]
    lost = torch.zeros_like(x[..., 0])
    lost[rows, places] = whole[rows] - torch.cat(without)
    return lost


def integrated_gradients(
    explained: Explained,
    x: Float[Tensor, "B L D"],
    mask: Bool[Tensor, "B L"],
    *,
    steps: int = 50,
) -> Float[Tensor, "B L"]:
    r""":math:`\sum_j x_{ij} ∫_0^1 ∂y(αx) / ∂x_{ij} dα`, by the mid-points of ``steps``.

    Complete: a row's scores sum to y(x) - y(0), but for the error of the steps.

    Source:
        Sundararajan et al., 2017; named by Wang et al., EC4SRec, CIKM 2022.

    Args:
        explained: What is explained, y.
        x: Item vectors.
        mask: True at real items.
        steps: Points of the path from zero.

    Returns:
        A score for every place, of either sign; zero at padded ones.
    """
    total = torch.zeros_like(x)
    for step in range(steps):
        total += _gradient(explained, x * ((step + 0.5) / steps), mask)
    return (x.detach() * total / steps).sum(dim=2) * mask


def popularity(
    items: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"], count: Int[Tensor, "V"]
) -> Float[Tensor, "B L"]:
    """How often the item of each place was chosen in training: no explanation.

    Args:
        items: Item ids; padding is V.
        mask: True at real items.
        count: Events of each item.
    """
    known = torch.cat([count, count.new_zeros(1)])
    return known[items].float() * mask


def chance(mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """Uniform random scores, from torch's global generator: no explanation."""
    return torch.rand(mask.shape, device=mask.device) * mask


def _gradient(explained: Explained, x: Tensor, mask: Tensor) -> Tensor:
    """Of every row's number by the row's vectors."""
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(explained(at, mask).sum(), at)
    return gradient


def _occluded(x: Tensor, place: Tensor) -> Tensor:
    """Each row without the vector of one of its places; ``x`` is changed."""
    x[torch.arange(len(x), device=x.device), place] = 0
    return x
