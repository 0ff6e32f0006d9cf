"""CL4SRec: contrast between two random views of a sequence."""

from typing import Any, ClassVar, final

from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import Auxiliary, SequenceModel, Terms
from graphseq.nn.pooling import Pooling, pool
from graphseq.objectives import nt_xent
from graphseq.schema import Positive, Size, Weight
from graphseq.sequences.augment import CropMaskReorder, Views, draw_views
from graphseq.sequences.operators import with_last_targets


class ViewContrast(Auxiliary):
    r"""Contrast between two random views of every sequence.

    .. math:: λ\, ℓ(f(a_i(S)), f(a_j(S)))

    with the NT-Xent loss ℓ over the 2B views of a batch.

    Source:
        Xie et al., CL4SRec, ICDE 2022, Eq. (3).

    Departs from the source:
        The contrast is the mean over the views, not the sum. A masked item is a zero
        vector that attention sees; ``Backbone(mask_token=True)`` has the paper's token,
        and ``Backbone(hide_masked=True)`` hides it, as codes whose mask is the padding.

    Args:
        augmentation: Draws the views, 2B rows for a batch of B; ``None`` is
            ``CropMaskReorder``. A function of a batch can replace it.
        weight: λ; 0 leaves out the contrast.
        temperature: τ.
        pooling: One vector per view: its ``last`` state, their ``mean``, or all of them
            concatenated (``flatten``).
        view_targets: Whether views are also training examples, with the last target of
            their row; together they weigh as much as the sequences. Without contrast,
            this is the baseline of "Is Contrastive Learning Necessary?" (Zhou et al.,
            WWW 2024).
    """

    part_defaults: ClassVar[dict[str, Any]] = {"augmentation": {"CropMaskReorder": {}}}

    def __init__(
        self,
        augmentation: Views | None = None,
        *,
        weight: Weight = 0.1,
        temperature: Positive = 1.0,
        pooling: Pooling = "last",
        view_targets: bool = False,
    ) -> None:
        super().__init__()
        self.augmentation = augmentation or CropMaskReorder()
        self.weight, self.temperature = weight, temperature
        self.pooling: Pooling = pooling
        self.view_targets = view_targets

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast, and the next item of the views."""
        terms: Terms = {}
        if not (self.weight or self.view_targets):
            return terms
        backbone, items, batch = encoding.backbone, encoding.items, encoding.batch
        views = draw_views(self.augmentation, batch, backbone.max_length)
        if self.view_targets and self.pooling != "last":
            states = backbone.states(items, views)
            last, vectors = views.last(states), pool(states, views.mask, self.pooling)
        else:
            last = vectors = backbone.pooled(items, views, self.pooling)
        if self.weight:
            contrast = nt_xent(*vectors.chunk(2), temperature=self.temperature)
            terms["contrast"] = self.weight * contrast
        if self.view_targets:
            examples = with_last_targets(views, batch)
            if backbone.users is not None:  # which joins the states that score items
                last = backbone.represent(items, examples, graph)
            terms["views"] = backbone.next_item(last, items, examples)
        return terms


@final
class CL4SRec(SequenceModel):
    r"""Xie et al., "Contrastive Learning for Sequential Recommendation", ICDE 2022.

    Two of three augmentations (crop, mask, reorder) make two views of every sequence,
    which should be more similar than views of different sequences:

    .. math:: L = L_{next} + λ\, ℓ(f(a_i(S)), f(a_j(S))) .

    Departs from the paper:
        As ``ViewContrast`` and ``CropMaskReorder``.

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of items.
        augmentation: Draws the two views; ``None`` is ``CropMaskReorder``.
        contrast_weight: λ; 0 leaves out the contrast.
        temperature: τ.
        pooling: One vector per view.
        view_targets: Whether views are also training examples.
    """

    part_defaults: ClassVar = {
        "backbone": {"sampler": "prefix"},
        "augmentation": {"CropMaskReorder": {}},
    }

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        augmentation: Views | None = None,
        contrast_weight: Weight = 0.1,
        temperature: Positive = 1.0,
        pooling: Pooling = "last",
        view_targets: bool = False,
    ) -> None:
        contrast = ViewContrast(
            augmentation,
            weight=contrast_weight,
            temperature=temperature,
            pooling=pooling,
            view_targets=view_targets,
        )
        super().__init__(num_users, backbone, [contrast])
