"""U-21: on a log with known answers, views that keep what matters are better."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

import graphseq as gs
from graphseq.data.synthetic import planted
from graphseq.sequences import histories

TABLE1 = Path(__file__).resolve().parents[2] / "experiments" / "ec4srec" / "table1.py"


@pytest.fixture(scope="module")
def table1() -> ModuleType:
    spec = importlib.util.spec_from_file_location("table1", TABLE1)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_oracle_masks_spare_the_planted_items(table1: ModuleType) -> None:
    """Whatever numbers the split gives to them."""
    split = gs.by_user(
        planted(200, seed=0), fractions=(0.5, 0.25, 0.25), history=0.95, seed=0
    )
    graph = gs.build_graph(split)
    sizes = (int(graph[kind].num_nodes) for kind in ("user", "item"))
    model = table1.Masked(*sizes, views="oracle")
    model.refresh(graph, 0)
    batch = histories(graph.test, torch.arange(50), 10, model.num_items)
    view = model.view(batch)
    hidden = batch.items[view.masked]
    assert len(hidden) == 5 * 50
    names = graph["item"].vocabulary.decode(hidden.numpy())
    assert all(int(name.removeprefix("item-")) >= 160 for name in names)


@pytest.mark.slow  # six trainings of half a minute
def test_masks_that_keep_what_matters_are_better_on_average(table1: ModuleType) -> None:
    """By at least 0.05 HR@3; the published table has 0.16, our three seeds 0.11."""
    gains = []
    for seed in (0, 1, 2):
        split = gs.by_user(
            planted(2000, seed=seed),
            fractions=(0.5, 0.25, 0.25),
            history=0.95,
            seed=seed,
        )
        graph = gs.build_graph(split)
        random, oracle = (
            gs.evaluate(table1.train(views, graph, seed, 60), graph, ks=(3,))
            for views in ("random", "oracle")
        )
        gains.append(oracle["excluded"]["HR@3"] - random["excluded"]["HR@3"])
    assert sum(gains) / len(gains) >= 0.05
