"""Item features from vectors that another model computed, read from the graph."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM
from graphseq.errors import GraphError
from graphseq.nn.features import Features
from graphseq.schema import Dropout, InvalidOption, Size, Weight

Adapter = Literal["linear", "mlp", "none"]


@final
class Pretrained(Features):
    r"""Vectors of the items in the graph, mapped to the width of the model.

    The step :class:`~graphseq.graphs.ItemVectors` reads the vectors, of a text or image
    encoder for example, from a file into ``graph["item"].x``, (V, F). With the adapter
    a, and the tables C and E where they are trained, the features are

    .. math:: a(X + C) + E.

    Items without events can be ranked by their vectors:
    :func:`~graphseq.models.add_items`. A training step maps all V vectors, which costs
    V F D products for the linear adapter.

    Source:
        The features of items by Hou et al., UniSRec, KDD 2022, Sec. 2.2: an adaptor
        over frozen vectors of texts, alone or added to id embeddings.

    Departs from the source:
        The adapter is a linear layer or two, not a mixture of whitening layers; and
        vectors can be trained, as a change C from those of the graph, initially 0.
        Weight decay then pulls towards the pretrained vectors, and an item that is
        added later has its own.

    Args:
        num_items: V.
        size: F, the width of the vectors in the graph.
        dim: D.
        adapter: ``linear`` (F to D), ``mlp`` (F to D, GELU, dropout, D to D), or
            ``none``, for vectors of width D.
        ids: Whether a trainable vector for each item is added, E.
        trained: Whether the vectors themselves are trained, by the change C.
        dropout: After the GELU of ``mlp``.
        std: Standard deviation of the initial values of E.
    """

    def __init__(
        self,
        num_items: Size,
        *,
        size: Size,
        dim: Size = 64,
        adapter: Adapter = "linear",
        ids: bool = False,
        trained: bool = False,
        dropout: Dropout = 0.0,
        std: Weight = 0.02,
    ) -> None:
        super().__init__()
        self.size, self.dim = size, dim
        self.adapter: nn.Module = nn.Identity()
        if adapter == "linear":
            self.adapter = nn.Linear(size, dim)
        elif adapter == "mlp":
            layers = nn.GELU(), nn.Dropout(dropout), nn.Linear(dim, dim)
            self.adapter = nn.Sequential(nn.Linear(size, dim), *layers)
        self.change = nn.Parameter(torch.zeros(num_items, size)) if trained else None
        self.weight = nn.Parameter(torch.empty(num_items, dim)) if ids else None
        if self.weight is not None:
            nn.init.normal_(self.weight, std=std)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """An adapter for other widths; a dropout that nothing reads."""
        size, dim, adapter = (options[name] for name in ("size", "dim", "adapter"))
        if adapter == "none" and size != dim:
            message = f"'none' needs vectors of width dim={dim}, found size={size}"
            yield InvalidOption("adapter", message)
        if adapter != "mlp" and options["dropout"]:
            message = f"only adapter='mlp' reads it, found {adapter!r}"
            yield InvalidOption("dropout", message)

    @property
    def num_items(self) -> int:
        """V."""
        return int(self.options["num_items"])

    def misfits(self, graph: HeteroData) -> Iterator[str]:
        """Vectors that the graph lacks, or of another shape."""
        expected = self.num_items, self.size
        if "x" not in graph[ITEM]:
            yield (
                f"Pretrained reads vectors of {self.size} numbers, and the items of "
                "this graph have none: pass the step ItemVectors(FILE) to build_graph"
            )
        elif (found := tuple(graph[ITEM].x.shape)) != expected:
            yield (
                f"Pretrained was created for vectors of the shape {expected}, and "
                f"those of this graph have {found}: use num_items={found[0]}, "
                f"size={found[-1]}, or the graph that it was trained on"
            )

    def forward(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The adapted vectors.

        Raises:
            GraphError: The graph has no vectors, or of another shape.
        """
        if problems := [*self.misfits(graph)]:
            raise GraphError(". ".join(problems))
        x: Tensor = graph[ITEM].x
        vectors: Tensor = self.adapter(x if self.change is None else x + self.change)
        return vectors if self.weight is None else vectors + self.weight
