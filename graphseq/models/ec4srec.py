"""EC4SRec: views that keep, or destroy, what explains a sequence's next item."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.duorec import indexed, retrieve_uniformly
from graphseq.models.encoding import Encoding
from graphseq.models.explanation import (
    explain_all,
    importances,
    normalise,
)
from graphseq.models.sequence_model import Auxiliary, SequenceModel, Terms
from graphseq.nn.importance import Method
from graphseq.nn.transformer import Transformer
from graphseq.objectives import negative_contrast, nt_xent, same_id_mask
from graphseq.objectives.contrastive import Denominator, Directions
from graphseq.schema import Count, InvalidOption, Positive, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.sequences.guided_augment import GuidedAugmentation
from graphseq.sequences.operators import join
from graphseq.sequences.same_target import (
    SameTargetIndex,
    Utility,
    retrieve,
    same_target,
)
from graphseq.specs import class_of


@final
class ExplainedViews(Auxiliary):
    r"""Contrast of views, and of retrieved sequences, guided by explanations.

    At some epochs, every item of every training sequence gets an importance: how much
    of the model's best score depends on it (or of its target's score, ``explained``),
    Eq. (5). From then on, positive views h¹
    and h² of a sequence change what is unimportant, a negative view n destroys what is
    important, and a sequence r with the same target is retrieved by the importance of
    the items that it shares. With the NT-Xent loss ℓ, Eqs. (6), (7), (9), the terms are

    .. math:: λ\, ℓ(h^1, h^2) + λ_-\, L_{cl-}(h^1, h^2, n) + λ_r\, ℓ(h', r) .

    Before the first importances there are no views, and r is drawn uniformly, as in
    ``TargetContrast``.

    Source:
        Wang et al., EC4SRec, CIKM 2022.

    Departs from the source:
        The release is partial, the rest is reconstructed. By default the code's
        utility of a retrieved sequence and its denominator of :math:`L_{cl-}`, and
        importances that sum to 1 per sequence (the code divides a batch by its norm);
        ℓ is the mean of both directions (as printed: their sum). Contrasts are means
        over the rows of the batch; a row has at most ``max_candidates`` candidates.
        Sequences of one item are their own positive views; their negative
        view is a random item.

    Args:
        augmentation: Draws the views; ``None`` is ``GuidedAugmentation()``.
        explanation: How importance is computed. ``popularity`` and ``random`` are
            baselines that explain nothing.
        explained: Whose score the methods that read the model explain: the item that
            it ranks ``first``, as in the code, or the ``target``.
        updates: Epochs before which importances are computed, the first being 0; or a
            number p of updates, spread evenly over ``horizon``.
        horizon: Epochs over which a number of updates is spread.
        view_weight: λ; with ``negative_weight`` 0, there are no views.
        negative_weight: :math:`λ_-`.
        target_weight: :math:`λ_r`; 0 retrieves nothing.
        temperature: τ of the NT-Xent loss.
        directions: ``mean`` or ``sum`` over the two directions of each NT-Xent loss.
        negative_temperature: τ of :math:`L_{cl-}`.
        denominator: Denominator of :math:`L_{cl-}`.
        utility: How the probability of a retrieved sequence is computed.
        utility_temperature: T of the code's utility.
        max_candidates: Candidates per row among the sequences with its target; of more,
            a random run of neighbours is used.
        clip: Whether negative scores count as zero in the utility, or by their absolute
            values.
        exclude_same_target: Whether rows with the same target are masked out as
            negatives of each other in the contrast with retrieved sequences.

    Raises:
        ConfigError: When attached to an encoder that has no attention, with
            ``explanation="attention"``.
    """

    scores: Tensor | None
    scored_in: Tensor | None
    """The epoch of the last importances."""

    part_defaults: ClassVar[dict[str, Any]] = {"augmentation": {}}

    def __init__(
        self,
        augmentation: GuidedAugmentation | None = None,
        *,
        explanation: Method = "occlusion",
        explained: Literal["first", "target"] = "first",
        updates: Sequence[Count] | Count = (15, 30),
        horizon: Size = 150,
        view_weight: Weight = 0.1,
        negative_weight: Weight = 0.05,
        target_weight: Weight = 0.1,
        temperature: Positive = 1.0,
        directions: Directions = "mean",
        negative_temperature: Positive = 0.1,
        denominator: Denominator = "code",
        utility: Utility = "code",
        utility_temperature: Positive = 1.0,
        max_candidates: Size = 512,
        clip: bool = False,
        exclude_same_target: bool = False,
    ) -> None:
        super().__init__()
        self.augmentation = augmentation or GuidedAugmentation()
        self.explanation, self.of_targets = explanation, explained == "target"
        self.updates = update_epochs(updates, horizon)
        self.warmup = self.updates[0]
        self.view_weight, self.negative_weight = view_weight, negative_weight
        self.target_weight = target_weight
        self.contrast = partial(nt_xent, temperature=temperature, directions=directions)
        self.negative_contrast = partial(
            negative_contrast, temperature=negative_temperature, denominator=denominator
        )
        self.retrieve = partial(
            retrieve, utility=utility, temperature=utility_temperature
        )
        self.max_candidates, self.clip = max_candidates, clip
        self.exclude_same_target = exclude_same_target
        self.index: SameTargetIndex | None = None
        self.register_buffer("scores", None, persistent=False)
        self.register_buffer("scored_in", None, persistent=False)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """There is an update."""
        if not update_epochs(options["updates"], options["horizon"]):
            found = f"found {options['updates']!r}"
            yield InvalidOption("updates", f"expected one update or more, {found}")

    @classmethod
    def check_encoder(cls, options: Mapping[str, Any], encoder: Any) -> Iterator[str]:
        """Attention explains only an encoder with attention."""
        kind = class_of(encoder)
        if options["explanation"] == "attention" and kind is not Transformer:
            yield (
                "explanation='attention' reads the attention of a Transformer, and the "
                f"encoder is a {kind.__name__}; use saliency or occlusion"
            )

    def refresh(self, backbone: Backbone, graph: HeteroData, epoch: int) -> None:
        """Index the training prefixes; at an update, compute all importances."""
        self.index = same_target(graph, backbone.sampler, backbone.max_length)
        if epoch < self.updates[0]:
            self.scores = self.scored_in = None
        elif self.is_due(epoch):
            self.scored_in = torch.tensor(epoch)
            items = backbone.items(graph).detach()
            self.scores = explain_all(
                backbone,
                items,
                self.index,
                graph,
                self.explanation,
                of_targets=self.of_targets,
                needed=None if self.target_weight else self.index.rows,
            )

    def is_due(self, epoch: int) -> bool:
        """Whether an update is in this epoch, or was in one without a refresh."""
        if self.scores is None or epoch in self.updates:
            return True
        last = epoch if self.scored_in is None else int(self.scored_in)
        return any(last < update < epoch for update in self.updates)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast with retrieved sequences, and those of the views."""
        backbone, items, batch = encoding.backbone, encoding.items, encoding.batch
        index, terms = indexed(self.index), {}
        if self.target_weight:
            again = backbone.last(items, batch)
            retrieved = backbone.last(items, self.retrieved(batch, index))
            rows = index.indices(batch)
            mask = (
                same_id_mask(index.target[rows]) if self.exclude_same_target else None
            )
            loss = self.contrast(again, retrieved, exclude=mask)
            terms["same_target"] = self.target_weight * loss
        if (self.view_weight or self.negative_weight) and self.scores is not None:
            views = self.views(batch, index, self.scores)
            first, second, negative = backbone.last(items, views).chunk(3)
            terms["views"] = self.view_weight * self.contrast(first, second)
            loss = self.negative_contrast(first, second, negative)
            terms["negative_views"] = self.negative_weight * loss
        return terms

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def views(self, batch: Batch, index: SameTargetIndex, scores: Tensor) -> Batch:
        """Two positive views and a negative view of every row, 3B rows."""
        importance = importances(scores, index, index.indices(batch), batch)
        positive = self.augmentation.positive(batch, importance)
        return join(*positive, self.augmentation.negative(batch, importance))

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def retrieved(self, batch: Batch, index: SameTargetIndex) -> Batch:
        """For every row, a sequence with its target."""
        rows = index.indices(batch)
        if self.scores is None:
            drawn: Batch = retrieve_uniformly(index, rows)
            return drawn
        owner, candidates = index.candidates(rows, self.max_candidates)
        others = index.gather(candidates)
        importance = importances(self.scores, index, candidates, others)
        weight = normalise(importance, others.mask, clip=self.clip)
        return index.gather(candidates[self.retrieve(batch, owner, others, weight)])


def update_epochs(updates: Sequence[int] | int, horizon: int) -> tuple[int, ...]:
    """The epochs of the updates, ascending.

    Args:
        updates: The epochs, or a number p for ⌊k E / (p + 1)⌋, k = 1 … p.
        horizon: E.
    """
    if isinstance(updates, int):
        steps = range(1, updates + 1)
        updates = [k * horizon // (updates + 1) for k in steps]
    return tuple(sorted(set(updates)))


@final
class EC4SRec(SequenceModel):
    r"""Wang et al., "Explanation Guided Contrastive Learning …", CIKM 2022.

    Explanations of the model's own predictions guide its contrasts, Eqs. (6)-(9):

    .. math::
        L_{SSL} = L_{next} + λ\, ℓ(h^1, h^2) + λ_-\, L_{cl-}(h^1, h^2, n), \quad
        L_{SL} = L_{next} + λ_r\, ℓ(h', r),

    and the full model has all of these terms.

    Departs from the paper:
        As ``ExplainedViews`` and ``GuidedAugmentation``.

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of items.
        objective: The contrasts; ``None`` is ``ExplainedViews()``. EC4SRec (SSL) has
            ``target_weight=0``; EC4SRec (SL) has ``view_weight=0, negative_weight=0``.
    """

    part_defaults: ClassVar = {"backbone": {"sampler": "prefix"}, "objective": {}}

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        objective: ExplainedViews | None = None,
    ) -> None:
        super().__init__(num_users, backbone, [objective or ExplainedViews()])
