"""S3-Rec: pre-training by mutual information between the parts of a sequence."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import ATTRIBUTE, HAS_ATTRIBUTE, INTERACTS, EdgeType
from graphseq.errors import GraphError
from graphseq.models.backbone import Backbone
from graphseq.models.base import Stage, Step
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import Auxiliary, SequenceModel, Terms
from graphseq.nn.transformer import Transformer
from graphseq.objectives import attribute_loss, double_sigmoid
from graphseq.schema import Count, Fraction, InvalidOption, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.sequences.masking import (
    bernoulli_mask,
    hide,
    last_position,
    sample_negatives,
    segment_mask,
    swap_segment,
)
from graphseq.sequences.rows import full_sequences
from graphseq.sequences.samplers import SequenceSampler
from graphseq.specs import class_of

Variant = Literal["MIP", "ISP", "full"]
TASKS: dict[str, tuple[str, ...]] = {
    "MIP": ("item",),
    "ISP": ("item", "segment"),
    "full": ("item", "segment", "attribute", "hidden_attribute"),
}


@final
class MutualInformation(Auxiliary):
    """Masked items, masked segments and item attributes, from both directions.

    The transformer, attending in both directions, learns of full sequences: the masked
    items (MIP), a masked segment (SP), the attributes of the items that it reads (AAP)
    and of the masked ones (MAP). Each task has its own linear map.

    Source:
        Zhou et al., S3-Rec, CIKM 2020, sections 4.2.1-4.2.4, as in its code.

    Departs from the source:
        One negative and a double sigmoid instead of InfoNCE over many, and summed
        tasks, as in the authors' code; the sums are divided by the rows of the batch.
        The vectors of the code's mask id and of segments' padding are one token here.
        Prefixes of a single item are not used.

    Args:
        variant: ``MIP``; ``ISP``, which is MIP and SP; or ``full``, all four tasks.
        num_attributes: Attributes of the graph, or more; for ``full`` only.
        mask_rate: Probability of masking an item; the last one is always masked.
        item_weight: Weight of MIP.
        segment_weight: Weight of SP.
        attribute_weight: Weight of AAP.
        hidden_attribute_weight: Weight of MAP.
        pretrain_epochs: Epochs on these tasks alone, before the next item; 0 adds their
            terms to the next item's.
        pretrain_batch_size: Rows per batch in these epochs; ``None``: as afterwards.
        pretrain_sampler: How their examples are cut; ``prefix`` takes every prefix of
            every sequence (the code: within its 50 newest items, all from the first of
            these on), ``user`` each sequence once.

    Raises:
        ConfigError: When attached to an encoder that is not a ``Transformer``.
    """

    def __init__(
        self,
        *,
        variant: Variant = "MIP",
        num_attributes: Size | None = None,
        mask_rate: Fraction = 0.2,
        item_weight: Weight = 1.0,
        segment_weight: Weight = 0.5,
        attribute_weight: Weight = 0.2,
        hidden_attribute_weight: Weight = 1.0,
        pretrain_epochs: Count = 100,
        pretrain_batch_size: Size | None = None,
        pretrain_sampler: SequenceSampler = "prefix",
    ) -> None:
        super().__init__()
        weights = {
            "item": item_weight,
            "segment": segment_weight,
            "attribute": attribute_weight,
            "hidden_attribute": hidden_attribute_weight,
        }
        self.weights = {task: weights[task] for task in TASKS[variant]}
        self.requires = self.required_relations(self.options)
        self.num_attributes = num_attributes
        self.mask_rate = mask_rate
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_batch_size = pretrain_batch_size
        self.pretrain_sampler: SequenceSampler = pretrain_sampler

    @classmethod
    def required_relations(cls, options: Mapping[str, Any]) -> tuple[EdgeType, ...]:
        """The attributes, for the variant that predicts them."""
        return (HAS_ATTRIBUTE,) if options["variant"] == "full" else ()

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Attributes need their number."""
        if options["variant"] == "full" and options["num_attributes"] is None:
            message = "variant='full' predicts attributes and needs their number"
            yield InvalidOption("num_attributes", f"{message}, found None")

    @classmethod
    def check_encoder(cls, options: Mapping[str, Any], encoder: Any) -> Iterator[str]:
        """The encoder attends in both directions."""
        if class_of(encoder) is not Transformer:
            yield (
                "needs an encoder that attends in both directions, a Transformer; "
                f"found {class_of(encoder).__name__}"
            )

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create a linear map for each task, and the attributes' vectors."""
        dim = backbone.dim
        maps = {task: nn.Linear(dim, dim) for task in self.weights}
        for linear in maps.values():
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        self.maps = nn.ModuleDict(maps)
        self.attributes: nn.Parameter | None = None
        if self.num_attributes is not None and self.requires:
            self.attributes = nn.Parameter(torch.empty(self.num_attributes, dim))
            nn.init.normal_(self.attributes, std=0.02)

    def stages(self, backbone: Backbone) -> tuple[Stage, ...]:
        """Pre-training on the tasks alone."""
        if not self.pretrain_epochs:
            return ()

        def losses(batch: Batch, graph: HeteroData) -> Terms:
            return self.tasks(backbone, batch, graph)

        stage = Stage(
            (Step(losses, (backbone, self)),),
            epochs=self.pretrain_epochs,
            sampler=self.pretrain_sampler,
            batch_size=self.pretrain_batch_size,
        )
        return (stage,)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The tasks' terms, unless they are pre-training."""
        if self.pretrain_epochs:
            return {}
        return self.tasks(encoding.backbone, encoding.batch, graph)

    def tasks(self, backbone: Backbone, batch: Batch, graph: HeteroData) -> Terms:
        """The weighted terms: sums over all predictions, divided by the rows."""
        full = full_sequences(batch, backbone.max_length)
        items = backbone.items(graph, full, predicts="items")
        masked = bernoulli_mask(full, self.mask_rate) | last_position(full)
        masked &= full.mask
        states = backbone.states(items, hide(full, masked), causal=False)
        terms: Terms = {}
        if "item" in self.weights:
            terms["item"] = self.item_term(states, items, full, masked)
        if "segment" in self.weights:
            flat = graph[INTERACTS].edge_index[1]
            terms["segment"] = self.segment_term(backbone, items, full, flat)
        positions = {"attribute": full.mask & ~masked, "hidden_attribute": masked}
        for task, at in positions.items():
            if task in self.weights:
                mapped = self.maps[task](states[at])
                terms[task] = self.attribute_term(mapped, full.items[at], graph)
        return {k: self.weights[k] * term / len(full) for k, term in terms.items()}

    def item_term(
        self,
        states: Float[Tensor, "B L D"],
        items: Float[Tensor, "V D"],
        full: Batch,
        masked: Bool[Tensor, "B L"],
    ) -> Float[Tensor, ""]:
        """The masked items, each against one that its row does not hold."""
        mapped = self.maps["item"](states[masked])
        true = items[full.items[masked]]
        false = items[sample_negatives(full)[masked]]
        return double_sigmoid((mapped * true).sum(dim=1), (mapped * false).sum(dim=1))

    def segment_term(
        self,
        backbone: Backbone,
        items: Float[Tensor, "V D"],
        full: Batch,
        flat: Tensor,
    ) -> Float[Tensor, ""]:
        """A segment against a random one, given the rest of its sequence."""
        segment = segment_mask(full)
        parts = (
            hide(full, segment),
            hide(full, ~segment),
            hide(swap_segment(full, segment, flat), ~segment),
        )
        three = replace(
            full,
            user=full.user.repeat(3),
            items=torch.cat([part.items for part in parts]),
            lengths=full.lengths.repeat(3),
            example=None,
        )
        rest, true, false = backbone.last(items, three, causal=False).chunk(3)
        mapped = self.maps["segment"](rest)
        return double_sigmoid((mapped * true).sum(dim=1), (mapped * false).sum(dim=1))

    def attribute_term(
        self, mapped: Float[Tensor, "N D"], items: Tensor, graph: HeteroData
    ) -> Float[Tensor, ""]:
        """All attributes of some items, from the states at their positions."""
        vectors, number = self.attributes, int(graph[ATTRIBUTE].num_nodes)
        assert vectors is not None
        if number > len(vectors):
            raise GraphError(
                f"num_attributes is {len(vectors)} and this graph has {number} "
                f"attributes; set num_attributes={number}"
            )
        item, attribute = graph[HAS_ATTRIBUTE].edge_index
        sums = vectors.new_zeros(int(graph["item"].num_nodes), vectors.shape[1])
        owned = sums.index_add(0, item, vectors[attribute])
        return attribute_loss(mapped, vectors, owned[items])


@final
class S3Rec(SequenceModel):
    r"""Zhou et al., "S3-Rec: Self-Supervised Learning for Sequential …", CIKM 2020.

    First the transformer attends in both directions and learns of full sequences: the
    masked items (MIP), a masked segment (SP), the attributes of the items that it reads
    (AAP) and of the masked ones (MAP). Then the same weights, causal, learn the next
    item, as in SASRec.

    The attributes are the graph's ``("item", "has", "attribute")`` edges, from the
    graph step ``Attributes``; only ``variant="full"`` reads them. ``ISP`` is MIP and
    SP, as in the comparison of the ICLRec paper; ``MIP`` as in those of EC4SRec,
    MCLRec and MCLSR.

    Departs from the paper:
        As ``MutualInformation``. Fine-tuning starts with a new Adam; the code selects a
        pre-training checkpoint by hand (``pretrain_epochs``: 150 of 300 for Beauty and
        Toys, 100 for Sports and Yelp).

    Args:
        num_users: U.
        backbone: With a ``Transformer``; or V, the number of items. (The authors' code
            pads on the left, as ``Transformer(positions="end")``.)
        objective: The tasks; ``None`` is ``MutualInformation()``.
    """

    part_defaults: ClassVar = {
        "backbone": {"sampler": "user", "loss": "bce", "mask_token": True},
        "objective": {},
    }

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        objective: MutualInformation | None = None,
    ) -> None:
        super().__init__(num_users, backbone, [objective or MutualInformation()])
