"""Cross-entropy of a softmax over all items."""

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

CHUNK = 64  # rows on a CPU; 64 x 12,101 logits are 3 MB, which fit into the cache
LOGITS = 2**26  # numbers in a chunk on other devices: 256 MB in float32
LARGEST = 87.7  # exp of it plus 1 is still finite in float32
LOG2_E = 1 / math.log(2)

_products: ContextVar[torch.dtype | None] = ContextVar("products", default=None)


def cross_entropy(
    states: Float[Tensor, "N D"],
    items: Float[Tensor, "V D"],
    targets: Int[Tensor, "N"],
) -> Float[Tensor, ""]:
    r"""Cross-entropy of a softmax over all items.

    .. math:: -\frac{1}{N} \sum_n \log
        \frac{\exp(s_n \cdot h_{t_n})}{\sum_{v} \exp(s_n \cdot h_v)}

    The (N, V) logits are never stored: rows are processed in chunks. On a CPU these are
    64 rows, which fit into the cache, on a GPU 256 MB of logits, which keep it busy.
    The gradients are computed in the same pass, in place. Value and gradients equal
    those of ``F.cross_entropy(states @ items.T, targets)``.

    Args:
        states: Query vectors.
        items: Item vectors.
        targets: Target items, ``0 … V-1``.

    Returns:
        The mean over the rows.
    """
    return _LinearCrossEntropy.apply(states, items, targets)  # type: ignore[no-any-return]


class _LinearCrossEntropy(torch.autograd.Function):
    """Loss and both gradients in one pass over the rows."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        if not len(targets):
            raise ValueError("cross_entropy needs a target; found none")
        wide = torch.promote_types(items.dtype, torch.float32)
        low, states = _product_type(states), states.to(wide)
        want_gradient = any(ctx.needs_input_grad)
        rows = len(states)
        on_cpu = states.device.type == "cpu"
        most = CHUNK if on_cpu else max(1, LOGITS // len(items))
        chunk = -(-rows // -(-rows // most))  # equal chunks, no small remainder
        if on_cpu and low != wide:  # one size: kernels are compiled for each
            chunk, padding = most, -rows % most  # padded with zero rows
            states = F.pad(states, (0, 0, 0, padding))
            targets = F.pad(targets, (0, padding))
        table, grad_states = items.to(low), torch.empty_like(states, dtype=low)
        grad_items = torch.empty_like(table)
        # to compare numbers, the process would wait for the device
        shift = not on_cpu or low == torch.float16 or not _stays_finite(states, items)
        target = items[targets]
        weighted = states / rows
        scaled = states * LOG2_E  # exp2 is 3 times as fast as exp
        loss = (scaled * target).sum(dim=1, keepdim=True).neg_()
        mass = torch.empty_like(loss)
        buffer = table.new_empty(chunk, len(items))
        beta = 0.0  # grad_items is uninitialised before the first chunk

        for state, scaled_state, gradient, total, part in _chunks(
            chunk, weighted, scaled.to(low), grad_states, mass, loss
        ):
            logits = torch.mm(scaled_state, table.T, out=buffer[: len(state)])
            if shift:
                top = logits.amax(dim=1, keepdim=True)
                logits.sub_(top)
                part.add_(top)
            torch.sum(logits.exp2_(), dim=1, keepdim=True, dtype=wide, out=total)
            if want_gradient:  # softmax minus one-hot, without forming either
                torch.mm(logits, table, out=gradient)
                grad_items.addmm_(logits.T, (state / total).to(low), beta=beta)
                beta = 1.0

        loss_sum = loss.add_(mass.log2())[:rows].double().sum() / LOG2_E
        if want_gradient:
            grad_states = grad_states.to(wide).div_(mass).sub_(target).div_(rows)[:rows]
            grad_items = grad_items.to(wide)
            grad_items.index_add_(0, targets, weighted, alpha=-1)
        ctx.save_for_backward(grad_states, grad_items)
        return (loss_sum / rows).to(wide)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grad_states, grad_items = ctx.saved_tensors
        (scale,) = gradients
        if scale.device.type == "cpu" and scale == 1:  # saves a pass
            return grad_states, grad_items, None
        return grad_states * scale, grad_items * scale, None


@contextmanager
def products_in(dtype: torch.dtype | None) -> Iterator[None]:
    """Context in which :func:`cross_entropy` multiplies in another type.

    Logits and gradients are rounded to that type; sums stay in float32. In bfloat16 it
    takes half the time, on a processor with bfloat16 products.

    Args:
        dtype: For example ``torch.bfloat16``; ``None``: the type of the states.
    """
    token = _products.set(dtype)
    try:
        yield
    finally:
        _products.reset(token)


def _product_type(states: Tensor) -> torch.dtype:
    """The type of the products of states and items."""
    if torch.is_autocast_enabled(states.device.type):
        kind = torch.get_autocast_dtype(states.device.type)
        # Gradients of one item are near 1 / (N V), below the numbers of float16.
        return torch.float32 if kind == torch.float16 else kind
    return _products.get() or states.dtype


def _stays_finite(states: Tensor, items: Tensor) -> bool:
    """Whether sums over the items, of exponentials or weighted by them, are finite."""
    longest = torch.linalg.vector_norm(items, dim=1).amax()
    largest = torch.linalg.vector_norm(states, dim=1).amax() * longest
    safe = LARGEST - math.log(len(items)) - longest.clamp(min=1).log()
    return bool(largest <= safe)


def _chunks(size: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)
