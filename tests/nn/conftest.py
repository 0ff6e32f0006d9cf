"""Tensors of the filter oracles, and a naive window: loops, float64, no shared code."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from graphseq.nn import WindowEncoder

F64 = torch.float64
Mix = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]


def sines(first: float, *shape: int) -> Tensor:
    """sin(first + i) for i = 0, 1, …, row by row."""
    numbers = [math.sin(first + i) for i in range(math.prod(shape))]
    return torch.tensor(numbers, dtype=F64).view(shape)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each row of x; the variance is biased, with eps inside the root."""
    centred = x - x.mean(dim=1, keepdim=True)
    spread = (centred.square().mean(dim=1, keepdim=True) + 1e-12).sqrt()
    return centred / spread * weight + bias


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


class Naive:
    """A filter encoder of one row: the whole window, column by column."""

    sines = staticmethod(sines)
    layer_norm = staticmethod(layer_norm)
    gelu = staticmethod(gelu)

    @staticmethod
    def randomise(encoder: WindowEncoder, seed: int = 0) -> WindowEncoder:
        """The encoder in float64 and evaluation mode, with weights far from zero."""
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.copy_(0.5 * torch.randn_like(parameter))
        return encoder.double().eval()

    @staticmethod
    def window(encoder: WindowEncoder, row: Tensor, mix: Mix) -> Tensor:
        """The states (W, D) of a row (n, D); ``mix`` gets weights, columns, items."""
        w = {n: p.detach() for n, p in encoder.named_parameters()}
        size, padded = encoder.max_length, "pad" in w
        columns, real = [], []
        for column in range(size):
            place = column - (size - len(row))
            real.append(place >= 0)
            empty = w["pad"] if padded else torch.zeros(encoder.dim, dtype=F64)
            x = row[place] if place >= 0 else empty
            columns.append(x + w["position"][column] if "position" in w else x)
        items = torch.tensor(real)
        kept = torch.ones(size, 1, dtype=F64) if padded else items[:, None].to(F64)
        h = layer_norm(torch.stack(columns), w["norm.weight"], w["norm.bias"]) * kept
        for block in range(len(encoder.blocks)):
            prefix = f"blocks.{block}."
            own = {n.removeprefix(prefix): p for n, p in w.items() if prefix in n}
            mixed = mix(own, h, items)
            inner = gelu(mixed @ own["up.weight"].T + own["up.bias"])
            inner = inner @ own["down.weight"].T + own["down.bias"]
            h = layer_norm(inner + mixed, own["norm.weight"], own["norm.bias"]) * kept
        return h

    @classmethod
    def check(cls, encoder: WindowEncoder, mix: Mix) -> None:
        """Compare all states and last states of rows of 0 … W items."""
        cls.randomise(encoder)
        size = encoder.max_length
        lengths = torch.tensor([size, size - 1, 3, 1, 0])
        mask = torch.arange(size) < lengths[:, None]
        x = torch.randn(5, size, encoder.dim, dtype=F64) * mask[..., None]
        every, last = encoder(x, mask), encoder.last(x, mask)
        for row, number in enumerate(lengths.tolist()):
            expected = cls.window(encoder, x[row, :number], mix)
            torch.testing.assert_close(every[row, :number], expected[size - number :])
            if number or encoder.pad is not None:
                torch.testing.assert_close(last[row], expected[-1])
            else:
                assert not last[row].any()


@pytest.fixture(scope="session")
def naive() -> type[Naive]:
    return Naive


@pytest.fixture
def windows() -> tuple[Tensor, Tensor]:
    """Six columns of the oracles: all real; three real after zeros, after a token."""
    x = sines(0, 6, 4).repeat(3, 1, 1)
    x[1, :3], x[2, :3] = 0, sines(50, 4)
    real = torch.ones(3, 6, dtype=torch.bool)
    real[1:, :3] = False
    return x, real
