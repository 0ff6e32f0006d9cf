"""The ego network of one node, as a networkx graph."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.errors import GraphError

if TYPE_CHECKING:
    import networkx as nx

    Ego: TypeAlias = nx.MultiDiGraph[tuple[str, int]]
else:  # networkx is imported when first used
    Ego = Any


def to_networkx(
    graph: HeteroData,
    node: str | int,
    *,
    kind: str = "user",
    hops: int = 1,
    relations: list[EdgeType] | None = None,
    max_nodes: int = 60,
) -> Ego:
    """The nodes within a number of hops of one node, with all edges between them.

    Edges are followed in both directions. If there are more nodes than ``max_nodes``,
    the nearest stay, at equal distance those on the heaviest edges, then those of
    smaller kind and id.

    Args:
        graph: Any graph.
        node: Raw id of the centre; its number if the graph has no vocabulary.
        kind: Node type of the centre.
        hops: Largest distance from the centre.
        relations: Relations to follow and to show; ``None``: all.
        max_nodes: Largest number of nodes, the centre included.

    Returns:
        A directed multigraph. Nodes are (kind, dense id), with ``label`` (raw id),
        ``kind`` and ``distance``; edges have ``relation`` and ``weight`` (summed over
        repeated edges). ``.graph["centre"]`` is the centre, and ``.graph["reached"]``
        the number of nodes shown and of those found at each distance from 1. The next
        distance is searched from the shown nodes only.

    Raises:
        GraphError: The graph lacks the node type or a relation.
        DataError: The graph has no node with this id.
    """
    import networkx as nx

    wanted: list[EdgeType] = graph.edge_types if relations is None else relations
    if not wanted:
        raise GraphError(
            f"there is no relation to follow; this graph has {graph.edge_types}"
        )
    lacking = [relation for relation in wanted if relation not in graph.edge_types]
    if kind not in graph.node_types or lacking:
        raise GraphError(
            f"cannot follow {wanted} from {kind} {node!r}: this graph has nodes "
            f"{graph.node_types} and relations {graph.edge_types}. Choose among these."
        )
    centre = (kind, _dense(graph, kind, node))
    edges = _edges(graph, wanted)
    distance = {centre: 0}
    reached = []
    for hop in range(1, hops + 1):
        found = _next(edges, distance)
        shown = found[: max(0, max_nodes - len(distance))]
        distance |= dict.fromkeys(shown, hop)
        reached.append((len(shown), len(found)))
    ego: Ego = nx.MultiDiGraph(centre=centre, reached=reached)
    for (own, number), hop in distance.items():
        label = _label(graph, own, number)
        ego.add_node((own, number), label=label, kind=own, distance=hop)
    for row in _among(edges, distance).iter_rows(named=True):
        ego.add_edge(
            (row["from_kind"], row["from"]),
            (row["to_kind"], row["to"]),
            relation=row["relation"],
            weight=row["weight"],
        )
    return ego


def _dense(graph: HeteroData, kind: str, node: str | int) -> int:
    if "vocabulary" in graph[kind]:
        return int(graph[kind].vocabulary.encode([node])[0])
    if isinstance(node, int) and 0 <= node < graph[kind].num_nodes:
        return node
    raise GraphError(
        f"this graph has no raw ids; its {kind}s are numbered 0 … "
        f"{graph[kind].num_nodes - 1}; got {node!r}. Choose such a number."
    )


def _label(graph: HeteroData, kind: str, number: int) -> str:
    if "vocabulary" in graph[kind]:
        return str(graph[kind].vocabulary.decode([number])[0])
    return str(number)


def _edges(graph: HeteroData, relations: list[EdgeType]) -> pl.DataFrame:
    """Distinct edges of relations, with the summed weight of repeats."""
    frames = []
    for source, name, target in relations:
        store = graph[source, name, target]
        row, column = store.edge_index.cpu().numpy()
        weight: Any = np.ones(len(row))
        if "edge_weight" in store:
            weight = store.edge_weight.cpu().numpy().astype(np.float64)
        frame = pl.DataFrame({"from": row, "to": column, "weight": weight})
        frame = frame.group_by("from", "to").agg(pl.col("weight").sum())
        kinds = {"from_kind": source, "to_kind": target, "relation": name}
        frames.append(frame.with_columns(**{k: pl.lit(v) for k, v in kinds.items()}))
    return pl.concat(frames)


def _next(
    edges: pl.DataFrame, known: dict[tuple[str, int], int]
) -> list[tuple[str, int]]:
    """New neighbours of the known nodes, by descending edge weight."""
    inside = _nodes(known)
    ends = []
    for here, there in (("from", "to"), ("to", "from")):
        renamed = edges.select(
            kind=f"{here}_kind",
            id=here,
            new_kind=f"{there}_kind",
            new=there,
            w="weight",
        )
        ends.append(renamed.join(inside, on=["kind", "id"], how="semi"))
    found = pl.concat(ends).group_by("new_kind", "new").agg(pl.col("w").max())
    found = found.join(
        inside, left_on=["new_kind", "new"], right_on=["kind", "id"], how="anti"
    )
    found = found.sort("w", "new_kind", "new", descending=[True, False, False])
    return [*found.select("new_kind", "new").iter_rows()]


def _among(edges: pl.DataFrame, known: dict[tuple[str, int], int]) -> pl.DataFrame:
    """The edges between known nodes, in a fixed order."""
    for end in ("from", "to"):
        inside = _nodes(known).rename({"kind": f"{end}_kind", "id": end})
        edges = edges.join(inside, on=[f"{end}_kind", end], how="semi")
    return edges.sort("relation", "from_kind", "to_kind", "from", "to")


def _nodes(known: dict[tuple[str, int], int]) -> pl.DataFrame:
    schema = {"kind": pl.String, "id": pl.Int64}
    return pl.DataFrame(list(known), schema=schema, orient="row")
