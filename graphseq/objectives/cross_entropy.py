"""Cross-entropy of a softmax over the whole catalogue."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 64  # rows at most; 64 x 12,101 logits are 3 MB, which stay in the cache
LARGEST = 87.7  # exp of it, and of one more, is still a float32
LOG2_E = 1 / math.log(2)

_products: ContextVar[torch.dtype | None] = ContextVar("products", default=None)


def cross_entropy(
    states: Float[Tensor, "N D"],
    items: Float[Tensor, "V D"],
    targets: Int[Tensor, "N"],
) -> Float[Tensor, ""]:
    r"""Cross-entropy of a softmax over the whole catalogue.

    .. math:: -\frac{1}{N} \sum_n \log
        \frac{\exp(s_n \cdot h_{t_n})}{\sum_{v} \exp(s_n \cdot h_v)}

    The (N, V) logits are never held at once: rows go through in chunks that stay in the
    cache, and the gradients are computed on the way, in place. The value and the
    gradients are those of ``F.cross_entropy(states @ items.T, targets)``.

    Args:
        states: What each row is looking for.
        items: The item vectors.
        targets: The item to be found, ``0 … V-1``.

    Returns:
        The mean over the rows.
    """
    return _LinearCrossEntropy.apply(states, items, targets)  # type: ignore[no-any-return]


class _LinearCrossEntropy(torch.autograd.Function):
    """Loss and both gradients in one sweep over the rows."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        wide = torch.promote_types(items.dtype, torch.float32)
        low, states = _product_type(states), states.to(wide)
        want_gradient = any(ctx.needs_input_grad)
        rows = len(states)
        on_cpu = states.device.type == "cpu"
        most = CHUNK if on_cpu else 16 * CHUNK
        chunk = -(-rows // -(-rows // most))  # equal ones: no small rest
        if on_cpu and low != wide:  # one size, as a program is kept for each
            chunk, spare = most, -rows % most  # of rows that are zero
            states = F.pad(states, (0, 0, 0, spare))
            targets = F.pad(targets, (0, spare))
        table, grad_states = items.to(low), torch.empty_like(states, dtype=low)
        grad_items = torch.empty_like(table)
        longest = torch.linalg.vector_norm(items, dim=1).amax()
        largest = torch.linalg.vector_norm(states, dim=1).amax() * longest
        # nor may a sum over the items overflow, of exponentials or of items so weighted
        safe = LARGEST - math.log(len(items)) - longest.clamp(min=1).log()
        shift = bool(largest > safe) or low == torch.float16
        wanted = items[targets]
        light = states / rows
        scaled = states * LOG2_E  # powers of 2 are 3 times as fast as those of e
        loss = (scaled * wanted).sum(dim=1, keepdim=True).neg_()
        mass = torch.empty_like(loss)
        buffer = table.new_empty(chunk, len(items))
        keep = 0.0  # of grad_items: nothing before the first chunk

        for state, binary, gradient, share, part in _chunks(
            chunk, light, scaled.to(low), grad_states, mass, loss
        ):
            logits = torch.mm(binary, table.T, out=buffer[: len(state)])
            if shift:
                top = logits.amax(dim=1, keepdim=True)
                logits.sub_(top)
                part.add_(top)
            torch.sum(logits.exp2_(), dim=1, keepdim=True, dtype=wide, out=share)
            if want_gradient:  # softmax minus one-hot, without forming either
                torch.mm(logits, table, out=gradient)
                grad_items.addmm_(logits.T, (state / share).to(low), beta=keep)
                keep = 1.0

        total = loss.add_(mass.log2())[:rows].double().sum() / LOG2_E
        if want_gradient:
            grad_states = grad_states.to(wide).div_(mass).sub_(wanted).div_(rows)[:rows]
            grad_items = grad_items.to(wide)
            grad_items.index_add_(0, targets, light, alpha=-1)
        ctx.save_for_backward(grad_states, grad_items)
        return (total / rows).to(wide)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grad_states, grad_items = ctx.saved_tensors
        (scale,) = gradients
        if scale.device.type == "cpu" and scale == 1:  # saves a pass over the table
            return grad_states, grad_items, None
        return grad_states * scale, grad_items * scale, None


@contextmanager
def products_in(dtype: torch.dtype | None) -> Iterator[None]:
    """Let :func:`cross_entropy` multiply in another type inside the block.

    Logits and gradients are then rounded to that type, and sums stay in float32. In
    bfloat16 it takes half the time, on a processor that multiplies bfloat16.

    Args:
        dtype: Such as ``torch.bfloat16``; ``None``: the type of the states.
    """
    token = _products.set(dtype)
    try:
        yield
    finally:
        _products.reset(token)


def _product_type(states: Tensor) -> torch.dtype:
    """The type in which states are multiplied with all items."""
    if torch.is_autocast_enabled(states.device.type):
        return torch.get_autocast_dtype(states.device.type)
    return _products.get() or states.dtype


def _chunks(size: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)
