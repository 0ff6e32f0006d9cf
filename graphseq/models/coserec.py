"""CoSeRec: contrast between views that insert or substitute similar items."""

from typing import ClassVar, final

from graphseq.models.backbone import Backbone
from graphseq.models.cl4srec import ViewContrast
from graphseq.models.sequence_model import SequenceModel
from graphseq.nn.pooling import Pooling
from graphseq.schema import Positive, Size, Weight
from graphseq.sequences.augment import InformedAugmentation


@final
class CoSeRec(SequenceModel):
    r"""Liu et al., "Contrastive Self-supervised Sequential …", 2021, arXiv:2108.06479.

    As ``CL4SRec``, but views may also insert similar items or substitute items by
    similar ones, and short sequences draw from milder operators:

    .. math:: L = L_{next} + λ\, ℓ(f(a_i(S)), f(a_j(S))) .

    Departs from the paper:
        As ``ViewContrast`` and ``InformedAugmentation``. Views come from the
        ``max_length`` newest items (the code uses all) and are compared without their
        padding. The next-item loss is by default the full softmax; the paper's
        (``Backbone(loss="bce")``) ranks worse.

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of items.
        augmentation: Draws the two views; ``None`` is ``InformedAugmentation``.
        contrast_weight: λ; 0 leaves out the contrast.
        temperature: τ.
        pooling: One vector per view.
    """

    part_defaults: ClassVar = {"backbone": {"sampler": "user"}, "augmentation": {}}

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        augmentation: InformedAugmentation | None = None,
        contrast_weight: Weight = 0.1,
        temperature: Positive = 1.0,
        pooling: Pooling = "flatten",
    ) -> None:
        contrast = ViewContrast(
            augmentation or InformedAugmentation(),
            weight=contrast_weight,
            temperature=temperature,
            pooling=pooling,
        )
        super().__init__(num_users, backbone, [contrast])
