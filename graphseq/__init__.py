"""Graph learning for sequential recommendation on PyTorch Geometric.

From a log of (user, item, time) to graphs, trained models and honest rankings. The
names below are imported when they are first used, so that ``import graphseq`` is free.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphseq import runtime

if TYPE_CHECKING:
    from graphseq import models, nn, objectives, plots, testing
    from graphseq.data import (
        Interactions,
        by_time,
        by_user,
        k_core,
        leave_one_out,
        read_log,
    )
    from graphseq.evaluation.choose_weights import choose_weights
    from graphseq.evaluation.compare import compare
    from graphseq.evaluation.evaluate import evaluate
    from graphseq.graphs import (
        CoOccurrence,
        Transitions,
        build_graph,
        load_graph,
        save_graph,
    )
    from graphseq.graphs.summary import summary
    from graphseq.models.backbone import Backbone
    from graphseq.models.ensemble import Ensemble
    from graphseq.models.load_weights import load_weights
    from graphseq.models.new_items import add_items
    from graphseq.recommend import Recommender
    from graphseq.sequences import augment
    from graphseq.training.fit import fit

    __version__: str

__all__ = [
    "Backbone",
    "CoOccurrence",
    "Ensemble",
    "Interactions",
    "Recommender",
    "Transitions",
    "add_items",
    "augment",
    "build_graph",
    "by_time",
    "by_user",
    "choose_weights",
    "compare",
    "evaluate",
    "fit",
    "k_core",
    "leave_one_out",
    "load_graph",
    "load_weights",
    "models",
    "nn",
    "objectives",
    "plots",
    "read_log",
    "save_graph",
    "summary",
    "testing",
]

_HOMES = {
    "data": (
        "Interactions",
        "by_time",
        "by_user",
        "k_core",
        "leave_one_out",
        "read_log",
    ),
    "evaluation.choose_weights": ("choose_weights",),
    "evaluation.compare": ("compare",),
    "evaluation.evaluate": ("evaluate",),
    "graphs": (
        "CoOccurrence",
        "Transitions",
        "build_graph",
        "load_graph",
        "save_graph",
    ),
    "graphs.summary": ("summary",),
    "models.backbone": ("Backbone",),
    "models.ensemble": ("Ensemble",),
    "models.load_weights": ("load_weights",),
    "models.new_items": ("add_items",),
    "recommend": ("Recommender",),
    "training.fit": ("fit",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

runtime.sleep_while_waiting()  # before anything imports torch


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in ("config", "data", "evaluation", "graphs", "recommend", "training"):
        return import_module(f"graphseq.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'graphseq' has no attribute {name!r}")
    if name == "augment":
        return import_module("graphseq.sequences.augment")
    if name not in _HOME:
        return import_module(f"graphseq.{name}")
    found = getattr(import_module(f"graphseq.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("graphseq")
    except PackageNotFoundError:  # a source tree that is not installed
        return "0+unknown"
