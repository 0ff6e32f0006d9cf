"""The names that an experiment file may use, and what each stands for."""

from collections.abc import Callable
from typing import Any

from torch_geometric.transforms import BaseTransform

from graphseq.data import (
    by_time,
    by_user,
    deduplicate,
    k_core,
    leave_one_out,
    load_dataset,
    min_length,
    read_log,
    time_window,
)
from graphseq.data.synthetic import communities, cycle, markov
from graphseq.graphs import (
    Attributes,
    CoOccurrence,
    EdgeDropout,
    NodeDropout,
    Transitions,
)
from graphseq.models import MODELS, PARTS

__all__ = ["DATA", "FILTERS", "GRAPH", "MODELS", "PARTS", "SPLITS"]

DATA: dict[str, Callable[..., Any]] = {
    "dataset": load_dataset,
    "path": read_log,
    "cycle": cycle,
    "markov": markov,
    "communities": communities,
}

FILTERS: dict[str, Callable[..., Any]] = {
    "k_core": k_core,
    "min_length": min_length,
    "deduplicate": deduplicate,
    "time_window": time_window,
}

SPLITS: dict[str, Callable[..., Any]] = {
    "leave_one_out": leave_one_out,
    "by_user": by_user,
    "by_time": by_time,
}

GRAPH: dict[str, type[BaseTransform]] = {
    "CoOccurrence": CoOccurrence,
    "Transitions": Transitions,
    "Attributes": Attributes,
    "EdgeDropout": EdgeDropout,
    "NodeDropout": NodeDropout,
}
