"""DuoRec: contrast between sequences that lead to the same item."""

from functools import partial
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import Auxiliary, SequenceModel, Terms
from graphseq.objectives import nt_xent, same_id_mask
from graphseq.objectives.contrastive import Directions
from graphseq.schema import Positive, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.sequences.same_target import SameTargetIndex, same_target

Mode = Literal["us_x", "un", "su", "us"]


@final
class TargetContrast(Auxiliary):
    r"""Contrast between sequences with the same target, and between dropout masks.

    With h the last state of a sequence, h' the same with another dropout mask, s that
    of another training sequence with the same target, and the NT-Xent loss ℓ, the term
    is :math:`λ\, ℓ(h', s)` in the mode ``us_x``. ``un`` has
    :math:`λ_d\, ℓ(h, h')` instead, ``su`` has :math:`λ\, ℓ(h, s)`, and ``us`` both of
    these.

    Source:
        Qiu et al., DuoRec, WSDM 2022, Eqs. (7)-(11).

    Departs from the source:
        By default as in the authors' code: h' is contrasted with s, and the contrast is
        the mean of both directions (as printed: their sum). A sequence whose target no
        other sequence has is its own s. With the samplers ``targets`` and ``user``, a
        row is contrasted once, for its newest target.

    Args:
        mode: The views that are contrasted.
        weight: λ.
        dropout_weight: :math:`λ_d`, in the modes ``un`` and ``us``.
        temperature: τ.
        directions: ``mean`` or ``sum`` over the two directions of each contrast.
        exclude_same_target: Whether rows with the same target are masked out as
            negatives of each other.
    """

    def __init__(
        self,
        *,
        mode: Mode = "us_x",
        weight: Weight = 0.1,
        dropout_weight: Weight = 0.1,
        temperature: Positive = 1.0,
        directions: Directions = "mean",
        exclude_same_target: bool = False,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.weight, self.dropout_weight = weight, dropout_weight
        self.temperature, self.directions = temperature, directions
        self.exclude_same_target = exclude_same_target
        self.index: SameTargetIndex | None = None

    def refresh(self, backbone: Backbone, graph: HeteroData, epoch: int) -> None:
        """Index the training prefixes by target."""
        self.index = same_target(graph, backbone.sampler, backbone.max_length)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast of the mode's views."""
        backbone, items, batch = encoding.backbone, encoding.items, encoding.batch
        index = indexed(self.index)
        rows = index.indices(batch)
        mask = same_id_mask(index.target[rows]) if self.exclude_same_target else None
        contrast = partial(
            nt_xent,
            temperature=self.temperature,
            directions=self.directions,
            exclude=mask,
        )
        h, terms = encoding.last, {}
        if self.mode != "su":
            again = backbone.last(items, batch)
        if self.mode in ("un", "us"):
            terms["dropout_views"] = self.dropout_weight * contrast(h, again)
        if self.mode != "un":
            s = backbone.last(items, retrieve_uniformly(index, rows))
            first = again if self.mode == "us_x" else h
            terms["same_target"] = self.weight * contrast(first, s)
        return terms


def indexed(index: SameTargetIndex | None) -> SameTargetIndex:
    """The index that ``refresh`` made.

    Raises:
        RuntimeError: It was never called.
    """
    if index is None:
        raise RuntimeError("call refresh(graph, epoch) before the losses of an epoch")
    return index


@torch.compiler.disable  # type: ignore[untyped-decorator]
def retrieve_uniformly(index: SameTargetIndex, rows: Int[Tensor, "B"]) -> Batch:
    """For every row, another sequence with its target."""
    return index.gather(index.draw(rows))


@final
class DuoRec(SequenceModel):
    r"""Qiu et al., "Contrastive Learning for Representation …", WSDM 2022.

    Two sequences with the same next item have the same meaning. With h' the last state
    of a sequence under another dropout mask, and s that of another training sequence
    with the same target,

    .. math:: L = L_{next} + λ\, ℓ(h', s) .

    Departs from the paper:
        As ``TargetContrast``. The results on ML-1M need less dropout (0.1).

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of items.
        objective: The contrast; ``None`` is ``TargetContrast()``.
    """

    part_defaults: ClassVar = {"backbone": {"sampler": "prefix"}, "objective": {}}

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        objective: TargetContrast | None = None,
    ) -> None:
        super().__init__(num_users, backbone, [objective or TargetContrast()])
