"""WEARec: adaptive frequency filters and wavelets."""

from typing import ClassVar, final

from graphseq.models.backbone import Backbone
from graphseq.models.sequence_model import SequenceModel
from graphseq.schema import Size


@final
class WEARec(SequenceModel):
    r"""WEARec: wavelets and adaptive frequency filters, AAAI 2026.

    Frequency filters that adapt to each row are blended with a Haar wavelet. The state
    at the last item should have the largest inner product with the next item: a softmax
    over all items.

    Departs from the paper:
        In the form of the authors' code. Its rows include the empty history
        (``Backbone(empty_history=True)``) and the last 50 training items of a user
        only; here every event but a user's first is a target. Its softmax has the
        padding as one more class.

    Args:
        num_users: U.
        backbone: With a ``WaveletFilter`` and ``sampler="prefix"``; or V, the number of
            items.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "encoder": {"WaveletFilter": {}},
            "sampler": "prefix",
        }
    }

    def __init__(self, num_users: Size, backbone: Backbone | Size) -> None:
        super().__init__(num_users, backbone)
