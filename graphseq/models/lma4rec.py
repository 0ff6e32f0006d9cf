"""LMA4Rec: views encoded with a dropout whose rates are learned."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.cl4srec import ViewContrast
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import SequenceModel, Terms
from graphseq.nn.dropout import LearnableDropout, Phase
from graphseq.nn.pooling import Pooling
from graphseq.objectives import nt_xent
from graphseq.schema import InvalidOption, Positive, Size, Weight
from graphseq.sequences.augment import InformedAugmentation, draw_views
from graphseq.sequences.batch import Batch
from graphseq.specs import class_of


@final
class LearnableDropoutContrast(ViewContrast):
    """Contrast between views, which also learns the encoder's dropout rates.

    The gradient of the rates is ARM's, from two passes with mirrored masks; with
    ``LearnableDropout(estimator="concrete")`` it comes from one pass.

    Source:
        Hao et al., LMA4Rec, 2022, section 4; Boluki et al., AISTATS 2020 (ARM).

    Raises:
        ConfigError: When attached to a backbone without ``LearnableDropout``.
    """

    learns_dropout = True

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """The views are contrasted only."""
        yield from super().conflicts(options)
        if options["view_targets"]:
            message = "its views have no next-item loss; add a ViewContrast that has it"
            yield InvalidOption("view_targets", message)

    @classmethod
    def check_encoder(cls, options: Mapping[str, Any], encoder: Any) -> Iterator[str]:
        """There is a dropout to learn."""
        if encoder.options.get("learnable") is None:
            yield (
                "learns the encoder's LearnableDropout; found a "
                f"{class_of(encoder).__name__} without one; use "
                "Transformer(learnable=LearnableDropout())"
            )

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast, with a gradient for the rates."""
        backbone, items = encoding.backbone, encoding.items
        views = draw_views(self.augmentation, encoding.batch, backbone.max_length)
        return {"contrast": self.weight * self.contrast(backbone, items, views)}

    def contrast(
        self, backbone: Backbone, items: Float[Tensor, "V D"], views: Batch
    ) -> Float[Tensor, ""]:
        """NT-Xent between the two halves; with ARM, from two passes."""
        dropouts = learnable_dropouts(backbone)
        if not self.training or dropouts[0].estimator == "concrete":
            return self.one_pass(backbone, items, views)
        devices = [items.device] if items.is_cuda else []
        with torch.no_grad(), torch.random.fork_rng(devices):
            # The fork restores the random state: both passes draw the same numbers.
            _set_phase(dropouts, "mirrored")
            mirrored = self.one_pass(backbone, items, views)
        _set_phase(dropouts, "first")
        first = self.one_pass(backbone, items, views)
        gradients = [dropout.arm(first - mirrored) for dropout in dropouts]
        _set_phase(dropouts, "plain")
        return first + torch.stack(gradients).sum()

    def one_pass(
        self, backbone: Backbone, items: Float[Tensor, "V D"], views: Batch
    ) -> Float[Tensor, ""]:
        """NT-Xent between the two halves, from one pass."""
        vectors = backbone.pooled(items, views, self.pooling)
        return nt_xent(*vectors.chunk(2), temperature=self.temperature)


def learnable_dropouts(backbone: Backbone) -> list[LearnableDropout]:
    """The learnable dropouts of a backbone, one per block."""
    return [m for m in backbone.modules() if isinstance(m, LearnableDropout)]


def _set_phase(dropouts: Sequence[LearnableDropout], phase: Phase) -> None:
    for dropout in dropouts:
        dropout.set_phase(phase)


@final
class LMA4Rec(SequenceModel):
    r"""Hao et al., "Learnable Model Augmentation Self-Supervised …", 2022.

    arXiv:2204.10128. A reconstruction: the authors have not released code.

    ``CoSeRec`` whose views are also augmented within the encoder: the dropout of every
    transformer block keeps a unit with a probability σ(α), which is learned from the
    contrast, block by block.

    Departs from the paper:
        The paper does not settle where the learnable dropout is and where α starts:
        here it replaces the dropout of the blocks' outputs, and starts at one half. The
        contrast alone trains α, or with ``estimator="concrete"``, a relaxation that
        saves one pass, also the next item. Otherwise as ``CoSeRec``.

    Args:
        num_users: U.
        backbone: With a ``Transformer(learnable=LearnableDropout())``; or V, the number
            of items.
        augmentation: Draws the two views; ``None`` is ``InformedAugmentation``.
        contrast_weight: λ.
        temperature: τ.
        pooling: One vector per view.

    Raises:
        ConfigError: The encoder has no learnable dropout.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "sampler": "user",
            "encoder": {"Transformer": {"learnable": {"LearnableDropout": {}}}},
        },
        "augmentation": {},
    }

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """The encoder has a dropout to learn."""
        yield from super().conflicts(options)
        encoder = getattr(options["backbone"], "encoder", None)
        if encoder is not None:
            for message in LearnableDropoutContrast.check_encoder({}, encoder):
                yield InvalidOption("backbone", message)

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
        contrast = LearnableDropoutContrast(
            augmentation or InformedAugmentation(),
            weight=contrast_weight,
            temperature=temperature,
            pooling=pooling,
        )
        super().__init__(num_users, backbone, [contrast])
