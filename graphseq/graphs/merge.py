"""One graph with the relations of several graphs of the same log."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.errors import GraphError
from graphseq.graphs.hashing import tensors_of
from graphseq.graphs.part import WHOLE, whole_hash

PARTS = ("validation", "test")


def merge_graphs(graphs: Sequence[HeteroData]) -> HeteroData:
    """A graph with all relations of graphs of the same users, items and events.

    Args:
        graphs: One or more, with the same training and held-out events. A relation that
            several have is the same in all of them.

    Returns:
        The graph; tensors are shared. If all are parts of one graph, so is it.

    Raises:
        GraphError: With everything that differs between any two; or there are none.
    """
    if isinstance(graphs, HeteroData) or not len(graphs):
        found = "one graph" if isinstance(graphs, HeteroData) else "none"
        raise GraphError(f"merge_graphs takes a list of graphs; found {found}")
    merged = HeteroData()
    if problems := [
        line for pair in combinations(graphs, 2) for line in _differences(*pair)
    ]:
        lines = "\n  ".join(dict.fromkeys(problems))
        raise GraphError(
            f"the graphs cannot be merged:\n  {lines}\nBuild them from the same log "
            "with the same split, and each relation with the same options"
        )
    for graph in graphs:
        for kind in graph.node_types:
            merged[kind].update(graph[kind])
        for relation in graph.edge_types:
            merged[relation].update(dict(tensors_of(graph[relation])))
        for name in PARTS:
            if name in graph:
                setattr(merged, name, getattr(graph, name))
    merged.provenance = _provenance(graphs)
    return merged


def _provenance(graphs: Sequence[HeteroData]) -> dict[str, Any]:
    known = [getattr(graph, "provenance", {}) for graph in graphs]
    hashes = {whole_hash(graph) for graph in graphs}
    if len(hashes) == 1:
        return {**known[0], WHOLE: hashes.pop()}
    steps = [step for each in known for step in each.get("transforms", [])]
    unique = [step for n, step in enumerate(steps) if step not in steps[:n]]
    found = {name: value for name, value in known[0].items() if name != WHOLE}
    return {**found, "transforms": unique}


def _differences(one: HeteroData, other: HeteroData) -> Iterator[str]:
    for kind in sorted({*one.node_types} & {*other.node_types}):
        if _other_nodes(one[kind], other[kind]):
            yield f"the {kind}s have other ids, or another order"
    for graph in (one, other):
        if INTERACTS not in graph.edge_types:
            yield "one is without the events of the users, so that they are not known"
            return
    for kind in sorted({*one.node_types} & {*other.node_types}):
        mine, its = (dict(tensors_of(graph[kind])) for graph in (one, other))
        both = mine.keys() & its.keys()
        if not _same({n: mine[n] for n in both}, {n: its[n] for n in both}):
            yield f"the {kind}s have other vectors"
    for relation in sorted({*one.edge_types} & {*other.edge_types}):
        pair = [dict(tensors_of(graph[relation])) for graph in (one, other)]
        if not _same(*pair):
            yield f"the relation {relation} has other edges or weights"
    for name in PARTS:
        rows = [getattr(g, name)._asdict() if name in g else {} for g in (one, other)]
        if not _same(*rows):
            yield f"the {name} users, histories or targets differ"


def _other_nodes(one: Any, other: Any) -> bool:
    if one.num_nodes != other.num_nodes:
        return True
    if "vocabulary" not in one or "vocabulary" not in other:
        return ("vocabulary" in one) != ("vocabulary" in other)
    return not one.vocabulary.ids.equals(other.vocabulary.ids)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[name].cpu(), other[name].cpu()) for name in one
    )
