"""Options of fit that are out of range, together."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import (
    EC4SRec,
    SASRec,
)
from graphseq.training import Run, fit

Make = Callable[..., SASRec]
Short = Callable[..., Run]


@pytest.mark.parametrize(
    "option, told",
    [
        ({"max_epochs": 2.5}, "max_epochs must be a whole number; found 2.5"),
        ({"max_epochs": "3"}, "max_epochs must be a whole number; found '3'"),
        ({"lr": "1e-3"}, "lr must be a number; found '1e-3'"),
        ({"batch_size": 0}, "batch_size must be above 0; found 0"),
        ({"seed": None}, "seed must be a whole number; found None"),
        ({"lr_decay": 0.0}, "lr_decay must be above 0"),
        ({"lr_warmup": -1}, "lr_warmup must be 0 or above"),
        ({"precision": "bf16"}, "precision is one of 32-true, .*; found 'bf16'"),
    ],
)
def test_options_that_are_no_numbers_or_choices_are_refused(
    tiny: Make, graph: HeteroData, option: dict[str, Any], told: str
) -> None:
    given = {"max_epochs": 1, "progress": False} | option
    with pytest.raises(ConfigError, match=told):
        inspect.unwrap(fit)(tiny(), graph, **given)


def test_options_that_mean_nothing_are_told_together(
    short: Short, tiny: Make, graph: HeteroData
) -> None:
    with pytest.raises(ConfigError) as told:
        short(tiny(), graph, lr=-1.0, monitor="loss", patience=0, max_epochs=-2)
    for name in ("lr", "monitor", "patience", "max_epochs"):
        assert f"\n  {name} " in str(told.value)


def test_epochs_that_end_before_the_views_begin_are_told(
    short: Short, graph: HeteroData
) -> None:
    model = EC4SRec(30, 12, dim=8, max_length=8, updates=(5,))
    with pytest.warns(UserWarning, match="EC4SRec first trains 5 epochs without all"):
        short(model, graph, max_epochs=2)
