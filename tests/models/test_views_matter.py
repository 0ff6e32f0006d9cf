"""U-21: on a log with known answers, views that keep what matters are better."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import graphseq as gs
from graphseq.data.synthetic import planted

TABLE1 = Path(__file__).resolve().parents[2] / "experiments" / "ec4srec" / "table1.py"


@pytest.fixture(scope="module")
def table1() -> ModuleType:
    spec = importlib.util.spec_from_file_location("table1", TABLE1)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow  # six trainings of half a minute
def test_masks_that_keep_what_matters_are_better_on_average(table1: ModuleType) -> None:
    """By at least 0.05 HR@3; the published table has 0.16, our three seeds 0.10."""
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
