"""Item attributes as nodes: categories, brands, tags."""

from pathlib import Path

import polars as pl
import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import ATTRIBUTE, HAS_ATTRIBUTE, INTERACTS, EdgeType
from graphseq.data import Vocabulary
from graphseq.data.attributes import Table, pairs_of, read_attributes
from graphseq.errors import GraphError
from graphseq.graphs.build import forget_operator, raw_items
from graphseq.schema import Configurable


class Attributes(Configurable, BaseTransform):
    """Link each item to its attributes: categories, brands, tags.

    Raw ids identify items and attributes. Duplicate pairs add one edge. Items that the
    graph lacks are ignored, since such tables usually describe more items than a
    filtered log has. Attributes are numbered by first appearance, in item order.

    Source:
        The side information of Zhou et al., S3-Rec, CIKM 2020.

    Args:
        source: A mapping from item to list of attributes, or a file of it: JSON (one
            object), JSON lines, CSV, TSV or Parquet (one row per item with a list, or
            one per pair), plain or gzip.
        item: Column of the items; not used for a JSON object.
        attribute: Column of the attributes, or of (nested) lists of them.
        separator: Separator of several attributes in one field; ``None``: not split.
        root: Folder for relative paths; ``None``: GRAPHSEQ_DATA if the file is there,
            else the current folder. It is not recorded.

    Adds nodes ``"attribute"`` with num_nodes and vocabulary, and the edges
    ``("item", "has", "attribute")`` with edge_index (2, E), sorted by item, then
    attribute.

    Raises:
        DataError: The file is not a table of attributes.
        GraphError: The graph has no vocabulary of items, or no item has an attribute.
    """

    def __init__(
        self,
        source: str | Path | Table,
        *,
        item: str = "item",
        attribute: str = "attribute",
        separator: str | None = None,
        root: str | Path | None = None,
    ) -> None:
        self.source = source
        self.item, self.attribute, self.root = item, attribute, root
        name = str(source)
        if not isinstance(source, str | Path):
            name = f"a table of {len(source)} items"
        self.separator = separator
        self.options = {"source": name, "item": item, "attribute": attribute}
        if separator is not None:
            self.options["separator"] = separator

    @property
    def adds(self) -> EdgeType:
        """The relation that the step adds."""
        return HAS_ATTRIBUTE

    def forward(self, graph: HeteroData) -> HeteroData:
        """Add the nodes and the edges to the graph."""
        items = raw_items(graph, "Attributes")
        pairs = self.pairs()
        node = pl.Series("node", items.encode(pairs["item"], missing=-1))
        known = pairs.with_columns(node).filter(pl.col("node") >= 0)
        if not len(known):
            raise GraphError(
                f"none of the {len(pairs):,} pairs of {self.options['source']} has an "
                f"item of this graph ({items!r}). Use the table of this data set, or "
                f"another column of items than {self.item!r}."
            )
        known = known.sort("node", maintain_order=True)
        attributes, number = Vocabulary.number(known["attribute"])
        edges = pl.DataFrame({"item": known["node"], "attribute": number})
        index = edges.unique().sort("item", "attribute").to_numpy().T.copy()
        graph[ATTRIBUTE].num_nodes = len(attributes)
        graph[ATTRIBUTE].vocabulary = attributes
        device = graph[INTERACTS].edge_index.device
        graph[HAS_ATTRIBUTE].edge_index = torch.from_numpy(index).to(device)
        forget_operator(graph, HAS_ATTRIBUTE)
        return graph

    def pairs(self) -> pl.DataFrame:
        """All pairs of the source: columns item and attribute, raw ids."""
        if not isinstance(self.source, str | Path):
            return pairs_of(self.source)
        return read_attributes(
            self.source,
            item=self.item,
            attribute=self.attribute,
            separator=self.separator,
            root=self.root,
        )
