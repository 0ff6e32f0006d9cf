"""S3-Rec: pre-training on what a sequence's parts say of each other."""

from typing import ClassVar, Literal, final

from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE
from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.models.pretraining import Pretraining
from graphseq.models.stages import Stage, Step
from graphseq.nn.features import Features
from graphseq.nn.transformer import Transformer
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.whole import whole

Variant = Literal["MIP", "ISP", "full"]
TASKS: dict[str, tuple[str, ...]] = {
    "MIP": ("item",),
    "ISP": ("item", "segment"),
    "full": ("item", "segment", "attribute", "hidden_attribute"),
}


@final
class S3Rec(Model):
    r"""Zhou et al., "S3-Rec: Self-Supervised Learning for Sequential …", CIKM 2020.

    First the transformer looks both ways and learns, of whole sequences: the items
    hidden from it (MIP), a segment cut out of it (SP), the attributes of the items that
    it sees (AAP) and of the hidden ones (MAP). Then the same weights, causal, learn the
    next item, as SASRec.

    The attributes are the graph's ``("item", "has", "attribute")`` edges, from the
    graph step ``Attributes``; only ``variant="full"`` reads them. ``ISP`` is MIP and
    SP, as in the comparison of the ICLRec paper; ``MIP`` as in those of EC4SRec,
    MCLRec and MCLSR.

    Departs from the paper:
        One negative and a double sigmoid in place of InfoNCE over many, and summed
        tasks, as in the authors' code; the sums are divided by the rows of the batch.
        The vectors of the code's mask id and of segments' padding are one token here.
        Prefixes of a single item are not pre-trained on. The fine-tuning stage starts
        with a fresh Adam; the code selects a pre-training checkpoint by hand
        (``pretrain_epochs``: 150 of 300 for Beauty and Toys, 100 for Sports and Yelp).

    Args:
        num_users: U.
        num_items: V.
        encoder: Reads the sequence, both ways and then forwards; ``None`` is the
            default ``Transformer``. (The authors' code pads on the left, which
            ``positions="end"`` reproduces.)
        features: What is read of an item; ``None`` is a plain ``Embedding``.
        dim: D, where neither encoder nor features are given.
        max_length: Longest sequence that is read.
        variant: ``MIP``, ``ISP`` or ``full``.
        num_attributes: Attributes of the graph, or more; for ``full`` alone.
        mask_rate: Probability with which an item is hidden; the last one always is.
        item_weight: Weight of MIP.
        segment_weight: Weight of SP.
        attribute_weight: Weight of AAP.
        hidden_attribute_weight: Weight of MAP.
        pretrain_epochs: Epochs of the first stage; 0 leaves it out.
        pretrain_batch_size: Rows a batch in it; ``None``: as in the second.
        pretrain_sampler: How its examples are cut; ``prefix`` takes every prefix of
            every sequence (the code: within its 50 newest items, all from the first of
            these on), ``user`` each sequence once.
        sampler: How the examples of the second stage are cut.
        loss: Of the next item: ``ce``, ``bce`` or ``gbce``.
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.

    Raises:
        ConfigError: ``full`` without ``num_attributes``.
    """

    presets: ClassVar[Choices] = {
        "s3": {
            "sampler": "user",
            "loss": "bce",
            "pretrain_sampler": "prefix",
            "pretrain_batch_size": 100,
            "transformer": {"positions": "end"},
        },
        "recbole": {"sampler": "prefix", "loss": "ce", "pretrain_sampler": "prefix"},
    }
    for_data: ClassVar[Choices] = {
        "beauty": {"pretrain_epochs": 150},
        "toys": {"pretrain_epochs": 150},
        "sports": {"pretrain_epochs": 100},
        "yelp": {"pretrain_epochs": 100},
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        encoder: Transformer | None = None,
        features: Features | None = None,
        dim: int = 64,
        max_length: int = 50,
        variant: Variant = "MIP",
        num_attributes: int | None = None,
        mask_rate: float = 0.2,
        item_weight: float = 1.0,
        segment_weight: float = 0.5,
        attribute_weight: float = 0.2,
        hidden_attribute_weight: float = 1.0,
        pretrain_epochs: int = 100,
        pretrain_batch_size: int | None = None,
        pretrain_sampler: SequenceSampler = "prefix",
        sampler: SequenceSampler = "user",
        loss: Loss = "bce",
        num_negatives: int = 1,
    ) -> None:
        super().__init__()
        check_ranges(
            sizes={
                "num_attributes": num_attributes,
                "pretrain_batch_size": pretrain_batch_size,
            },
            counts={"pretrain_epochs": pretrain_epochs},
            rates={"mask_rate": mask_rate},
            amounts={
                "item_weight": item_weight,
                "segment_weight": segment_weight,
                "attribute_weight": attribute_weight,
                "hidden_attribute_weight": hidden_attribute_weight,
            },
        )
        if variant == "full" and num_attributes is None:
            raise ConfigError(
                "S3Rec with variant='full' predicts the attributes of items and needs "
                f"their number; got num_attributes={num_attributes}"
            )
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_batch_size = pretrain_batch_size
        self.pretrain_sampler = pretrain_sampler
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
                mask_token=True,
            ),
        )
        if variant == "full":
            self.requires = (*self.requires, HAS_ATTRIBUTE)
        weights = {
            "item": item_weight,
            "segment": segment_weight,
            "attribute": attribute_weight,
            "hidden_attribute": hidden_attribute_weight,
        }
        self.parts = Pretraining(
            self.backbone.dim,
            {task: weights[task] for task in TASKS[variant]},
            mask_rate=mask_rate,
            num_attributes=num_attributes or 0,
        )

    def stages(self) -> tuple[Stage, ...]:
        """Pre-training, then the next item with encoder and features alone."""
        moved = ("backbone.features.", "backbone.encoder.")
        second = Stage((Step(self.losses, moved),))
        if not self.pretrain_epochs:
            return (second,)
        first = Stage(
            (Step(self.pretraining),),
            epochs=self.pretrain_epochs,
            sampler=self.pretrain_sampler,
            batch_size=self.pretrain_batch_size,
        )
        return (first, second)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item."""
        table = self.item_vectors(graph)
        states = self.backbone.states_at_targets(table, batch)
        return {"next_item": self.backbone.next_item(states, table, batch)}

    def pretraining(
        self, batch: Batch, graph: HeteroData
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms of the variant's tasks."""
        return self.parts(self.backbone, whole(batch, self.max_length), graph)  # type: ignore[no-any-return]
