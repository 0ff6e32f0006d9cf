"""GRU4Rec: recurrent sequential recommendation."""

from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.nn.features import Embedding, Features
from graphseq.nn.recurrent import GRU
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler


@final
class GRU4Rec(Model):
    r"""Hidasi et al., "Session-based Recommendations with Recurrent …", ICLR 2016.

    arXiv:1511.06939; as improved by Tan et al., DLRS 2016, arXiv:1606.08117.

    Gated recurrent units read the history; their state after an item, projected to the
    items' width, is to have the largest inner product with the item that follows.

    Departs from the paper:
        Not session-parallel batches with the losses TOP1 and BPR-max, but the model
        that later tables call GRU4Rec: whole histories, and a softmax over the whole
        catalogue. ``preset("recbole")`` learns from one prefix a row, and
        ``preset("s3")`` from one row a user by binary cross-entropy; the default gives
        the same objective as ``recbole`` in one pass over each sequence.

    Args:
        num_users: U.
        num_items: V.
        dim: D; ignored in favour of the features' own if ``features`` is given.
        max_length: Longest history that is read.
        hidden: Width of the recurrent state.
        layers: Recurrent layers.
        dropout: Of the item vectors.
        bias: Whether the gates have biases.
        loss: ``ce`` (softmax over all items), ``bce`` or ``gbce`` (sampled negatives).
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.
        sampler: How examples are cut from the sequences.
        features: What is read of an item; ``None`` is a plain ``Embedding``, its rows
            Xavier-normal.
    """

    presets: ClassVar[Choices] = {
        "recbole": {"sampler": "prefix", "loss": "ce"},
        "s3": {"sampler": "user", "loss": "bce"},
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        max_length: int = 50,
        hidden: int = 128,
        layers: int = 1,
        dropout: float = 0.3,
        bias: bool = False,
        loss: Loss = "ce",
        num_negatives: int = 1,
        sampler: SequenceSampler = "targets",
        features: Features | None = None,
    ) -> None:
        super().__init__()
        check_ranges(sizes={"dim": dim})  # before a root is taken of it
        xavier = (2 / (num_items + dim)) ** 0.5
        features = features or Embedding(num_items, dim=dim, std=xavier)
        self.hold(
            num_users,
            Backbone(
                num_items,
                encoder=GRU(
                    features.dim,
                    hidden=hidden,
                    layers=layers,
                    dropout=dropout,
                    bias=bias,
                ),
                features=features,
                max_length=max_length,
                sampler=sampler,
                loss=loss,
                num_negatives=num_negatives,
            ),
        )

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, at every place that has a target."""
        items = self.item_vectors(graph)
        states = self.backbone.states_at_targets(items, batch)
        return {"next_item": self.backbone.next_item(states, items, batch)}
