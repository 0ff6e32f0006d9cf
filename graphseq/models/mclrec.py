"""MCLRec: contrast between views of the data and views that are learnt."""

from collections.abc import Sequence
from functools import partial
from itertools import repeat
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.models.stages import Stage, Step
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.nn.heads import Augmenter
from graphseq.objectives import contrastive_regularization, nt_xent
from graphseq.objectives.contrastive import Scope
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.views import crop_mask_reorder, join, random_views


@final
class MCLRec(Model):
    r"""Qin et al., "Meta-optimized Contrastive Learning …", SIGIR 2023.

    Two random views of a sequence are encoded to h¹ and h²; two small networks, the
    augmenters, make of these the learnt views z¹ and z². With the NT-Xent ℓ and the
    separation R, Eqs. (6)-(15),

    .. math::
        cl_1 &= ℓ(h^1, h^2), \qquad
        cl_2 = ℓ(z^1, z^2) + ℓ(h^1, z^2) + ℓ(h^2, z^1) \\
        L_0 &= L_{next} + λ\, cl_1 + β\, cl_2 + γ R, \qquad
        L_1 = cl_2 + γ_2 R .

    Encoder and augmenters take turns: on every batch, steps of the encoder on L_0
    before and after one of the augmenters on L_1. All steps on a batch see the same
    random views, each with a dropout of its own.

    Departs from the paper:
        By default as in the released code, which reaches the published figures: the
        encoder steps before and after the augmenters (Algorithm 1: before); learnt
        views have length 1; R is of each anchor, on three pairs of views, and weighs
        0.1 in L_1 (as printed: over the batch, on (z¹, z²) alone, weighing γ); a masked
        item is a zero vector in its place, which the code hides from attention.
        ``preset("paper")`` is as printed, with a mask token. Contrasts are means over
        the anchors, not sums. There are no derivatives of second order in either.

    Args:
        num_users: U.
        num_items: V.
        encoder: Reads the sequence; ``None`` is a ``Transformer``.
        features: What is read of an item; ``None`` is an ``Embedding``.
        dim: D, where neither encoder nor features are given.
        max_length: Longest history that is read.
        sampler: How examples are cut from the sequences.
        loss: ``ce``, ``bce`` or ``gbce``.
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.
        mask_token: Whether masked items read a vector of their own.
        cl1_weight: λ, of the contrast between views of the data.
        cl2_weight: β, of the contrasts with learnt views; 0 leaves the terms of
            ``CL4SRec``, and its single step with ``joint``.
        gamma: γ, of R beside the next item; ``None`` is 0.1 β.
        gamma2: γ_2, of R in the augmenters' step; ``None``: as γ.
        r_scope: Bounds of R for each ``anchor``, or over the ``batch``.
        r_pairs: R on three pairs of views, or on the learnt pair alone.
        normalize: Whether learnt views have length 1.
        encoder_steps: Steps of the encoder before and after the augmenters' one.
        joint: One step for both, on L_0: MCLRec-J.
        shared: One augmenter for both views.
        crop_keep: Share of a sequence that a crop keeps.
        mask_rate: Share of its items that are masked.
        reorder_rate: Share of its items that change places.

    Raises:
        ConfigError: The encoder would never be trained.

    Note:
        In a run's history, ``loss`` is the sum of the terms of all steps: those of the
        encoder's and of the augmenters'. It cannot be set beside that of ``joint``.
    """

    presets: ClassVar[Choices] = {
        "code": {},
        "paper": {
            "encoder_steps": (1, 0),
            "r_scope": "batch",
            "r_pairs": 1,
            "gamma2": None,
            "normalize": False,
            "mask_token": True,
        },
        "joint": {"joint": True},
        "shared": {"shared": True},
        "without_r": {"gamma": 0.0, "gamma2": 0.0},
    }
    for_data: ClassVar[Choices] = {
        "beauty": {"cl1_weight": 0.0, "cl2_weight": 0.05},
        "sports": {"cl1_weight": 0.04, "cl2_weight": 0.4},
        "yelp": {"cl1_weight": 0.03, "cl2_weight": 0.1},
        "ml-1m": {
            "cl1_weight": 0.0,
            "cl2_weight": 0.01,
            "transformer": {"dropout": 0.1},
        },
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        encoder: Encoder | None = None,
        features: Features | None = None,
        dim: int = 64,
        max_length: int = 50,
        sampler: SequenceSampler = "prefix",
        loss: Loss = "ce",
        num_negatives: int = 1,
        mask_token: bool = False,
        cl1_weight: float = 0.03,
        cl2_weight: float = 0.1,
        gamma: float | None = None,
        gamma2: float | None = 0.1,
        r_scope: Scope = "anchor",
        r_pairs: Literal[1, 3] = 3,
        normalize: bool = True,
        encoder_steps: Sequence[int] = (1, 1),
        joint: bool = False,
        shared: bool = False,
        crop_keep: float = 0.5,
        mask_rate: float = 0.5,
        reorder_rate: float = 0.8,
    ) -> None:
        super().__init__()
        check_ranges(
            amounts={
                "cl1_weight": cl1_weight,
                "cl2_weight": cl2_weight,
                "gamma": gamma,
                "gamma2": gamma2,
            }
        )
        if len(encoder_steps) != 2 or min(encoder_steps) < 0 or not sum(encoder_steps):
            raise ConfigError(
                "MCLRec steps the encoder before and after the augmenters; got "
                f"encoder_steps={list(encoder_steps)}; give two counts, one above 0"
            )
        self.hold(
            num_users,
            Backbone(
                num_items,
                encoder=encoder,
                features=features,
                dim=dim,
                max_length=max_length,
                sampler=sampler,
                loss=loss,
                num_negatives=num_negatives,
                mask_token=mask_token,
            ),
        )
        self.augmenters = nn.ModuleList(
            Augmenter(self.backbone.dim, normalize=normalize)
            for _ in range(1 if shared else 2)
        )
        self.cl1_weight, self.cl2_weight = cl1_weight, cl2_weight
        self.gamma = 0.1 * cl2_weight if gamma is None else gamma
        self.gamma2 = self.gamma if gamma2 is None else gamma2
        self.regularization = partial(contrastive_regularization, scope=r_scope)
        self.r_pairs = r_pairs
        self.encoder_steps, self.joint = tuple(encoder_steps), joint
        self.operators = crop_mask_reorder(crop_keep, mask_rate, reorder_rate)
        self.drawn: tuple[Batch, Batch] | None = None

    def stages(self) -> tuple[Stage, ...]:
        """On every batch: the encoder, the augmenters, the encoder again."""
        if self.joint:
            return super().stages()
        before, after = self.encoder_steps
        encoder = Step(self.losses, ("backbone.",))
        augmenters = Step(self.augmenter_losses, ("augmenters.",))
        steps = (*repeat(encoder, before), augmenters, *repeat(encoder, after))
        return (Stage(steps),)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """L_0: next item, contrast of the data's views and of the learnt ones."""
        table = self.item_vectors(graph)
        states = self.backbone.states_at_targets(table, batch)
        terms = {"next_item": self.backbone.next_item(states, table, batch)}
        h = self.backbone.last(table, self.views(batch)).chunk(2)
        if self.cl1_weight:
            terms["data_views"] = self.cl1_weight * nt_xent(*h)
        if self.cl2_weight or self.gamma:
            contrast, separated = self.learnt(*h)
            terms["learnt_views"] = self.cl2_weight * contrast
            terms["separation"] = self.gamma * separated
        return terms

    def augmenter_losses(
        self, batch: Batch, graph: HeteroData
    ) -> dict[str, Float[Tensor, ""]]:
        """L_1, of the augmenters alone: the encoder only delivers."""
        with torch.no_grad():
            h = self.backbone.last(self.item_vectors(graph), self.views(batch)).chunk(2)
        contrast, separated = self.learnt(*h)
        return {
            "augmenter_views": contrast,
            "augmenter_separation": self.gamma2 * separated,
        }

    def learnt(
        self, h1: Float[Tensor, "B D"], h2: Float[Tensor, "B D"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The contrasts cl_2, Eq. (9), and R of encoded views."""
        z1, z2 = self.augmenters[0](h1), self.augmenters[-1](h2)
        pairs = [(z1, z2), (h1, z2), (h2, z1)]
        contrast = torch.stack([nt_xent(*pair) for pair in pairs]).sum()
        chosen = pairs[: self.r_pairs]
        return contrast, torch.stack([self.regularization(*p) for p in chosen]).sum()

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def views(self, batch: Batch) -> Batch:
        """Two random views, one below the other: drawn once a batch, for all steps."""
        if self.drawn is None or self.drawn[0] is not batch:
            both = join(*random_views(batch, self.operators))
            self.drawn = batch, both
        return self.drawn[1]
