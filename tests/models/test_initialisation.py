"""How every parameter is initialised, against a table of distributions.

A distribution is tested by many draws: their standard deviation within a tenth, their
mean, and their bounds or the lack of them. Caser is in ``test_caser.py``.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from graphseq.models import (
    BPRMF,
    GCSAN,
    MCLSR,
    SRGNN,
    BERT4Rec,
    ComiRec,
    DSSRec,
    GRU4Rec,
    LightGCN,
    MutualInformation,
    S3Rec,
    SASRec,
)
from graphseq.models.backbone import Backbone
from graphseq.nn import GRU, Embedding, Propagated, Transformer

USERS, ITEMS, DIM, HIDDEN = 300, 500, 256, 384


def masked_item() -> Tensor | None:
    return Backbone(2, encoder=GRU(8192, hidden=1), mask_token=True).token


class Law(NamedTuple):
    """A distribution about ``mean``; ``bound`` is how far from it a draw can be."""

    mean: float
    std: float
    bound: float | None = None


def normal(std: float) -> Law:
    return Law(0.0, std)


def uniform(bound: float) -> Law:
    return Law(0.0, bound / 3**0.5, bound)


def truncated(std: float) -> Law:
    """Normal, drawn again beyond two deviations: 0.8796 of its deviation is left."""
    return Law(0.0, 0.879626 * std, 2 * std)


def xavier(rows: int, columns: int, kind: Callable[[float], Law]) -> Law:
    """Glorot & Bengio: a variance of 2 over the sum of both widths."""
    variance = 2 / (rows + columns)
    return kind(variance**0.5) if kind is normal else kind((3 * variance) ** 0.5)


def torchs(inputs: int) -> Law:
    """As torch initialises a ``Linear`` by its inputs, or a GRU by its units."""
    return uniform(inputs**-0.5)


Laws = dict[str, Law]
SMALL, ZERO, ONE = normal(0.02), Law(0.0, 0.0), Law(1.0, 0.0)
NORMS: Laws = {
    r"(.*\.)?(norm\d?|final)\.weight": ONE,
    r"(.*\.)?(norm\d?|final)\.bias": ZERO,
}
BLOCKS: Laws = {  # 1.3 of the specification: N(0, 0.02²), biases 0, LN 1 and 0
    r".*\.(qkv|out|up|down)\.weight": SMALL,
    r".*\.(qkv|out|up|down)\.bias": ZERO,
} | NORMS
TRANSFORMER: Laws = {
    r"backbone\.features\.weight": SMALL,
    r"backbone\.encoder\.position": SMALL,
} | BLOCKS
GATED: Laws = {r"states\.network\.(messages|cell)\..*": torchs(DIM)}
RECURRENT: Laws = {
    r".*\.units\.weight_ih_l0": xavier(3 * HIDDEN, DIM, uniform),
    r".*\.units\.weight_hh_l0": xavier(3 * HIDDEN, HIDDEN, uniform),
    r".*\.out\.(weight|bias)": torchs(HIDDEN),
}
STARTS: dict[str, tuple[Callable[[], nn.Module], Laws]] = {
    "BPRMF": (
        lambda: BPRMF(USERS, ITEMS, dim=DIM),
        {
            "users": xavier(USERS, DIM, normal),
            "items": xavier(ITEMS, DIM, normal),
        },
    ),
    "LightGCN": (
        lambda: LightGCN(USERS, ITEMS, dim=DIM),
        {"users|items": normal(0.1)},
    ),
    "MCLSR": (
        lambda: MCLSR(
            USERS,
            ITEMS,
            dim=DIM,
            key_dropout=0.3,
            shared_head=False,
        ),
        {
            "users|items|position": truncated(0.02),
            r"current\.inner\.weight": torchs(DIM),
            r"current\.outer\.weight": torchs(4 * DIM),
            r"general\.query\.weight": torchs(DIM),
            r".*_contrast\..*": torchs(DIM),
        }
        | NORMS,
    ),
    "GRU4Rec": (
        lambda: GRU4Rec(
            USERS,
            GRU4Rec.default_backbone(
                ITEMS, dim=DIM, encoder={"GRU": {"hidden": HIDDEN}}
            ),
        ),
        {r"backbone\.features\.weight": xavier(ITEMS, DIM, normal)} | RECURRENT,
    ),
    "SASRec": (
        lambda: SASRec(USERS, Backbone(ITEMS, encoder=Transformer(DIM, norm="pre"))),
        TRANSFORMER,
    ),
    "BERT4Rec": (
        lambda: BERT4Rec(USERS, BERT4Rec.default_backbone(ITEMS, dim=DIM)),
        {
            r"backbone\.token|map\.weight": SMALL,
            r"map\.bias|bias": ZERO,
        }
        | TRANSFORMER,
    ),
    "S3Rec": (
        lambda: S3Rec(
            USERS,
            S3Rec.default_backbone(ITEMS, dim=DIM),
            objective=MutualInformation(variant="full", num_attributes=40),
        ),
        {
            r"backbone\.token|.*\.attributes|.*\.maps\..*\.weight": SMALL,
            r".*\.maps\..*\.bias": ZERO,
        }
        | TRANSFORMER,
    ),
    "DSSRec": (
        lambda: DSSRec(USERS, DSSRec.default_backbone(ITEMS, dim=DIM)),
        {
            r".*\.disentangle\.(centres|position|bias|key\.weight)": SMALL,
            r".*\.disentangle\.(offset|key\.bias)": ZERO,
            r".*\.disentangle\.norm_\w+\.weight": ONE,
            r".*\.disentangle\.norm_\w+\.bias": ZERO,
        }
        | TRANSFORMER,
    ),
    "ComiRec": (
        lambda: ComiRec(USERS, ITEMS, dim=DIM),
        {
            r"features\.weight|position": SMALL,
            r"attention\.inner\.(weight|bias)": torchs(DIM),
            r"attention\.outer\.weight": torchs(4 * DIM),
        },
    ),
    "SRGNN": (
        lambda: SRGNN(USERS, ITEMS, dim=DIM),
        {
            # the variance of the authors' distribution, uniform in ±1 / sqrt(D)
            r"features\.weight": normal((3 * DIM) ** -0.5),
            r"states\.network\.bias": uniform(DIM**-0.5),
            r"(of_last|of_each|query|merge)\..*": uniform(DIM**-0.5),
        }
        | GATED,
    ),
    "GCSAN": (
        lambda: GCSAN(USERS, ITEMS, dim=DIM, layers=2),
        {
            r"features\.weight": SMALL,
        }
        | GATED
        | BLOCKS,
    ),
    # parts alone: a model has too few numbers of them
    "Embedding": (lambda: Embedding(ITEMS, dim=DIM, std=0.3), {"weight": normal(0.3)}),
    "Propagated": (lambda: Propagated(ITEMS, dim=DIM), {"weight": SMALL}),
    "masked item": (
        lambda: nn.ParameterList([masked_item()]),
        {"0": SMALL},
    ),
}
PAIRS = [(name, pattern) for name, (_, laws) in STARTS.items() for pattern in laws]


@cache
def started(name: str) -> dict[str, Tensor]:
    """The parameters of a new model."""
    torch.manual_seed(0)
    return {n: p.detach() for n, p in STARTS[name][0]().named_parameters()}


def follows(values: Tensor, law: Law) -> None:
    """Whether hundreds or thousands of numbers follow a distribution."""
    if not law.std:
        assert (values == law.mean).all()
        return
    number, furthest = values.numel(), (values - law.mean).abs().max().item()
    assert number >= DIM
    near = 0.1 if number >= 1000 else 0.2
    assert values.std().item() == pytest.approx(law.std, rel=near)
    assert abs(values.mean().item() - law.mean) < 4 * law.std / number**0.5
    if law.bound is None:
        assert furthest > 2 * law.std  # beyond what a uniform law of this spread gives
    else:
        assert 0.95 * law.bound < furthest < 1.0001 * law.bound


@pytest.mark.parametrize("name, pattern", PAIRS)
def test_a_parameter_follows_its_distribution(name: str, pattern: str) -> None:
    law = STARTS[name][1][pattern]
    found = {n: p for n, p in started(name).items() if re.fullmatch(pattern, n)}
    assert found
    for parameter in found.values():
        follows(parameter, law)


@pytest.mark.parametrize("name", STARTS)
def test_no_parameter_is_left_out(name: str) -> None:
    for parameter in started(name):
        laws = [p for p in STARTS[name][1] if re.fullmatch(p, parameter)]
        assert len(laws) == 1, parameter
