"""What the sequence models share: item vectors, an encoder that reads them, a loss."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models.by_length import by_length
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Embedding, Features, Propagated, embed_items
from graphseq.nn.pooling import Pooling, pool
from graphseq.nn.transformer import Transformer
from graphseq.objectives import bce, cross_entropy, gbce
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler

Loss = Literal["ce", "bce", "gbce"]


class Backbone(nn.Module):
    """Item features, read by an encoder whose states are to find the next item.

    Alone it is SASRec, or GRU4Rec with a ``GRU``; the contrastive models hold one and
    add their terms. A place inside a row that holds the padding id V is a masked item.

    Args:
        num_items: V.
        encoder: Reads the sequence; ``None`` is a ``Transformer``.
        features: What is read of an item; ``None`` is an ``Embedding``.
        dim: D, where neither encoder nor features are given.
        max_length: Longest history that the model reads.
        sampler: How the model's examples are cut; with ``prefix``, a row has its one
            target at its end, and no other place is computed in the last layer.
        loss: ``ce`` (softmax over all items), ``bce`` or ``gbce`` (sampled negatives).
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.
        mask_token: Whether masked items read a vector of their own (zeros otherwise;
            their positions are read in both cases).

    Raises:
        ConfigError: The encoder does not fit the features or the length; the features
            are of other items.
        OptionError: An option is out of its range.
    """

    def __init__(
        self,
        num_items: int,
        *,
        encoder: Encoder | None = None,
        features: Features | None = None,
        dim: int = 64,
        max_length: int = 50,
        sampler: SequenceSampler = "targets",
        loss: Loss = "ce",
        num_negatives: int = 1,
        mask_token: bool = False,
    ) -> None:
        super().__init__()
        drawn = None if loss == "ce" else num_negatives
        check_ranges(sizes={"max_length": max_length, "num_negatives": drawn})
        self.features = features or Embedding(
            num_items, dim=dim if encoder is None else encoder.dim
        )
        self.encoder = encoder or Transformer(self.features.dim, max_length)
        _check(self.encoder, self.features, max_length, num_items)
        self.dim = self.features.dim
        self.requires = self.features.requires
        self.num_items, self.max_length = num_items, max_length
        self.sampler = sampler
        self.loss = loss
        self.num_negatives = 0 if loss == "ce" else num_negatives
        self.token = nn.Parameter(torch.empty(self.dim)) if mask_token else None
        if self.token is not None:
            nn.init.normal_(self.token, std=0.02)

    def items(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The item vectors: what the encoder reads and what its states look for."""
        return self.features(graph)  # type: ignore[no-any-return]

    def read(self, table: Float[Tensor, "V D"], batch: Batch) -> Float[Tensor, "B L D"]:
        """The vectors of a batch's items."""
        x = embed_items(table, batch.items)
        if self.token is None:
            return x
        masked = batch.mask & (batch.items == self.num_items)
        return x + masked[..., None] * self.token

    def states(
        self, table: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B L D"]:
        """The state at every place; rows of any length are read in parts."""
        return by_length(lambda b: self.encoder(self.read(table, b), b.mask), batch)

    def last(self, table: Float[Tensor, "V D"], batch: Batch) -> Float[Tensor, "B D"]:
        """The state at each row's last item."""
        last = self.encoder.last
        return by_length(lambda b: last(self.read(table, b), b.mask), batch)

    def states_at_targets(
        self, table: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "N D"]:
        """The state at every place that has a target, row by row."""
        if self.sampler == "prefix":
            return self.last(table, batch)
        return self.states(table, batch)[batch.target_positions()[0]]

    def next_item(
        self, states: Float[Tensor, "N D"], table: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, ""]:
        """The loss of the targets, given the states at their places."""
        _, targets = batch.target_positions()
        if self.loss == "ce":
            return cross_entropy(states, table, targets)
        positive = (states * table[targets]).sum(dim=1)
        negative = torch.einsum("nd,nkd->nk", states, table[batch.target_negatives()])
        if self.loss == "bce":
            return bce(positive, negative)
        return gbce(positive, negative, num_items=self.num_items)

    def view(
        self, table: Float[Tensor, "V D"], batch: Batch, pooling: Pooling = "last"
    ) -> Float[Tensor, "B n"]:
        """A sequence as the one vector that contrast compares.

        Returns:
            Shape (B, D); (B, L D) for ``flatten``: places that no sequence of the batch
            has would add nothing to an inner product.
        """
        if pooling == "last":
            return self.last(table, batch)
        return pool(self.states(table, batch), batch.mask, pooling)


def with_transformer(options: Mapping[str, Any], **choices: Any) -> dict[str, Any]:
    """Options, with a ``Transformer`` of these choices where they name no encoder.

    It has the width of the features, where those are given.
    """
    if options.get("encoder") is not None:
        return dict(options)
    features = options.get("features")
    dim = options.get("dim", 64) if features is None else features.dim
    made = Transformer(dim, options.get("max_length", 50), **choices)
    return {**options, "encoder": made}


def _check(
    encoder: Encoder, features: Features, max_length: int, num_items: int
) -> None:
    rows = len(features.weight)
    if isinstance(features, Embedding | Propagated) and rows != num_items:
        raise ConfigError(
            f"the features are of {rows} items and the model ranks {num_items}; give "
            "both the same num_items (padding has no row)"
        )
    if encoder.dim != features.dim:
        raise ConfigError(
            f"the features have {features.dim} dimensions and the encoder reads "
            f"{encoder.dim}; give both the same dim"
        )
    if encoder.max_length is not None and encoder.max_length < max_length:
        raise ConfigError(
            f"the model reads histories of up to max_length={max_length} items and its "
            f"encoder of up to {encoder.max_length}; give both the same max_length"
        )
