"""GRU4Rec: recurrent sequential recommendation."""

from typing import ClassVar, final

from graphseq.models.backbone import Backbone
from graphseq.models.sequence_model import SequenceModel
from graphseq.schema import Size


@final
class GRU4Rec(SequenceModel):
    r"""Hidasi et al., "Session-based Recommendations with Recurrent …", ICLR 2016.

    arXiv:1511.06939; as improved by Tan et al., DLRS 2016, arXiv:1606.08117.

    Gated recurrent units read the history. Their state after an item, projected to the
    items' width, should have the largest inner product with the next item.

    Departs from the paper:
        Not session-parallel batches with the losses TOP1 and BPR-max, but the model
        that later tables call GRU4Rec: full histories, and a softmax over all items.
        Item vectors start Xavier-normal.

    Args:
        num_users: U.
        backbone: With a ``GRU``; or V, the number of items.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "features": {"Embedding": {"std": "xavier"}},
            "encoder": {"GRU": {}},
        }
    }

    def __init__(self, num_users: Size, backbone: Backbone | Size) -> None:
        super().__init__(num_users, backbone)
