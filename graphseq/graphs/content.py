"""Refuse what a graph in a folder or a file of another program may not contain."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch_geometric.data import HeteroData

from graphseq.atomic import check_name
from graphseq.data.hetero import check_event_order, count_nodes
from graphseq.errors import GraphError

LOG, USERS, ITEMS = "log.parquet", "log-users.parquet", "log-items.parquet"
PARTS = ("validation", "test")
TAKEN = {Path(name).stem for name in (LOG, USERS, ITEMS)}  # not names of nodes


def check_content(graph: HeteroData) -> None:
    """Refuse edges and weights that cannot be, and events in another order.

    Raises:
        GraphError: The number of nodes of a kind is not known, a relation has no
            ``edge_index``, an edge has no such node, a weight is NaN, infinite or
            negative, the user-item edges are not ordered by user, then time, or the
            provenance is not a mapping.
    """
    if not isinstance(getattr(graph, "provenance", {}), dict):
        raise GraphError("its provenance must be a mapping. Remove it from the file")
    for kind in graph.node_types:
        if count_nodes(graph, kind) is None:
            raise GraphError(
                f"the number of {kind} nodes is not known; set "
                f"graph[{kind!r}].num_nodes"
            )
    for relation in graph.edge_types:
        store = graph[relation]
        if "edge_index" not in store:
            raise GraphError(
                f"{relation} has no edge_index; it has {', '.join(store.keys())}. Keep "
                "edges as edge_index"
            )
        for index, kind in zip(store.edge_index, relation[::2], strict=True):
            size = graph[kind].num_nodes
            if len(index) and not 0 <= int(index.min()) <= int(index.max()) < size:
                raise GraphError(
                    f"the edges {relation} name {kind} nodes {int(index.min())} … "
                    f"{int(index.max())}, but there are {size:,}. Correct the edges"
                )
        for name in ("edge_weight", "weight"):
            if name not in store:
                continue
            weight = store[name]
            faulty = ~(torch.isfinite(weight) & (weight >= 0))
            if weight.shape != store.edge_index.shape[1:] or faulty.any():
                raise GraphError(
                    f"a weight of {relation} must be a finite number from 0; found "
                    f"{weight[faulty][:1].tolist() or tuple(weight.shape)} on edge "
                    f"{int(faulty.nonzero()[0, 0]) if faulty.any() else 0}. Correct it"
                )

    check_event_order(graph)


def check_names(
    kinds: Iterable[object], relations: Iterable[Iterable[object]] = ()
) -> None:
    """Refuse names of nodes and relations that cannot be the names of files.

    Raises:
        GraphError: A name could lead out of the folder, see
            :func:`graphseq.atomic.check_name`, or two of them would be one file.
    """
    kinds, relations = list(kinds), [tuple(relation) for relation in relations]
    for kind in kinds:
        check_name(kind, "nodes")
    for relation in relations:
        for name in relation:
            check_name(name, "a relation or its nodes")
    files = [str(kind).lower() for kind in kinds]
    files += ["-".join(map(str, relation)).lower() for relation in relations]
    twice = sorted({name for name in files if files.count(name) > 1} | {*files} & TAKEN)
    if twice:
        raise GraphError(
            f"{twice[0]!r:.100} names two things, or a file of graphseq itself. Rename "
            "the nodes or the relation"
        )


def check_parts(parts: Iterable[object]) -> None:
    """Refuse held-out parts that a graph cannot have.

    Raises:
        GraphError: A part is neither ``validation`` nor ``test``.
    """
    for part in parts:
        if part not in PARTS:
            raise GraphError(f"{part!r:.100} is not a held-out part; there are {PARTS}")
