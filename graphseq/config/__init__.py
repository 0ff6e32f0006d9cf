"""Experiments: complete YAML files, checked before anything runs.

``Experiment`` and ``check`` import every model; they are loaded when first used.
"""

from typing import TYPE_CHECKING, Any

from graphseq.config.recbole import from_recbole
from graphseq.config.variants import experiment_names, experiments_of, load, load_all
from graphseq.config.yaml import read_yaml

if TYPE_CHECKING:
    from graphseq.config.experiment import Experiment, check

__all__ = [
    "Experiment",
    "check",
    "experiment_names",
    "experiments_of",
    "from_recbole",
    "load",
    "load_all",
    "read_yaml",
]


def __getattr__(name: str) -> Any:
    if name not in ("Experiment", "check"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from graphseq.config import experiment

    return getattr(experiment, name)
