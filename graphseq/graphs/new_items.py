"""Items without events: added to a graph with their vectors and attributes."""

import copy
import warnings
from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import ATTRIBUTE, HAS_ATTRIBUTE, ITEM
from graphseq.data import Vocabulary
from graphseq.data.ids import RawIds, as_series, to_integers
from graphseq.errors import DataError, GraphError, quantity
from graphseq.graphs.attributes import Attributes
from graphseq.graphs.build import forget_operator
from graphseq.graphs.item_vectors import ItemVectors
from graphseq.graphs.part import WHOLE

SHOWN = 5  # ids in a message


def extend_items(
    graph: HeteroData,
    steps: Sequence[ItemVectors | Attributes],
    items: RawIds | None = None,
) -> HeteroData:
    """A graph with more items, which have no events.

    Args:
        graph: A graph with vectors or attributes of its items. It is left as it is, and
            shares its tensors.
        steps: Sources that describe the new items, as those of the graph do. Of
            attributes, those count that items of the graph have.
        items: Raw ids of the new items; ``None``: all that every step describes and
            that the graph lacks.

    Returns:
        The graph; the new items follow the others, in the order given. Without a step
        ItemVectors it has no vectors of items.

    Raises:
        GraphError: An item is in the graph already, is not described by every step, or
            there is none to add; or vectors have another width.
        DataError: A source cannot be read, or ids are not of the type of the graph's.
    """
    known: Vocabulary = graph[ITEM].vocabulary
    if not steps:
        raise GraphError(
            "new items need a source that describes them: pass a list with an "
            "ItemVectors or an Attributes step"
        )
    tables = [_described(step, graph) for step in steps]
    new = _new_items(known, steps, tables, items)
    extended = copy.copy(graph)
    extended[ITEM].vocabulary = Vocabulary(pl.concat([known.ids, new]))
    extended[ITEM].num_nodes = len(known) + len(new)
    for relation in extended.edge_types:
        forget_operator(extended, relation)
    added = Vocabulary(new)
    if not any(isinstance(step, ItemVectors) for step in steps):
        extended[ITEM].pop("x", None)  # the new items have none
    for step, table in zip(steps, tables, strict=True):
        rows = pl.Series("node", added.encode(table["item"], missing=-1))
        described = table.with_columns(rows).filter(pl.col("node") >= 0)
        if isinstance(step, ItemVectors):
            _add_vectors(extended, step, described, len(new))
        else:
            _add_attributes(extended, described, len(known))
    provenance = dict(getattr(graph, "provenance", {}))
    provenance.pop(WHOLE, None)  # it is a part of no graph
    extended.provenance = provenance
    return extended


def _described(step: ItemVectors | Attributes, graph: HeteroData) -> pl.DataFrame:
    """A table with a column item; its rows describe it."""
    if isinstance(step, ItemVectors):
        table = step.read()
        width = table.vectors.shape[1]
        if "x" not in graph[ITEM]:
            raise GraphError(
                "the items of this graph have no vectors, so new ones cannot be "
                "described by them. Build the graph with the step ItemVectors(FILE)"
            )
        if graph[ITEM].x.shape[1] != width:
            raise GraphError(
                f"the vectors of {step.options['source']} have {width} numbers, and "
                f"those of the graph have {graph[ITEM].x.shape[1]}. Make them with the "
                "same encoder"
            )
        rows = pl.Series("vector", table.vectors, dtype=pl.Array(pl.Float32, width))
        return pl.DataFrame({"item": table.ids, "vector": rows})
    if HAS_ATTRIBUTE not in graph.edge_types:
        raise GraphError(
            "the items of this graph have no attributes, so new ones cannot be "
            "described by them. Build the graph with the step Attributes(FILE)"
        )
    pairs = step.pairs()
    number = graph[ATTRIBUTE].vocabulary.encode(pairs["attribute"], missing=-1)
    pairs = pairs.with_columns(pl.Series("attribute", number))
    return pairs.filter(pl.col("attribute") >= 0)


def _new_items(
    known: Vocabulary,
    steps: Sequence[ItemVectors | Attributes],
    tables: Sequence[pl.DataFrame],
    items: RawIds | None,
) -> pl.Series:
    """The raw ids of the items to add, in the type of the vocabulary."""
    if items is not None:
        wanted = _as_ids(known, as_series(items, mixed=True))
        present = wanted.filter(pl.Series(known.encode(wanted, missing=-1) >= 0))
        if len(present):
            raise GraphError(
                f"{quantity(len(present), 'item')} to add {_some(present)} in the "
                "graph already. Leave them out"
            )
    else:
        listed = [table["item"].unique(maintain_order=True) for table in tables]
        every = pl.concat([_as_ids(known, ids) for ids in listed])
        wanted = every.filter(pl.Series(known.encode(every, missing=-1) < 0))
    wanted = wanted.unique(maintain_order=True)
    left_out = pl.repeat(False, len(wanted), eager=True)
    for step, table in zip(steps, tables, strict=True):
        if not isinstance(step, ItemVectors) or step.missing == "error":
            left_out |= ~wanted.is_in(_as_ids(known, table["item"]).implode())
    lacking = wanted.filter(left_out)
    if len(lacking) and (items is not None or len(lacking) == len(wanted)):
        raise GraphError(
            f"{quantity(len(lacking), 'new item')} {_some(lacking)} not described by "
            "every source: each needs a vector, or an attribute that an item of the "
            "graph has. Complete the sources, or leave the items out"
        )
    if len(lacking):
        warnings.warn(
            f"{quantity(len(lacking), 'new item')} {_some(lacking)} left out: not "
            "every source describes them",
            UserWarning,
            stacklevel=4,
        )
    if not len(wanted):
        raise GraphError(
            "there are no items to add: the graph has all items that the sources "
            "describe by a vector, or by an attribute that an item of the graph has"
        )
    return wanted.filter(~left_out)


def _as_ids(known: Vocabulary, ids: pl.Series) -> pl.Series:
    """Ids in the type of a vocabulary.

    Raises:
        DataError: The vocabulary has integers, and some of these are not.
    """
    if known.ids.dtype == pl.String:
        return ids.cast(pl.String).alias("id")
    numbers = ids if ids.dtype.is_integer() else to_integers(ids)
    if numbers.null_count():
        other = ids.filter(numbers.is_null())
        raise DataError(
            f"the items of the graph are integers, and new ones have other ids: "
            f"{', '.join(map(repr, other[:SHOWN]))}. Use ids of the same kind"
        )
    return numbers.cast(known.ids.dtype).alias("id")


def _add_vectors(
    graph: HeteroData, step: ItemVectors, described: pl.DataFrame, count: int
) -> None:
    """Append rows to ``x``; items without a vector follow the rule of the step."""
    x = graph[ITEM].x
    rows = x.new_zeros(count, x.shape[1])
    if step.missing == "mean":
        rows[:] = x.double().mean(dim=0)
    vectors = described["vector"].to_numpy().astype(np.float32)
    node = torch.from_numpy(described["node"].to_numpy().copy()).to(x.device)
    rows[node] = torch.from_numpy(vectors).to(x.device)
    graph[ITEM].x = torch.cat([x, rows])


def _add_attributes(graph: HeteroData, described: pl.DataFrame, first: int) -> None:
    """Append edges to attributes; they are sorted by item, then attribute."""
    pairs = described.select(pl.col("node") + first, "attribute").unique()
    index = pairs.sort("node", "attribute").to_numpy().T.copy()
    edges = graph[HAS_ATTRIBUTE].edge_index
    new = torch.from_numpy(index).to(edges)
    graph[HAS_ATTRIBUTE].edge_index = torch.cat([edges, new], dim=1)


def _some(ids: pl.Series) -> str:
    shown = ", ".join(map(repr, ids[:SHOWN].to_list())) + ", …" * (len(ids) > SHOWN)
    return f"({shown}) {'is' if len(ids) == 1 else 'are'}"
