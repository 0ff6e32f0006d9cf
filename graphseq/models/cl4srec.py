"""CL4SRec: contrast between two random views of a sequence."""

from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.nn.pooling import Pooling, pool
from graphseq.objectives import nt_xent
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.views import ask_last, crop_mask_reorder, join, random_views


@final
class CL4SRec(Model):
    r"""Xie et al., "Contrastive Learning for Sequential Recommendation", ICDE 2022.

    Two of three operators (crop, mask, reorder) make two views of every sequence, which
    are to be more alike than views of different sequences,

    .. math:: L = L_{next} + λ\, ℓ(f(a_i(S)), f(a_j(S))) ,

    with the NT-Xent ℓ over the 2B views of a batch.

    Departs from the paper:
        The contrast is the mean over the views, not a sum; a masked item is by default
        a zero vector in its place, which attention sees and the codes hide from it
        (``mask_token`` has the paper's). A crop keeps one item or more: at the
        published 0.2 nothing would be left of four. Rows of one item stay as they are,
        as in the code that draws different operators.
        ``preset("s3")`` is ICLRec's InstanceCL: flattened states (without padding's),
        operators that may be the same, windows that never reach the last item, drawn
        from the ``max_length`` newest items where that code has them all. The preset
        ``recbole`` has EC4SRec's rates for a kind of data, ``duorec`` and ``mclrec``
        those of these codes.

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
        contrast_weight: λ; 0 leaves the contrast out.
        temperature: τ.
        pooling: The vector of a view: its ``last`` state, their ``mean``, or all of
            them side by side (``flatten``).
        crop_keep: Share of a sequence that a crop keeps.
        mask_rate: Share of its items that are masked.
        reorder_rate: Share of its items that change places.
        distinct: Whether the two operators of a row differ.
        reach_last: Whether windows may end with the last item.
        view_targets: Whether views are examples of their own, with the last target of
            their row; together they weigh as much as the sequences. Without contrast,
            it is what "Is Contrastive Learning Necessary?" (Zhou et al., WWW 2024)
            compares with: ``preset("augmented")``.
    """

    presets: ClassVar[Choices] = {
        "recbole": {"sampler": "prefix", "loss": "ce", "pooling": "last"},
        "duorec": {
            "crop_keep": 0.6,
            "mask_rate": 0.3,
            "reorder_rate": 0.6,
            "mask_token": True,
        },
        "mclrec": {"crop_keep": 0.5, "mask_rate": 0.5, "reorder_rate": 0.8},
        "s3": {
            "sampler": "user",
            "loss": "bce",
            "pooling": "flatten",
            "distinct": False,
            "reach_last": False,
            "crop_keep": 0.2,
            "mask_rate": 0.7,
            "reorder_rate": 0.2,
            "transformer": {"positions": "end"},
        },
        "augmented": {"contrast_weight": 0.0, "view_targets": True},
    }
    for_data: ClassVar[Choices] = {
        "amazon": {"crop_keep": 0.2, "mask_rate": 0.7, "reorder_rate": 0.2},
        "ml": {"crop_keep": 0.8, "mask_rate": 0.2, "reorder_rate": 0.2},
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
        contrast_weight: float = 0.1,
        temperature: float = 1.0,
        pooling: Pooling = "last",
        crop_keep: float = 0.2,
        mask_rate: float = 0.7,
        reorder_rate: float = 0.2,
        distinct: bool = True,
        reach_last: bool = True,
        view_targets: bool = False,
    ) -> None:
        super().__init__()
        check_ranges(
            positive={"temperature": temperature},
            amounts={"contrast_weight": contrast_weight},
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
        self.contrast_weight, self.temperature = contrast_weight, temperature
        self.pooling: Pooling = pooling
        self.distinct, self.view_targets = distinct, view_targets
        self.operators = crop_mask_reorder(
            crop_keep, mask_rate, reorder_rate, reach_last=reach_last
        )

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, and the contrast between two views."""
        table = self.item_vectors(graph)
        states = self.backbone.states_at_targets(table, batch)
        terms = {"next_item": self.backbone.next_item(states, table, batch)}
        if not (self.contrast_weight or self.view_targets):
            return terms
        both = join(*random_views(batch, self.operators, distinct=self.distinct))
        last, vectors = self.encode(table, both)
        if self.contrast_weight:
            contrast = nt_xent(*vectors.chunk(2), temperature=self.temperature)
            terms["contrast"] = self.contrast_weight * contrast
        if self.view_targets:
            asking = ask_last(both, batch)
            terms["views"] = self.backbone.next_item(last, table, asking)
        return terms

    def encode(
        self, table: Float[Tensor, "V D"], views: Batch
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N n"]]:
        """Of every view the last state, and the vector that contrast compares."""
        if self.pooling == "last":
            last = self.backbone.last(table, views)
            return last, last
        states = self.backbone.states(table, views)
        return views.last(states), pool(states, views.mask, self.pooling)
