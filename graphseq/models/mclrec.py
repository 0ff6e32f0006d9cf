"""MCLRec: contrast between augmented views and views that are learned."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.base import Stage, Step
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import Auxiliary, SequenceModel, Terms
from graphseq.nn.heads import Augmenter
from graphseq.objectives import contrastive_regularization, nt_xent
from graphseq.objectives.contrastive import Directions, Scope
from graphseq.schema import Count, InvalidOption, Size, Weight
from graphseq.sequences.augment import Augmentation, CropMaskReorder, draw_views
from graphseq.sequences.batch import Batch


@final
class LearnedViews(Auxiliary):
    r"""Contrast of two random views h with the views z that augmenters make of them.

    Two random views of a sequence are encoded to h¹ and h²; two small networks, the
    augmenters, map them to the learned views z¹ and z². With the NT-Xent loss ℓ and the
    regularization R, Eqs. (6)-(15),

    .. math::
        cl_1 = ℓ(h^1, h^2), \qquad cl_2 = ℓ(z^1, z^2) + ℓ(h^1, z^2) + ℓ(h^2, z^1)

    the terms are :math:`λ\, cl_1 + β\, cl_2 + γ R`. In a ``SequenceModel``, they train
    backbone and augmenters jointly (MCLRec-J); ``MCLRec`` alternates.

    Source:
        Qin et al., MCLRec, SIGIR 2023.

    Departs from the source:
        By default as in the released code, which reaches the published results: learned
        views have length 1; R has bounds per anchor, is taken on three pairs of views,
        and has its own weight 0.1 in the augmenters' step (as printed: bounds over the
        batch, on (z¹, z²) alone, weight γ); ℓ is the mean of both directions (as
        printed: their sum). Contrasts are means over the rows of the batch.

    Args:
        augmentation: Draws the two views; ``None`` is ``CropMaskReorder`` with the
            fractions 0.5, 0.5 and 0.8.
        cl1_weight: λ, of the contrast between the random views.
        cl2_weight: β, of the contrasts with learned views.
        gamma: γ, of R in the encoder's loss; ``None`` is 0.1 β.
        gamma2: γ_2, of R in the augmenters' loss; ``None`` is γ. Only ``MCLRec`` has
            that loss, in steps of its own (``joint=False``).
        r_scope: Bounds of R per ``anchor``, or over the ``batch``.
        r_pairs: R on three pairs of views, or on the learned pair alone.
        directions: ``mean`` or ``sum`` over the two directions of each contrast ℓ.
        normalize: Whether learned views have length 1.
        shared: One augmenter for both views.
    """

    part_defaults: ClassVar = {
        "augmentation": {
            "CropMaskReorder": {"crop_keep": 0.5, "mask_rate": 0.5, "reorder_rate": 0.8}
        }
    }

    def __init__(
        self,
        augmentation: Augmentation | None = None,
        *,
        cl1_weight: Weight = 0.03,
        cl2_weight: Weight = 0.1,
        gamma: Weight | None = None,
        gamma2: Weight | None = 0.1,
        r_scope: Scope = "anchor",
        r_pairs: Literal[1, 3] = 3,
        directions: Directions = "mean",
        normalize: bool = True,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.augmentation = augmentation or CropMaskReorder(
            crop_keep=0.5, mask_rate=0.5, reorder_rate=0.8
        )
        self.cl1_weight, self.cl2_weight = cl1_weight, cl2_weight
        self.gamma = 0.1 * cl2_weight if gamma is None else gamma
        self.gamma2 = self.gamma if gamma2 is None else gamma2
        self.contrast = partial(nt_xent, directions=directions)
        self.regularization = partial(contrastive_regularization, scope=r_scope)
        self.r_pairs, self.normalize, self.shared = r_pairs, normalize, shared

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the augmenters."""
        self.augmenters = nn.ModuleList(
            Augmenter(backbone.dim, normalize=self.normalize)
            for _ in range(1 if self.shared else 2)
        )

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrasts and R, as they train the encoder."""
        backbone, items, batch = encoding.backbone, encoding.items, encoding.batch
        h1, h2 = backbone.last(items, self.views(backbone, batch)).chunk(2)
        terms: Terms = {}
        if self.cl1_weight:
            terms["random_views"] = self.cl1_weight * self.contrast(h1, h2)
        if self.cl2_weight or self.gamma:
            contrast, regularization = self.learned(h1, h2)
            terms["learned_views"] = self.cl2_weight * contrast
            terms["regularization"] = self.gamma * regularization
        return terms

    def augmenter_terms(
        self, backbone: Backbone, batch: Batch, graph: HeteroData
    ) -> Terms:
        """L_1, which trains the augmenters alone; the encoder is constant."""
        with torch.no_grad():
            views = self.views(backbone, batch)
            h1, h2 = backbone.last(backbone.items(graph), views).chunk(2)
        contrast, regularization = self.learned(h1, h2)
        return {
            "augmenter_views": contrast,
            "augmenter_regularization": self.gamma2 * regularization,
        }

    def learned(
        self, h1: Float[Tensor, "B D"], h2: Float[Tensor, "B D"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The contrasts cl_2, Eq. (9), and R of encoded views."""
        z1, z2 = self.augmenters[0](h1), self.augmenters[-1](h2)
        pairs = [(z1, z2), (h1, z2), (h2, z1)]
        contrast = torch.stack([self.contrast(*pair) for pair in pairs]).sum()
        chosen = pairs[: self.r_pairs]
        return contrast, torch.stack([self.regularization(*p) for p in chosen]).sum()

    def views(self, backbone: Backbone, batch: Batch) -> Batch:
        """The batch's views, drawn here unless all steps on the batch share them."""
        if batch.views is not None:
            return batch.views
        drawn: Batch = draw_views(self.augmentation, batch, backbone.max_length)
        return drawn


@final
class MCLRec(SequenceModel):
    r"""Qin et al., "Meta-optimized Contrastive Learning …", SIGIR 2023.

    Augmenters learn views z of a sequence from its random views h. Encoder and
    augmenters alternate: on every batch, steps of the encoder on L_0 precede and follow
    one step of the augmenters on L_1, Eqs. (6)-(15):

    .. math::
        L_0 &= L_{next} + λ\, cl_1 + β\, cl_2 + γ R, \qquad
        L_1 = cl_2 + γ_2 R .

    All steps on a batch see the same random views, each with its own dropout.

    Departs from the paper:
        As ``LearnedViews``. As in the released code, the encoder also steps after the
        augmenters, and both on every batch. In Algorithm 1 it steps before them only
        (``encoder_steps=(1, 0)``), on all batches of the epoch; they follow with a pass
        of their own (``in_turn="epoch"``). Neither has derivatives of second order.

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of items.
        objective: The contrasts; ``None`` is ``LearnedViews()``.
        encoder_steps: Steps of the encoder before and after that of the augmenters.
        in_turn: Whether steps take turns on every ``batch``, or each on all batches of
            the ``epoch``, with views of its own.
        joint: One step for both, on L_0: MCLRec-J.

    Note:
        In a run's history, ``loss`` is the sum of the terms of all steps, those of the
        encoder and those of the augmenters; it cannot be compared with that of
        ``joint``.
    """

    part_defaults: ClassVar = {"backbone": {"sampler": "prefix"}, "objective": {}}

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        objective: LearnedViews | None = None,
        encoder_steps: Sequence[Count] = (1, 1),
        in_turn: Literal["batch", "epoch"] = "batch",
        joint: bool = False,
    ) -> None:
        super().__init__(num_users, backbone, [objective or LearnedViews()])
        self.encoder_steps, self.joint = tuple(encoder_steps), joint
        self.whole_passes = in_turn == "epoch"

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """The encoder is trained before or after the augmenters."""
        yield from super().conflicts(options)
        steps = list(options["encoder_steps"])
        if len(steps) != 2 or not sum(steps):
            expected = "expected two counts, one of them above 0"
            yield InvalidOption("encoder_steps", f"{expected}, found {steps}")

    @property
    def learned_views(self) -> LearnedViews:
        """The objective."""
        [objective] = self.objectives
        assert isinstance(objective, LearnedViews)
        return objective

    def stages(self) -> tuple[Stage, ...]:
        """On every batch, or in every epoch: encoder, augmenters, encoder again."""
        if self.joint:
            return super().stages()
        before, after = self.encoder_steps
        encoder = Step(self.losses, (self.backbone,))
        learner = self.learned_views.augmenters
        augmenters = Step(self.augmenter_losses, (learner,))
        steps = (*repeat(encoder, before), augmenters, *repeat(encoder, after))
        return (Stage(steps, prepare=self.with_views, whole_passes=self.whole_passes),)

    def with_views(self, batch: Batch) -> Batch:
        """The batch with the views that all its steps share."""
        return batch.with_views(self.learned_views.views(self.backbone, batch))

    def augmenter_losses(self, batch: Batch, graph: HeteroData) -> Terms:
        """L_1, of the augmenters alone."""
        return self.learned_views.augmenter_terms(self.backbone, batch, graph)
