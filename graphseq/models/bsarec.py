"""BSARec: attention with an inductive bias towards frequencies."""

from typing import ClassVar, final

from graphseq.models.backbone import Backbone
from graphseq.models.sequence_model import SequenceModel
from graphseq.schema import Size


@final
class BSARec(SequenceModel):
    r"""Shin et al., "An Attentive Inductive Bias for Sequential …", AAAI 2024.

    arXiv:2312.10325.

    A block blends causal attention with a filter that rescales the high frequencies of
    the window. The state at the last item should have the largest inner product with
    the next item: a softmax over all items.

    Departs from the paper:
        Rows of the authors include the empty history (``Backbone(empty_history=True)``)
        and the last 50 training items of a user only; here every event but a user's
        first is a target. Their softmax has the padding as one more class.

    Args:
        num_users: U.
        backbone: With a ``FrequencyAttention`` and ``sampler="prefix"``; or V, the
            number of items.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "encoder": {"FrequencyAttention": {}},
            "sampler": "prefix",
        }
    }

    def __init__(self, num_users: Size, backbone: Backbone | Size) -> None:
        super().__init__(num_users, backbone)
