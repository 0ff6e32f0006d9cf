"""Importance of each item of a sequence for a model's output.

A method explains one number per sequence: a function of the item vectors, before
positions, of the mask, and of the indices of the sequences. EC4SRec explains the score
of the best item, :func:`top_score`.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Method = Literal[
    "saliency", "occlusion", "gradients", "attention", "popularity", "random"
]
Explained = Callable[
    [Float[Tensor, "B L D"], Bool[Tensor, "B L"], Int[Tensor, "B"]], Float[Tensor, "B"]
]
CELLS = 2**24  # scores, or numbers of replicas, held at a time


def top_score(
    states: Float[Tensor, "B D"], table: Float[Tensor, "V D"]
) -> Float[Tensor, "B"]:
    """The largest inner product of each state with an item.

    The best item is found without gradients, in chunks; its score has gradients.
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
        explained: The function that is explained, y.
        x: Item vectors.
        mask: True at real items.

    Returns:
        A score for each position, zero at padding.
    """
    return _gradient(explained, x, mask).abs().sum(dim=2) * mask


def occlusion(
    explained: Explained, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
) -> Float[Tensor, "B L"]:
    r""":math:`y - y^{(-i)}`: how much y falls when the vector at i is set to zero.

    The position stays part of the sequence. There is one replica of a sequence per
    item; replicas are evaluated in chunks.

    Source:
        Zeiler & Fergus, 2014; Wang et al., EC4SRec, CIKM 2022.

    Args:
        explained: The function that is explained, y.
        x: Item vectors.
        mask: True at real items.

    Returns:
        A score for each position, of either sign; zero at padding.
    """
    rows, positions = mask.nonzero().unbind(dim=1)
    occluded = []
    with torch.no_grad():
        full = explained(x, mask, torch.arange(len(x), device=x.device))
        for row, position in replicas(mask, x.shape[2]):
            replica = x[row]
            replica[torch.arange(len(row), device=x.device), position] = 0
            occluded.append(explained(replica, mask[row], row))
    scores = torch.zeros_like(x[..., 0])
    scores[rows, positions] = full[rows] - torch.cat(occluded)
    return scores


def replicas(
    mask: Bool[Tensor, "B L"], dim: int
) -> Iterator[tuple[Int[Tensor, "R"], Int[Tensor, "R"]]]:
    """Row and position of every real item, in chunks that bound the memory.

    Args:
        mask: True at real items.
        dim: D of the vectors that are copied for each.
    """
    rows, positions = mask.nonzero().unbind(dim=1)
    chunk = max(1, CELLS // max(1, mask.shape[1] * dim * 8))
    return zip(rows.split(chunk), positions.split(chunk), strict=True)


def integrated_gradients(
    explained: Explained,
    x: Float[Tensor, "B L D"],
    mask: Bool[Tensor, "B L"],
    *,
    steps: int = 50,
) -> Float[Tensor, "B L"]:
    r""":math:`\sum_j x_{ij} ∫_0^1 ∂y(αx) / ∂x_{ij} dα`, at the mid-points of ``steps``.

    Complete: a row's scores sum to y(x) - y(0), up to the discretisation error.

    Source:
        Sundararajan et al., 2017; named by Wang et al., EC4SRec, CIKM 2022.

    Args:
        explained: The function that is explained, y.
        x: Item vectors.
        mask: True at real items.
        steps: Points on the path from zero.

    Returns:
        A score for each position, of either sign; zero at padding.
    """
    total = torch.zeros_like(x)
    for step in range(steps):
        total += _gradient(explained, x * ((step + 0.5) / steps), mask)
    return (x.detach() * total / steps).sum(dim=2) * mask


def popularity(
    items: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"], count: Int[Tensor, "V"]
) -> Float[Tensor, "B L"]:
    """Training events of the item at each position, as a baseline.

    Args:
        items: Item ids; padding is V.
        mask: True at real items.
        count: Events of each item.
    """
    known = torch.cat([count, count.new_zeros(1)])
    return known[items].float() * mask


def random_scores(mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """Uniform random scores from torch's global generator, as a baseline."""
    return torch.rand(mask.shape, device=mask.device) * mask


def _gradient(explained: Explained, x: Tensor, mask: Tensor) -> Tensor:
    """The gradient of each row's number with respect to its vectors."""
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        total = explained(at, mask, torch.arange(len(x), device=x.device)).sum()
        (gradient,) = torch.autograd.grad(total, at)
    return gradient
