"""CoSeRec: contrast between views that rest on which items are similar."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Model
from graphseq.models.similarity import DATA, PRESETS, InformedViews, Similarity
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.nn.pooling import Pooling
from graphseq.objectives import nt_xent
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.views import join


@final
class CoSeRec(Model):
    r"""Liu et al., "Contrastive Self-supervised Sequential …", 2021.

    arXiv:2108.06479.

    As ``CL4SRec``, but views may also insert similar items or put them in the place of
    others; sequences too short to lose anything draw from such gentle operators. What
    is similar is first read from the item graph (``CoOccurrence("item",
    weight="iuf")``, or ``"cosine"``: ItemCF), later, before each epoch, also from the
    item vectors.

    Departs from the paper:
        As in the released code, short sequences may be masked, reordering moves 0.7 of
        a sequence, and windows never reach the last item. The graph is of all training
        events (the code leaves each user's last one out); of equally similar items the
        smallest id is taken; padding and masks are similar to nothing. Views are cut
        from the ``max_length`` newest items (the code has them all), compared without
        their padding; the contrast is a mean over them, not a sum; a masked item is a
        zero vector in its place, which the code hides from attention. The code asks the
        vectors one epoch later. The next-item loss is by default the full softmax; the
        paper's (``bce``), in ``preset("s3")``, ranks worse.

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
        contrast_weight: λ.
        temperature: τ.
        pooling: The vector of a view.
        similarity: What is similar from then on: by the graph (``offline``), by the
            vectors (``online``), or by the larger of both scores (``hybrid``).
        offline_epochs: Epochs by the graph alone.
        threshold: Longest sequence that counts as short.
        short: Operators for short sequences.
        crop_keep: Share of a sequence that a crop keeps.
        mask_rate: Share of its items that are masked.
        reorder_rate: Share of its items that change places.
        insert_rate: Share of its items that get a similar one before them.
        substitute_rate: Share of its items that give way to a similar one.
    """

    presets, for_data = PRESETS, DATA

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        encoder: Encoder | None = None,
        features: Features | None = None,
        dim: int = 64,
        max_length: int = 50,
        sampler: SequenceSampler = "user",
        loss: Loss = "ce",
        num_negatives: int = 1,
        mask_token: bool = False,
        contrast_weight: float = 0.1,
        temperature: float = 1.0,
        pooling: Pooling = "flatten",
        similarity: Similarity = "hybrid",
        offline_epochs: int = 160,
        threshold: int = 4,
        short: Sequence[str] = ("insert", "substitute", "mask"),
        crop_keep: float = 0.2,
        mask_rate: float = 0.7,
        reorder_rate: float = 0.7,
        insert_rate: float = 0.4,
        substitute_rate: float = 0.1,
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
        self.requires = tuple(dict.fromkeys((*self.backbone.requires, ITEM_CO_OCCURS)))
        self.contrast_weight, self.temperature = contrast_weight, temperature
        self.pooling: Pooling = pooling
        self.views = InformedViews(
            similarity=similarity,
            offline_epochs=offline_epochs,
            threshold=threshold,
            short=short,
            crop_keep=crop_keep,
            mask_rate=mask_rate,
            reorder_rate=reorder_rate,
            insert_rate=insert_rate,
            substitute_rate=substitute_rate,
            max_length=max_length,
        )

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Find out what is similar, after ``offline_epochs`` by the vectors too."""
        table = self.item_vectors(graph)
        self.epoch_state["similar"] = self.views.similar(graph, table, epoch)

    def similar(self, graph: HeteroData) -> Int[Tensor, "V"]:
        """The item most similar to each, found now if no epoch's start has done so."""
        if "similar" not in self.epoch_state:
            with torch.no_grad():
                self.refresh(graph, 0)
        return self.epoch_state["similar"].to(self.backbone.features.weight.device)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, and the contrast between two views."""
        table = self.item_vectors(graph)
        states = self.backbone.states_at_targets(table, batch)
        views = join(*self.views.draw(batch, self.similar(graph)))
        vectors = self.backbone.view(table, views, self.pooling)
        contrast = nt_xent(*vectors.chunk(2), temperature=self.temperature)
        return {
            "next_item": self.backbone.next_item(states, table, batch),
            "contrast": self.contrast_weight * contrast,
        }
