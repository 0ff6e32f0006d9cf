"""torch.compile by option: the same losses; without a compiler, a word of advice."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.training import fit


def test_without_a_compiler_it_says_what_to_install(
    tiny: Callable[..., Any], graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"C\+\+ compiler.*g\+\+.*leave compile out"):
        fit(tiny(), graph, compile=True, progress=False)


def test_the_losses_are_compiled(
    tiny: Callable[..., Any], graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []

    def note(function: Any, **options: Any) -> Any:
        compiled.append((function, options))
        return function

    monkeypatch.setattr(torch, "compile", note)
    model = tiny()
    fit(model, graph, compile=True, progress=False, max_epochs=1)
    assert compiled == [(model.losses, {"dynamic": True})]
