"""BSARec's block against its oracle (U-F2), and its encoder against loops."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from graphseq.nn import FrequencyAttention
from graphseq.nn.frequency_attention import FrequencyAttentionMixer
from graphseq.nn.window import Block
from graphseq.schema import OptionError

F64 = torch.float64
FILTER = (
    (0.80506398, 1.01761902, -0.33896187, -1.48372112),
    (0.88829522, 1.00444640, -0.49316909, -1.39957254),
    (0.86198246, 1.00401716, -0.42903626, -1.43696336),
)
ATTENTION = (
    (0.80941898, 1.09493576, -0.54433358, -1.36002116),
    (0.80871927, 1.06421668, -0.45716041, -1.41577553),
    (0.80871927, 1.06421668, -0.45716041, -1.41577553),
)
MIX = (
    (0.80637048, 1.04081404, -0.40057338, -1.44661113),
    (0.86442244, 1.02237748, -0.48236648, -1.40443343),
    (0.84600350, 1.02207701, -0.43747350, -1.43060701),
)
BLOCK = (
    (1.04678535, 0.76840593, -0.33038986, -1.48480143),
    (1.14416156, 0.71392130, -0.45208507, -1.40599779),
    (1.11038973, 0.72180407, -0.38338382, -1.44880999),
)


def built(naive: Any) -> Block:
    sines = naive.sines
    mixer = FrequencyAttentionMixer(4, 6, 2, 0.7, 3, 0.0, 0.0)
    block = Block(mixer, 4, 8, 0.0).double()
    qkv = mixer.attention.qkv
    given = {
        mixer.scale: sines(7, 4),
        qkv.weight: torch.cat([sines(first, 4, 4) / 2 for first in (10, 30, 60)]),
        qkv.bias: torch.cat([sines(first, 4) / 10 for first in (11, 31, 61)]),
        mixer.attention.out.weight: sines(90, 4, 4) / 2,
        mixer.attention.out.bias: sines(91, 4) / 10,
        block.up.weight: sines(100, 8, 4) / 2,
        block.up.bias: sines(120, 8) / 10,
        block.down.weight: sines(140, 4, 8) / 2,
        block.down.bias: sines(180, 4) / 10,
    }
    with torch.no_grad():
        for parameter, value in given.items():
            parameter.copy_(value)
    return block


@pytest.mark.parametrize("last", [True, False])
def test_the_block_is_that_of_the_oracle(
    naive: Any, windows: tuple[Tensor, Tensor], last: bool
) -> None:
    x, real = windows
    block = built(naive)
    found = [part[:, -1] for part in block.mixer.branches(x, real, last=last)]
    found += [block.mixer(x, real, last=last)[:, -1], block(x, real, last=last)[:, -1]]
    for value, expected in zip(found, (FILTER, ATTENTION, MIX, BLOCK), strict=True):
        wanted = torch.tensor(expected, dtype=F64)
        torch.testing.assert_close(value, wanted, atol=6e-9, rtol=0)


@pytest.mark.parametrize("padding", ["token", "zero"])
@pytest.mark.parametrize("cutoff", [1, 4])
def test_the_encoder_is_that_of_loops(naive: Any, padding: Any, cutoff: int) -> None:
    """The low-pass by torch's transform, attention query by query; -10⁴ masks."""

    def attend(w: dict[str, Tensor], x: Tensor, real: Tensor) -> Tensor:
        size, (q, k, v) = 2, (x @ w["mixer.attention.qkv.weight"].T).split(4, dim=1)
        q, k, v = (
            part + bias
            for part, bias in zip(
                (q, k, v), w["mixer.attention.qkv.bias"].split(4), strict=True
            )
        )
        out = torch.zeros_like(x)
        for t in range(len(x)):
            for head in (slice(0, 2), slice(2, 4)):
                logits = [
                    float(q[t, head] @ k[s, head]) / math.sqrt(size)
                    + (0.0 if s <= t and real[s] else -1e4)
                    for s in range(len(x))
                ]
                top = max(logits)
                mass = sum(math.exp(v - top) for v in logits)
                for s, logit in enumerate(logits):
                    out[t, head] += math.exp(logit - top) / mass * v[s, head]
        return out @ w["mixer.attention.out.weight"].T + w["mixer.attention.out.bias"]

    def mix(w: dict[str, Tensor], x: Tensor, real: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x, dim=0)
        spectrum[cutoff // 2 + 1 :] = 0
        low = torch.fft.irfft(spectrum, n=len(x), dim=0)
        branches = {
            "filter": low + w["mixer.scale"] ** 2 * (x - low),
            "attention": attend(w, x, real),
        }
        a, g = (
            naive.layer_norm(
                y + x, w[f"mixer.{name}_norm.weight"], w[f"mixer.{name}_norm.bias"]
            )
            for name, y in branches.items()
        )
        return 0.6 * a + 0.4 * g

    options = {"heads": 2, "alpha": 0.6, "cutoff": cutoff, "padding": padding}
    naive.check(FrequencyAttention(4, 6, **options), mix)


def test_dropout_of_the_attention_weights_is_an_option(naive: Any) -> None:
    x, mask = torch.randn(2, 5, 4), torch.ones(2, 5, dtype=torch.bool)
    for rate, differs in ((None, False), (0.5, True)):
        encoder = FrequencyAttention(4, 6, dropout=0.0, attention_dropout=rate).train()
        assert torch.equal(encoder(x, mask), encoder(x, mask)) != differs


def test_heads_have_to_divide_the_width() -> None:
    with pytest.raises(OptionError, match="heads: expected a divisor of dim=6"):
        FrequencyAttention(6, heads=4)


def test_parameters_are_as_many_as_the_authors() -> None:
    """878,208 on Beauty, with rows for V items and the padding."""
    count = sum(p.numel() for p in FrequencyAttention(64, 50).parameters())
    assert count - 64 + 12_102 * 64 == 878_208
