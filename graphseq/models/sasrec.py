"""SASRec: self-attentive sequential recommendation."""

from typing import ClassVar, final

from graphseq.models.backbone import Backbone
from graphseq.models.sequence_model import SequenceModel
from graphseq.schema import Size


@final
class SASRec(SequenceModel):
    r"""Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018.

    A causal transformer reads the history. The state at each position should have the
    largest inner product with the vector of the next item, Eqs. (1)-(7).

    Departs from the paper:
        The encoder is the post-LN one that this model's successors share, and the loss
        is by default a softmax over all items: with the paper's binary cross-entropy
        (``Backbone(loss="bce")``) the same encoder ranks clearly worse. The authors'
        encoder is ``Transformer(norm="query", activation="relu", scale=True, heads=1)``
        with a feed-forward layer of width D. Its attention has an output layer, the
        output of each sub-layer is dropped (the authors drop within the feed-forward
        layer, and not after attention), weights start as everywhere here, and Adam's
        β₂ is 0.999 instead of 0.98.

    Args:
        num_users: U.
        backbone: With a ``Transformer``; or V, the number of items.
    """

    part_defaults: ClassVar = {"backbone": {"encoder": {"Transformer": {}}}}

    def __init__(self, num_users: Size, backbone: Backbone | Size) -> None:
        super().__init__(num_users, backbone)
