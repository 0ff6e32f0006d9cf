"""Two processes on the CPU: what one trains of the other's half, checked by hand."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch_geometric.data import HeteroData

from graphseq.models import Backbone, SASRec
from graphseq.nn import Transformer
from graphseq.sequences import SequenceLoader
from graphseq.training import load_run

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have left their weights and what they saw."""
    folder = tmp_path_factory.mktemp("ddp")
    done = subprocess.run(
        [sys.executable, str(HERE / "two_processes.py"), str(folder)],
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def reported(folder: Path, rank: int) -> tuple[list[list[int]], list[Any]]:
    seen, histories = json.loads((folder / f"rank{rank}.json").read_text())
    return seen, histories


def test_both_end_with_the_same_weights(folder: Path) -> None:
    first, second = (load_file(folder / f"rank{rank}.safetensors") for rank in (0, 1))
    kept = load_file(folder / "run" / "weights.safetensors")
    for name, tensor in first.items():
        assert torch.equal(second[name], tensor)
        assert torch.equal(kept[name], tensor)


def test_each_trains_its_own_batches_and_together_all(folder: Path) -> None:
    first, second = (reported(folder, rank)[0] for rank in (0, 1))
    assert len(first) == len(second)
    assert first != second
    steps = len(first) // 4  # two runs of two epochs
    users = [user for batch in first[:steps] + second[:steps] for user in batch]
    assert set(users) == set(range(30))
    assert len(users) <= 30 + 10  # at most one batch twice, to even the number of steps


def test_both_have_the_same_history_with_and_without_a_folder(folder: Path) -> None:
    histories = [history for rank in (0, 1) for history in reported(folder, rank)[1]]
    assert len(histories) == 4
    assert all(history == histories[0] for history in histories)
    assert load_run(folder / "run").history == histories[0]


def test_the_loss_is_sane(folder: Path) -> None:
    rows = load_run(folder / "run").history
    assert rows[1]["loss"] < rows[0]["loss"] < 1.1 * math.log(12)


def test_no_litter_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["run", "rank0.json", "rank1.json", "rank0.safetensors", "rank1.safetensors"]
    )


def test_a_step_is_adams_on_the_mean_of_both_gradients(
    folder: Path, graph: HeteroData
) -> None:
    torch.manual_seed(7)
    encoder = Transformer(8, 8, layers=1, heads=1, dropout=0.0)
    model = SASRec(30, Backbone(12, dim=8, max_length=8, encoder=encoder))
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    loaders = [
        SequenceLoader(graph, model.sampler, 30, 8, seed=0, rank=rank, world=2)
        for rank in (0, 1)
    ]
    for epoch in range(2):
        for loader in loaders:
            loader.set_epoch(epoch)
        for step in range(len(loaders[0])):
            adam.zero_grad()
            for loader in loaders:
                (sum(model.losses(loader[step], graph).values()) / 2).backward()
            adam.step()
    kept = load_file(folder / "rank0.safetensors")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(kept[name], tensor, rtol=0, atol=1e-4)  # lr is 1e-2
