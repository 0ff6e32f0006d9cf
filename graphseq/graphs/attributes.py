"""Side information: which attributes an item has."""

from pathlib import Path

import polars as pl
import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import ATTRIBUTE, HAS_ATTRIBUTE, INTERACTS, ITEM
from graphseq.data import Vocabulary
from graphseq.data.attributes import Table, pairs_of, read_attributes
from graphseq.errors import GraphError
from graphseq.graphs.build import require
from graphseq.schema import Configurable


class Attributes(Configurable, BaseTransform):
    """Link each item to its attributes: categories, brands, tags.

    Items and attributes are named by their raw ids. A pair that stands twice makes one
    edge; items that the graph does not hold are passed over, since such tables commonly
    describe more items than a filtered log has; items without attributes stay without.
    Attributes are numbered by first appearance, in the order of the items.

    Source:
        The side information of Zhou et al., S3-Rec, CIKM 2020.

    Args:
        source: A mapping from item to list of attributes, or a file of it: JSON (one
            object), JSON lines, CSV, TSV or Parquet (a row for each item, with a list,
            or for each pair), plain or gzip.
        item: Column of the items; a JSON object needs none.
        attribute: Column of the attributes, or of lists of them, however deep.
        root: Folder from which a relative path counts; ``None``: the environment's
            GRAPHSEQ_DATA if the file lies there, else the current folder. The graph
            does not record it.

    Adds nodes ``"attribute"`` with num_nodes and vocabulary, and the edges
    ``("item", "has", "attribute")`` with edge_index (2, E), sorted by item, then
    attribute.

    Raises:
        DataError: The file is not such a table.
        GraphError: The graph has no vocabulary of items, or no item an attribute.
    """

    def __init__(
        self,
        source: str | Path | Table,
        *,
        item: str = "item",
        attribute: str = "attribute",
        root: str | Path | None = None,
    ) -> None:
        self.source = source
        self.item, self.attribute, self.root = item, attribute, root
        name = str(source)
        if not isinstance(source, str | Path):
            name = f"a table of {len(source)} items"
        self.options = {"source": name, "item": item, "attribute": attribute}

    def forward(self, graph: HeteroData) -> HeteroData:
        """Add the nodes and the edges to the graph."""
        require(graph, INTERACTS, "Attributes")
        if "vocabulary" not in graph[ITEM]:
            raise GraphError(
                "Attributes finds items by their raw ids; this graph has no vocabulary "
                "of items. Start from build_graph(split)."
            )
        items: Vocabulary = graph[ITEM].vocabulary
        pairs = self._pairs()
        node = pl.Series("node", items.encode(pairs["item"], missing=-1))
        known = pairs.with_columns(node).filter(pl.col("node") >= 0)
        if not len(known):
            raise GraphError(
                f"none of the {len(pairs):,} pairs of {self.options['source']} is of "
                f"an item of this graph, which are {items!r}. Take the table of these "
                f"data, or name the column of the items; {self.item!r} was read."
            )
        known = known.sort("node", maintain_order=True)
        attributes, number = Vocabulary.number(known["attribute"])
        edges = pl.DataFrame({"item": known["node"], "attribute": number})
        index = edges.unique().sort("item", "attribute").to_numpy().T.copy()
        graph[ATTRIBUTE].num_nodes = len(attributes)
        graph[ATTRIBUTE].vocabulary = attributes
        device = graph[INTERACTS].edge_index.device
        graph[HAS_ATTRIBUTE].edge_index = torch.from_numpy(index).to(device)
        return graph

    def _pairs(self) -> pl.DataFrame:
        """Columns item and attribute, raw ids."""
        if not isinstance(self.source, str | Path):
            return pairs_of(self.source)
        return read_attributes(
            self.source, item=self.item, attribute=self.attribute, root=self.root
        )
