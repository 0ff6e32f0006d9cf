"""SASRec: self-attentive sequential recommendation."""

from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.nn.features import Embedding, Features
from graphseq.nn.transformer import Activation, Norm, Positions, Transformer
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler


@final
class SASRec(Model):
    r"""Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018.

    A causal transformer reads the history; the state at a place is to have the largest
    inner product with the item that follows it.

    Departs from the paper:
        The encoder is the post-LN one that this model's successors share, and the loss
        is by default a softmax over the whole catalogue: with the paper's binary
        cross-entropy (``loss="bce"``) the same encoder ranks clearly worse.
        ``preset("original")`` is the authors' encoder: vectors times √D, normalised
        where attention asks but not where it looks, a feed-forward layer as narrow as
        they with ReLU, and their loss. Its attention has an output layer, each
        sub-layer's output is dropped (the authors drop the feed-forward layer's inside,
        too, and not the attention's), weights start as everywhere here, and Adam's
        β₂ is 0.999 for their 0.98. ``preset("recbole")`` has a row a target, and
        ``preset("s3")`` a row a user, as the tables of EC4SRec and of ICLRec.

    Args:
        num_users: U.
        num_items: V.
        dim: D; ignored in favour of the features' own if ``features`` is given.
        max_length: Longest history that is read.
        layers: Transformer blocks.
        heads: Attention heads.
        inner: Width of the feed-forward layers; ``None`` is 4 D.
        dropout: Everywhere in the encoder.
        norm: Layer normalisation after (``post``) or before (``pre``) each sub-layer,
            or of what attention asks with (``query``).
        activation: Of the feed-forward layers.
        scale: Whether item vectors are multiplied by √D as they are read.
        positions: Which end of a sequence positions are counted from.
        loss: ``ce`` (softmax over all items), ``bce`` or ``gbce`` (sampled negatives).
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.
        sampler: How examples are cut from the sequences.
        features: What is read of an item; ``None`` is a plain ``Embedding``.
    """

    presets: ClassVar[Choices] = {
        "original": {
            "dim": 50,
            "heads": 1,
            "inner": 50,
            "norm": "query",
            "activation": "relu",
            "scale": True,
            "positions": "end",
            "loss": "bce",
            "sampler": "user",
        },
        "recbole": {"sampler": "prefix"},
        "s3": {"positions": "end", "loss": "bce", "sampler": "user"},
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        max_length: int = 50,
        layers: int = 2,
        heads: int = 2,
        inner: int | None = None,
        dropout: float = 0.5,
        norm: Norm = "post",
        activation: Activation = "gelu",
        scale: bool = False,
        positions: Positions = "start",
        loss: Loss = "ce",
        num_negatives: int = 1,
        sampler: SequenceSampler = "targets",
        features: Features | None = None,
    ) -> None:
        super().__init__()
        features = features or Embedding(num_items, dim=dim)
        self.hold(
            num_users,
            Backbone(
                num_items,
                encoder=Transformer(
                    features.dim,
                    max_length,
                    layers=layers,
                    heads=heads,
                    inner=inner,
                    dropout=dropout,
                    norm=norm,
                    activation=activation,
                    scale=scale,
                    positions=positions,
                ),
                features=features,
                max_length=max_length,
                sampler=sampler,
                loss=loss,
                num_negatives=num_negatives,
            ),
        )

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, at every place that has a target."""
        items = self.item_vectors(graph)
        states = self.backbone.states_at_targets(items, batch)
        return {"next_item": self.backbone.next_item(states, items, batch)}
