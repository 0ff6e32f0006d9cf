"""The names that an experiment file may use, and the classes and functions behind them.

Names of models and their parts are in :mod:`graphseq.models.registry`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch_geometric.transforms import BaseTransform

from graphseq.constants import (
    HAS_ATTRIBUTE,
    INTERACTS,
    ITEM_CO_OCCURS,
    PRECEDES,
    USER_CO_OCCURS,
    EdgeType,
)
from graphseq.data import (
    by_time,
    by_user,
    deduplicate,
    k_core,
    leave_one_out,
    length_range,
    load_dataset,
    min_length,
    min_rating,
    read_log,
    time_window,
)
from graphseq.data.synthetic import communities, cycle, markov
from graphseq.graphs import (
    Attributes,
    CoOccurrence,
    EdgeDropout,
    ItemVectors,
    NodeDropout,
    Transitions,
    WeightedCoOccurrence,
    load_graph,
)
from graphseq.graphs.build import twice
from graphseq.models import MODELS, PARTS
from graphseq.models.registry import model_table, part_table
from graphseq.nn import Pretrained
from graphseq.schema import InvalidOption
from graphseq.specs import Spec

__all__ = [
    "DATA",
    "FILTERS",
    "GRAPH",
    "MODELS",
    "PARTS",
    "SPLITS",
    "model_table",
    "part_table",
]

DATA: dict[str, Callable[..., Any]] = {
    "dataset": load_dataset,
    "path": read_log,
    "graph": load_graph,
    "cycle": cycle,
    "markov": markov,
    "communities": communities,
}
FILTERS: dict[str, Callable[..., Any]] = {
    "k_core": k_core,
    "min_length": min_length,
    "length_range": length_range,
    "min_rating": min_rating,
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
    "WeightedCoOccurrence": WeightedCoOccurrence,
    "Transitions": Transitions,
    "Attributes": Attributes,
    "ItemVectors": ItemVectors,
    "EdgeDropout": EdgeDropout,
    "NodeDropout": NodeDropout,
}
STEPS: dict[EdgeType, str] = {
    USER_CO_OCCURS: "CoOccurrence: {kind: user}",
    ITEM_CO_OCCURS: "CoOccurrence: {kind: item}",
    PRECEDES: "Transitions: {}",
    HAS_ATTRIBUTE: "Attributes: {source: FILE}",
}
"""The step of the section ``graph`` that adds a relation."""


def added_relations(steps: Sequence[Spec]) -> set[EdgeType]:
    """The relations of a graph that is built with these steps."""
    added = {_added_by(step) for step in steps}
    return {INTERACTS, *(each for each in added if isinstance(each, tuple))}


def _added_by(step: Spec) -> EdgeType | str | None:
    """What a step adds: its property ``adds``, which reads options only."""
    adds = getattr(step.target, "adds", None)
    return adds.fget(step) if isinstance(adds, property) and adds.fget else None


def repeated_steps(steps: Sequence[Spec]) -> Iterator[InvalidOption]:
    """Steps that add what an earlier one adds, and would replace it."""
    first: dict[Any, str] = {}
    for step in steps:
        if (added := _added_by(step)) is None:
            continue
        name = getattr(step.target, "__name__", "a step")
        if added in first:
            yield InvalidOption(step.place, twice(added, first[added], name))
        first[added] = name


def required_relations(spec: Spec) -> tuple[EdgeType, ...]:
    """The relations that a model or part reads: of its class, or of its options."""
    by_options = getattr(spec.target, "required_relations", None)
    if by_options is not None:
        return tuple(by_options(spec.options))
    of_class = getattr(spec.target, "requires", ())
    return of_class if isinstance(of_class, tuple) else ()


def missing_relations(model: Spec, steps: Sequence[Spec]) -> Iterator[InvalidOption]:
    """Relations or vectors that a model or a part of it reads and no step adds."""
    added = added_relations(steps)
    has_vectors = any(step.target is ItemVectors for step in steps)
    for spec in model.walk():
        for relation in required_relations(spec):
            if relation not in added:
                name = "–".join(relation)
                step = STEPS.get(relation, "the step that adds it")
                message = f"reads the relation {name}; add to graph: {step}"
                yield InvalidOption(spec.place, message)
        if spec.target is Pretrained and not has_vectors:
            message = (
                "reads vectors of items; add to graph: ItemVectors: {source: FILE}"
            )
            yield InvalidOption(spec.place, message)
