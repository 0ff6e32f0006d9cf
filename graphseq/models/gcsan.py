"""GC-SAN: self-attention on the states of a session graph."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Gt, Le
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.base import Model
from graphseq.nn.dropout import FixedDropout
from graphseq.nn.features import Embedding, Features
from graphseq.nn.session_graph import SessionStates
from graphseq.nn.transformer_block import Block
from graphseq.objectives import cross_entropy
from graphseq.schema import Dropout, InvalidOption, Size
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import Sampler


@final
class GCSAN(Model):
    r"""Xu et al., "Graph Contextualized Self-Attention Network …", IJCAI 2019.

    A gated network on the graph of each session (as in ``SRGNN``) gives every item a
    state; along the sequence, the states pass through self-attention without positions.
    The vector that scores the items mixes the last attention state with the last item's
    state in the graph:

    .. math:: s = ω\, e_n + (1 - ω)\, h_n

    The graphs are built when a batch is encoded, and the sampler is always ``prefix``
    (see ``SRGNN``).

    Departs from the paper:
        The blocks are those of ``Transformer`` (post-LN, gelu, N(0, 0.02²)) and causal;
        both as in the public reimplementation. A
        transition counts once (``binary``). The gated network starts as ``SRGNN``'s
        (the reimplementation's: N(0, 0.02²), biases 0). The loss has no L2 term: the
        reimplementation's is practically zero; see ``weight_decay`` of ``fit``.

    Args:
        num_users: U.
        num_items: V.
        dim: D; that of the features, if ``features`` is given.
        max_length: Longest history that is read.
        steps: Steps of the gated network.
        binary: Whether each distinct edge of a session counts once.
        layers: Attention blocks.
        heads: Attention heads; the paper has 1.
        inner: Width of the feed-forward layers; ``None`` is 4 D.
        dropout: In the attention blocks.
        weight: ω, above 0; the paper's best are 0.4 to 0.8.
        features: The item vectors; ``None`` is an ``Embedding``.
    """

    sampler: Sampler = "prefix"

    part_defaults: ClassVar[dict[str, Any]] = {"features": {"Embedding": {}}}

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        dim: Size = 64,
        max_length: Size = 50,
        steps: Size = 1,
        binary: bool = True,
        layers: Size = 1,
        heads: Size = 1,
        inner: Size | None = None,
        dropout: Dropout = 0.2,
        weight: Annotated[float, Gt(0), Le(1)] = 0.6,
        features: Features | None = None,
    ) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items
        self.max_length = max_length
        self.weight = weight
        self.features = features or Embedding(num_items, dim=dim)
        self.requires, dim = self.features.requires, self.features.dim
        self.states = SessionStates(dim, steps=steps, binary=binary, bias=False)
        self.attention = nn.ModuleList(
            Block(dim, heads, inner or 4 * dim, FixedDropout(dropout), dropout, "post")
            for _ in range(layers)
        )
        for name, parameter in self.attention.named_parameters():
            if "norm" not in name:
                std = 0.02 if name.endswith("weight") else 0.0
                nn.init.normal_(parameter, std=std)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Heads divide the width."""
        features = options["features"]
        dim = options["dim"] if features is None else features.dim
        if dim % options["heads"]:
            found = f"found {options['heads']}"
            yield InvalidOption("heads", f"expected a divisor of dim={dim}, {found}")

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The mixed session vector."""
        return self.session(self.item_vectors(graph), batch)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The features, not the network's states."""
        return self.features(graph)  # type: ignore[no-any-return]

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The one target of each row."""
        items = self.features.in_training(graph, batch.target_edges())
        targets = batch.target_items()
        return {"next_item": cross_entropy(self.session(items, batch), items, targets)}

    def session(
        self, items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B D"]:
        """The vector of each row; zero for an empty row."""
        states = self.states(items, batch.items, batch.lengths)
        last = batch.last(states)
        *before, final = self.attention
        deep = states
        for block in before:
            deep = block(deep, deep, None)
        first = torch.arange(deep.shape[1], device=deep.device) == 0  # for empty rows
        seen = (batch.mask | first)[:, None, None, :]
        own = final(batch.last(deep)[:, None], deep, seen)[:, 0]
        mixed: Tensor = self.weight * own + (1 - self.weight) * last
        return mixed * batch.mask.any(dim=1, keepdim=True)
