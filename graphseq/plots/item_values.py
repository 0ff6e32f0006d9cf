"""What the colours of items show: numbers or categories."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from graphseq.constants import ATTRIBUTE, HAS_ATTRIBUTE, INTERACTS, ITEM, ITEM_CO_OCCURS
from graphseq.errors import ConfigError, GraphError
from graphseq.schema import plain

Colour: TypeAlias = Literal["events", "communities", "attribute"]


class ItemValues(NamedTuple):
    """A number or a category for each item; one of the two is ``None``.

    Attributes:
        name: What the values are.
        numbers: (V,), NaN for items without one.
        categories: (V,), ``None`` for items without one.
    """

    name: str
    numbers: NDArray[np.float64] | None = None
    categories: list[str | None] | None = None


def item_values(graph: HeteroData, colour: Colour | Mapping[Any, Any]) -> ItemValues:
    """The values of the items of a graph.

    Args:
        graph: The graph.
        colour: As of :func:`graphseq.plots.plot_items`.

    Raises:
        GraphError: The graph lacks the relation or the raw ids.
        ConfigError: A mapping has none of the items.
    """
    if isinstance(colour, Mapping):
        return _of_mapping(graph, colour)
    if colour == "events":
        return ItemValues("training events", numbers=count_events(graph))
    if colour == "communities":
        _require(graph, ITEM_CO_OCCURS, "CoOccurrence('item')", colour)
        parts = _communities(graph)
        return ItemValues("community", categories=[f"community {n}" for n in parts])
    _require(graph, HAS_ATTRIBUTE, "Attributes(…)", colour)
    return ItemValues("attribute", categories=main_attributes(graph))


def count_events(graph: HeteroData) -> NDArray[np.float64]:
    """Training events of each item, (V,)."""
    items = graph[INTERACTS].edge_index[1].cpu().numpy()
    return np.bincount(items, minlength=graph[ITEM].num_nodes).astype(np.float64)


def main_attributes(graph: HeteroData) -> list[str | None]:
    """The attribute of each item that most items have; of equal ones, the first."""
    item, attribute = graph[HAS_ATTRIBUTE].edge_index.cpu().numpy()
    size = np.bincount(attribute, minlength=graph[ATTRIBUTE].num_nodes)
    pairs = pl.DataFrame(
        {"item": item, "attribute": attribute, "size": size[attribute]}
    )
    pairs = pairs.sort("item", "size", "attribute", descending=[False, True, False])
    first = pairs.unique("item", keep="first", maintain_order=True)
    names = graph[ATTRIBUTE].vocabulary.decode(first["attribute"].to_numpy())
    found: list[str | None] = [None] * graph[ITEM].num_nodes
    for number, name in zip(first["item"], names, strict=True):
        found[number] = str(name)
    return found


def raw_ids(graph: HeteroData) -> list[Any]:
    """The raw ids of the items; their numbers if the graph has no vocabulary."""
    if "vocabulary" in graph[ITEM]:
        return list(graph[ITEM].vocabulary.ids)
    return [*range(graph[ITEM].num_nodes)]


def _of_mapping(graph: HeteroData, values: Mapping[Any, Any]) -> ItemValues:
    """Numbers if all values are numbers, else categories."""
    found = [values.get(name) for name in raw_ids(graph)]
    found = [None if value != value else plain(value) for value in found]  # NaN
    known = [value for value in found if value is not None]
    if not known:
        example = next(iter(values), None)
        raise ConfigError(
            f"colour has values of {len(values):,} items, and none is an item of this "
            f"graph ({graph[ITEM].get('vocabulary')!r}); the first is {example!r}. Use "
            "the raw ids of the log, of the same type"
        )
    if all(isinstance(value, int | float) for value in known):
        numbers = [np.nan if value is None else float(value) for value in found]
        return ItemValues("value", numbers=np.array(numbers))
    return ItemValues("value", categories=[v if v is None else str(v) for v in found])


def _communities(graph: HeteroData) -> list[int]:
    """The Louvain community of every item in the item-item graph, largest first."""
    import networkx

    found: networkx.Graph[int] = networkx.Graph()
    found.add_nodes_from(range(graph[ITEM].num_nodes))
    edges = graph[ITEM_CO_OCCURS]
    pairs = zip(*edges.edge_index.tolist(), edges.edge_weight.tolist(), strict=True)
    found.add_weighted_edges_from(pairs)
    parts = networkx.community.louvain_communities(found, seed=0)
    parts = sorted(parts, key=lambda items: (-len(items), min(items)))
    part_of = {item: part for part, items in enumerate(parts, 1) for item in items}
    return [part_of[item] for item in range(len(part_of))]


def _require(
    graph: HeteroData, relation: tuple[str, str, str], step: str, colour: str
) -> None:
    if relation not in graph.edge_types:
        raise GraphError(
            f"colour={colour!r} reads {relation}, and this graph has "
            f"{graph.edge_types}. Give a graph built with {step} (graph=…), or "
            "another colour"
        )
