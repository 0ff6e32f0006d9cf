"""torch.compile by option: the same weights; without a compiler, a word of advice."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import Model
from graphseq.sequences import Batch
from graphseq.training import fit


class Follows(Model):
    """What follows an item. It calls nothing whose shapes are checked in tests: the
    checks and the compiler do not go together."""

    sampler = "prefix"

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items
        self.before = nn.Embedding(num_items + 1, 4)
        self.after = nn.Embedding(num_items + 1, 4)

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return batch.last(self.before(batch.items))

    def item_vectors(self, graph: HeteroData) -> Tensor:
        return self.after.weight[:-1]

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        scores = self.before(batch.items) @ self.after.weight.T
        loss = nn.functional.cross_entropy(
            scores.flatten(0, 1), batch.targets.flatten()
        )
        return {"next_item": loss}


@pytest.mark.slow  # half a minute of C++ compiler
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own
def test_compiled_losses_train_the_same_weights(graph: HeteroData) -> None:
    trained = []
    for compiled in (False, True):
        torch.manual_seed(7)
        trained.append(Follows(30, 12))
        options: dict[str, Any] = {"max_epochs": 1, "batch_size": 60, "lr": 0.01}
        fit(trained[-1], graph, compile=compiled, progress=False, **options)
    plain, fast = (model.state_dict() for model in trained)
    for name, tensor in plain.items():
        torch.testing.assert_close(fast[name], tensor)


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


def test_without_a_compiler_it_says_what_to_install(
    tiny: Callable[..., Any], graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"C\+\+ compiler.*g\+\+.*leave compile out"):
        fit(tiny(), graph, compile=True, progress=False)
