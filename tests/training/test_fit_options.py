"""Options of fit: every invalid one is reported, before anything is trained."""

from collections.abc import Callable
from typing import Any

import pytest
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import Model
from graphseq.training import Run
from graphseq.training.options import FitOptions

Make = Callable[..., Model]
Short = Callable[..., Run]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"max_epochs": 2.5}, "max_epochs: expected a whole number of 0 or more"),
        ({"max_epochs": "3"}, "max_epochs: expected a whole number .* found '3'"),
        ({"lr": "1e-3"}, "lr: expected a finite number above 0, found '1e-3'"),
        ({"batch_size": 0}, "batch_size: expected a whole number of 1 or more"),
        ({"seed": None}, "seed: expected a whole number of 0 or more, found None"),
        ({"lr_decay": 0.5}, "lr_decay: not an option; write lr_schedule: StepDecay"),
        ({"lr_schedule": 0.5}, "lr_schedule: expected Schedule, or None, found 0.5"),
        ({"lr_warmup": -1}, "lr_warmup: expected a whole number of 0 or more"),
        ({"precision": "bf16"}, "precision: expected '32-true' or .* found 'bf16'"),
        ({"monitor": "loss"}, "monitor: expected a metric .*NDCG@10.* found 'loss'"),
        ({"patience": 0}, "patience: expected a whole number of 1 or more, or None"),
        ({"max_epoch": 3}, "max_epoch: not an option; did you mean 'max_epochs'"),
    ],
)
def test_an_invalid_option_is_refused(
    tiny: Make, graph: HeteroData, short: Short, option: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        short(tiny(), graph, **option)


def test_invalid_options_are_reported_together(
    tiny: Make, graph: HeteroData, short: Short
) -> None:
    with pytest.raises(ConfigError) as error:
        short(tiny(), graph, lr=-1.0, monitor="loss", patience=0, max_epochs=-2)
    for name in ("lr", "monitor", "patience", "max_epochs"):
        assert f"\n  {name} " in str(error.value)


def test_the_first_process_is_found_by_its_rank(
    monkeypatch: pytest.MonkeyPatch, tiny: Make, graph: HeteroData, short: Short
) -> None:
    train = short(tiny(), graph, max_epochs=0).experiment["train"]
    monkeypatch.setenv("RANK", "1")
    assert FitOptions(**train).is_first_process
    assert not FitOptions(**train | {"devices": 2}).is_first_process
    monkeypatch.setenv("RANK", "0")
    assert FitOptions(**train | {"devices": 2}).is_first_process
