"""EC4SRec: views of a sequence that spare, or destroy, what explains its next item."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.models.explaining import check_method, explain_all, importances, shares
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.nn.importance import Method
from graphseq.objectives import negative_contrast, nt_xent, same_id_mask
from graphseq.objectives.contrastive import Denominator
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.guided import GuidedAugmentation, Order, Way
from graphseq.sequences.retrieval import Utility, retrieve
from graphseq.sequences.same_target import SameTargetIndex, same_target
from graphseq.sequences.views import join, random_views

Variant = Literal["SSL", "SL", "full"]


@final
class EC4SRec(Model):
    r"""Wang et al., "Explanation Guided Contrastive Learning …", CIKM 2022.

    At some epochs, every item of every training sequence is given an importance: how
    much of the model's best score rests on it, Eq. (5). From then on, positive views h¹
    and h² of a sequence change what is unimportant, a negative view n destroys what is
    important, and a sequence r with the same target is retrieved by the importance of
    what it shares. With the NT-Xent ℓ, Eqs. (6), (7), (9),

    .. math::
        L_{SSL} = L_{next} + λ\, ℓ(h^1, h^2) + λ_-\, L_{cl-}(h^1, h^2, n), \quad
        L_{SL} = L_{next} + λ_r\, ℓ(h', r),

    and ``full`` has all the terms. Before the first importances, there are no views,
    and r is drawn uniformly, as in ``DuoRec``.

    Departs from the paper:
        The release is partial, the rest is reconstructed. By default: the code's shares
        (crops keep 0.3, masks and reorders change 0.7, negative views the other way
        round), its reordered negative view, its utility of a retrieved sequence and its
        denominator of :math:`L_{cl-}`; but crops in time order, and importances that
        sum to 1 a sequence (the code divides a batch by its norm). ``preset("code")``
        crops in order of importance; ``preset("paper")`` has one share for all views
        (not printed for each data set), no reordered negative view, and the paper's
        utility and denominator. Contrasts are means over the views; no more than
        ``max_candidates`` sequences are candidates of a row. A masked item is a zero
        vector in its place. Sequences of one item are their own positive views; their
        negative view is a random item.

    Args:
        num_users: U.
        num_items: V.
        encoder: Reads the sequence; ``None`` is a ``Transformer``.
        features: What is read of an item; ``None`` is an ``Embedding``.
        dim: D, where neither encoder nor features are given.
        max_length: Longest history that is read.
        sampler: How examples are cut from the sequences; one's target is its newest.
        loss: ``ce``, ``bce`` or ``gbce``.
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.
        mask_token: Whether masked items read a vector of their own.
        variant: ``SSL`` (views), ``SL`` (retrieval) or ``full`` (both).
        explanation: What importance is. ``popularity`` and ``random`` explain nothing.
        updates: Epochs before which importances are found, the first epoch being 0; or
            a number p of them, spread evenly over ``horizon``.
        horizon: Epochs that a number of updates divides.
        view_weight: λ.
        negative_weight: :math:`λ_-`.
        target_weight: :math:`λ_r`.
        temperature: τ of the NT-Xent.
        negative_temperature: τ of :math:`L_{cl-}`.
        denominator: Of :math:`L_{cl-}`.
        important: Share of the items that count as important.
        unimportant: Share of the items that count as unimportant.
        mu: μ of the paper, in the place of both shares.
        crop_order: Order of what a crop keeps.
        negative: What negative views are drawn from.
        utility: By which probabilities sequences are retrieved.
        utility_temperature: T, of the code's.
        max_candidates: Sequences of a target among which one is retrieved; of more, a
            random run of neighbours.
        clip: Whether negative scores weigh nothing in the utility, or their absolute
            values.
        exclude_same_target: Whether rows of a batch that share a target are no
            negatives of each other where a sequence is retrieved.

    Raises:
        ConfigError: There is no update, no negative view, or no such attention.
    """

    presets: ClassVar[Choices] = {
        "code": {"crop_order": "importance"},
        "paper": {
            "mu": 0.5,
            "negative": ("crop", "mask"),
            "denominator": "paper",
            "utility": "paper",
            "explanation": "saliency",
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
        variant: Variant = "full",
        explanation: Method = "occlusion",
        updates: Sequence[int] | int = (15, 30),
        horizon: int = 150,
        view_weight: float = 0.1,
        negative_weight: float = 0.05,
        target_weight: float = 0.1,
        temperature: float = 1.0,
        negative_temperature: float = 0.1,
        denominator: Denominator = "code",
        important: float = 0.3,
        unimportant: float = 0.7,
        mu: float | None = None,
        crop_order: Order = "time",
        negative: Sequence[Way] = ("crop", "mask", "reorder"),
        utility: Utility = "code",
        utility_temperature: float = 1.0,
        max_candidates: int = 512,
        clip: bool = False,
        exclude_same_target: bool = False,
    ) -> None:
        super().__init__()
        check_ranges(
            rates={"important": important, "unimportant": unimportant, "mu": mu},
            positive={
                "temperature": temperature,
                "negative_temperature": negative_temperature,
                "utility_temperature": utility_temperature,
            },
            sizes={"horizon": horizon, "max_candidates": max_candidates},
            amounts={
                "view_weight": view_weight,
                "negative_weight": negative_weight,
                "target_weight": target_weight,
            },
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
                mask_token=mask_token and variant != "SL",
            ),
        )
        check_method(explanation, self.backbone.encoder)
        if not negative:
            raise ConfigError("EC4SRec draws negative views; name one of them or more")
        self.variant, self.explanation = variant, explanation
        self.updates = schedule(updates, horizon)
        self.warmup = self.updates[0]
        self.view_weight, self.negative_weight = view_weight, negative_weight
        self.target_weight = target_weight
        self.contrast = partial(nt_xent, temperature=temperature)
        self.repel = partial(
            negative_contrast, temperature=negative_temperature, denominator=denominator
        )
        self.guide = GuidedAugmentation(
            important, unimportant, mu, crop_order, tuple(negative)
        )
        self.retrieve = partial(
            retrieve, utility=utility, temperature=utility_temperature
        )
        self.max_candidates, self.clip = max_candidates, clip
        self.exclude_same_target = exclude_same_target
        self.index: SameTargetIndex | None = None

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Index the training prefixes; at an update, find all importances anew."""
        self.index = same_target(graph, self.sampler, self.max_length)
        table = self.item_vectors(graph).detach()
        if epoch < self.updates[0]:
            self.epoch_state.pop("scores", None)
        elif epoch in self.updates or "scores" not in self.epoch_state:
            found = explain_all(self.backbone, table, self.index, self.explanation)
            self.epoch_state["scores"] = found
        self.epoch_state = {
            name: kept.to(table) for name, kept in self.epoch_state.items()
        }

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, and the terms of the variant."""
        table = self.item_vectors(graph)
        states = self.backbone.states_at_targets(table, batch)
        terms = {"next_item": self.backbone.next_item(states, table, batch)}
        if self.variant != "SSL":
            again = self.backbone.last(table, batch)
            found = self.backbone.last(table, self.retrieved(batch, graph))
            loss = self.contrast(again, found, exclude=self.spared(batch, graph))
            terms["same_target"] = self.target_weight * loss
        if self.variant != "SL" and "scores" in self.epoch_state:
            views = self.views(batch, graph)
            first, second, negative = self.backbone.last(table, views).chunk(3)
            terms["views"] = self.view_weight * self.contrast(first, second)
            loss = self.repel(first, second, negative)
            terms["negative_views"] = self.negative_weight * loss
        return terms

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def views(self, batch: Batch, graph: HeteroData) -> Batch:
        """Two positive views and a negative one of every row, below one another."""
        index = self.indexed(graph)
        scores = importances(self.epoch_state["scores"], index, index.of(batch), batch)
        first, second = random_views(batch, self.guide.positive(scores))
        return join(first, second, self.guide.negative(batch, scores))

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def retrieved(self, batch: Batch, graph: HeteroData) -> Batch:
        """For every row, a sequence with its target."""
        index = self.indexed(graph)
        rows = index.of(batch)
        if "scores" not in self.epoch_state:
            return index.gather(index.draw(rows))
        owner, candidates = index.candidates(rows, self.max_candidates)
        others = index.gather(candidates)
        scores = importances(self.epoch_state["scores"], index, candidates, others)
        weight = shares(scores, others.mask, clip=self.clip)
        return index.gather(candidates[self.retrieve(batch, owner, others, weight)])

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def spared(self, batch: Batch, graph: HeteroData) -> Bool[Tensor, "B B"] | None:
        """The rows that are no negatives of each other, if there may be any."""
        if not self.exclude_same_target:
            return None
        index = self.indexed(graph)
        return same_id_mask(index.target[index.of(batch)])

    def indexed(self, graph: HeteroData) -> SameTargetIndex:
        """The index, made now if no epoch's start has done so."""
        if self.index is None:
            self.index = same_target(graph, self.sampler, self.max_length)
        return self.index


def schedule(updates: Sequence[int] | int, horizon: int) -> tuple[int, ...]:
    """The epochs of the updates, ascending; ⌊k E / (p + 1)⌋, k = 1 … p, of a number p.

    Raises:
        ConfigError: There is none.
    """
    if isinstance(updates, int):
        steps = range(1, updates + 1)
        updates = [k * horizon // (updates + 1) for k in steps]
    if not updates or min(updates) < 0:
        raise ConfigError(
            "EC4SRec finds importances at some epochs, from 0 on; got "
            f"updates={list(updates)}; give one or more"
        )
    return tuple(sorted(set(updates)))
