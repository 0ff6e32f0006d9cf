"""The part of a graph that using a trained model needs."""

from collections.abc import Collection

from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM, USER, EdgeType
from graphseq.graphs.hashing import graph_hash, tensors_of

WHOLE = "whole"  # in the provenance of a part: the hash of the graph it is a part of


def part_of(
    graph: HeteroData, relations: Collection[EdgeType], *, users: bool = True
) -> HeteroData:
    """A graph of the same users and items with fewer relations; tensors are shared.

    Args:
        graph: Any graph.
        relations: Relations to keep, with their nodes. The user-item edges, which hold
            the known histories, are kept with the users.
        users: Whether raw ids of users, their edges and the held-out events are kept.

    Returns:
        The part; :func:`whole_hash` of it is that of the graph.
    """
    kept = [*relations, INTERACTS]
    if not users:
        kept = [relation for relation in kept if USER not in relation]
    part = HeteroData()
    ends = {end for source, _, target in kept for end in (source, target)}
    for kind in dict.fromkeys((USER, ITEM, *sorted(ends))):
        part[kind].num_nodes = graph[kind].num_nodes
        if kind == USER and not users:
            continue
        for name, value in tensors_of(graph[kind]):
            part[kind][name] = value
        if "vocabulary" in graph[kind]:
            part[kind].vocabulary = graph[kind].vocabulary
    for relation in graph.edge_types:  # in the order of the graph
        if relation in kept:
            for name, value in tensors_of(graph[relation]):
                part[relation][name] = value
    for name in ("validation", "test") if users else ():
        if name in graph:
            setattr(part, name, getattr(graph, name))
    provenance = dict(graph.provenance) if "provenance" in graph else {}
    part.provenance = {**provenance, WHOLE: whole_hash(graph)}
    return part


def whole_hash(graph: HeteroData) -> str:
    """The hash of a graph; of a part, the hash of the graph that it is a part of."""
    provenance = graph.provenance if "provenance" in graph else {}
    whole = provenance.get(WHOLE)
    return whole if isinstance(whole, str) else graph_hash(graph)
