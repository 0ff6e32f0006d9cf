"""The names of an experiment file are those of Python, and complete."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from torch_geometric.transforms import BaseTransform

from graphseq import data, graphs, models, nn
from graphseq.config import registry as tables
from graphseq.evaluation import evaluate
from graphseq.nn import Encoder, Features
from graphseq.signatures import parameters
from graphseq.training import fit

TABLES = {
    "FILTERS": tables.FILTERS,
    "SPLITS": tables.SPLITS,
    "GRAPH": tables.GRAPH,
    "MODELS": tables.MODELS,
    "PARTS": tables.PARTS,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_name_is_that_of_what_it_stands_for(
    table: Mapping[str, Callable[..., Any]],
) -> None:
    assert {name: target.__name__ for name, target in table.items()} == {
        name: name for name in table
    }


def test_every_option_has_a_type_that_can_be_checked() -> None:
    targets = [t for table in TABLES.values() for t in table.values()]
    for target in [*targets, *tables.DATA.values(), fit, evaluate]:
        for option in parameters(target).values():
            assert not isinstance(option.annotation, str), (target, option)


def test_every_graph_step_can_be_named() -> None:
    exported = [getattr(graphs, name) for name in graphs.__all__]
    steps = {e for e in exported if inspect.isclass(e) and issubclass(e, BaseTransform)}
    assert steps == set(tables.GRAPH.values())


def test_every_split_can_be_named() -> None:
    functions = [
        f for f in map(data.__dict__.get, data.__all__) if inspect.isfunction(f)
    ]
    splits = {f for f in functions if parameters_return(f) is data.Split}
    assert splits == set(tables.SPLITS.values())


def test_every_filter_can_be_named() -> None:
    functions = [
        f for f in map(data.__dict__.get, data.__all__) if inspect.isfunction(f)
    ]
    filters = {
        f for f in functions if [*inspect.signature(f).parameters][:1] == ["log"]
    }
    filters = {f for f in filters if parameters_return(f) is data.Interactions}
    assert filters == set(tables.FILTERS.values())


@pytest.mark.parametrize("kind", [Features, Encoder])
def test_every_kind_of_part_can_be_named(kind: type) -> None:
    public = (getattr(nn, name) for name in nn.__all__)
    kinds = {p for p in public if inspect.isclass(p) and issubclass(p, kind)}
    kinds = {part for part in kinds if not part.__subclasses__()}  # no base classes
    assert kinds
    assert kinds == {p for p in models.PARTS.values() if issubclass(p, kind)}


def parameters_return(function: Callable[..., Any]) -> Any:
    hint = function.__annotations__.get("return")
    return eval(hint, function.__globals__) if isinstance(hint, str) else hint
