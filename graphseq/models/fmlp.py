"""FMLP-Rec: filter-enhanced multi-layer perceptrons."""

from typing import ClassVar, final

from graphseq.models.backbone import Backbone
from graphseq.models.sequence_model import SequenceModel
from graphseq.schema import Size


@final
class FMLPRec(SequenceModel):
    r"""Zhou et al., "Filter-enhanced MLP is All You Need …", WWW 2022.

    arXiv:2202.13556.

    Learned filters in frequency replace self-attention, Eqs. (5)-(9). The state at the
    last item should have a larger inner product with the next item than with a sampled
    one.

    Departs from the paper:
        A negative is never one of the user's own training items; the authors exclude
        the row's. The released results rank 99 sampled items and cannot be compared
        with rankings of all items. ``Backbone(loss="ce")`` is the softmax of later
        filters.

    Args:
        num_users: U.
        backbone: With a ``FourierFilter`` and ``sampler="prefix"``; or V, the number of
            items.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "encoder": {"FourierFilter": {}},
            "sampler": "prefix",
            "loss": "bce",
        }
    }

    def __init__(self, num_users: Size, backbone: Backbone | Size) -> None:
        super().__init__(num_users, backbone)
