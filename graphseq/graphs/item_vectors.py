"""Vectors of the items, such as embeddings of their texts, in the graph."""

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, ITEM
from graphseq.data import Vocabulary
from graphseq.data.item_vectors import VectorTable, read_vectors
from graphseq.errors import GraphError
from graphseq.graphs.build import raw_items
from graphseq.schema import Configurable

SHOWN = 5  # ids in a message
Missing = Literal["error", "mean", "zero"]


class ItemVectors(Configurable, BaseTransform):
    """Read a vector for each item from a file, by its raw id.

    Vectors of items that the graph lacks are left out. They are not lost: such an item
    can be added to a trained model, :func:`~graphseq.models.add_items`. The vectors are
    part of the graph and of its hash, and so of every run folder: the file is not
    needed later.

    Args:
        source: A table (polars), or a file: Parquet, ``.npy`` or ``.safetensors``, with
            the layouts of :func:`~graphseq.data.read_vectors`.
        item: Column of the ids, of a table.
        vector: Column of lists, of a table; without it, all other columns are numbers.
        ids: Text file of the ids, of an array; ``None``: next to it, with ``.txt``.
        missing: For items without a vector: ``error`` refuses them; ``mean`` of the
            vectors of the graph's items; or ``zero``.
        root: Folder for relative paths; ``None``: GRAPHSEQ_DATA if the file is there,
            else the current folder. It is not recorded.

    Adds ``graph["item"].x``, (V, F) float32.

    Raises:
        DataError: The file cannot be read.
        GraphError: The graph has no vocabulary of items, items have no vector, or none
            has one.
    """

    def __init__(
        self,
        source: str | Path | pl.DataFrame,
        *,
        item: str = "item",
        vector: str = "vector",
        ids: str | Path | None = None,
        missing: Missing = "error",
        root: str | Path | None = None,
    ) -> None:
        self.source, self.item, self.vector, self.ids = source, item, vector, ids
        self.missing: Missing = missing
        self.root = root
        name = str(source)
        if isinstance(source, pl.DataFrame):
            name = f"a table of {len(source)} items"
        self.options = {"source": name, "item": item, "vector": vector}
        self.options |= {"ids": None if ids is None else str(ids), "missing": missing}

    def read(self) -> VectorTable:
        """All vectors of the source."""
        return read_vectors(
            self.source,
            item=self.item,
            vector=self.vector,
            ids=self.ids,
            root=self.root,
        )

    @property
    def adds(self) -> str:
        """What the step adds: the vectors of the items."""
        return "vectors of items"

    def forward(self, graph: HeteroData) -> HeteroData:
        """Add the vectors to the graph."""
        vectors = self._rows(raw_items(graph, "ItemVectors"))
        graph[ITEM].x = vectors.to(graph[INTERACTS].edge_index.device)
        return graph

    def _rows(self, items: Vocabulary) -> Float[Tensor, "V F"]:
        """The vectors in the order of the items."""
        table = self.read()
        dense = items.encode(table.ids, missing=-1)
        known = dense >= 0
        if not known.any():
            raise GraphError(
                f"none of the {len(known):,} vectors of {self.options['source']} is of "
                f"an item of this graph ({items!r}). Use the vectors of this data set, "
                "or name the column of its ids"
            )
        rows = np.zeros((len(items), table.vectors.shape[1]), np.float32)
        rows[dense[known]] = table.vectors[known]
        without = np.ones(len(items), np.bool_)
        without[dense[known]] = False
        if without.any() and self.missing == "error":
            shown = ", ".join(map(repr, items.ids.filter(pl.Series(without))[:SHOWN]))
            more = ", …" * bool(without.sum() > SHOWN)
            raise GraphError(
                f"{without.sum():,} of {len(items):,} items have no vector in "
                f"{self.options['source']}: {shown}{more}. Add their vectors, or set "
                "missing='mean' or missing='zero'"
            )
        if self.missing == "mean":
            rows[without] = table.vectors[known].mean(axis=0, dtype=np.float64)
        return torch.from_numpy(rows)
