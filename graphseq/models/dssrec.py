"""DSSRec: encodings of past and future that agree, prototype by prototype."""

from dataclasses import replace
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Model
from graphseq.models.stages import Stage, Step
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.nn.prototypes import Prototypes
from graphseq.objectives import seq2item, seq2seq
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.whole import split_at_random, whole


@final
class DSSRec(Model):
    r"""Ma et al., "Disentangled Self-Supervision in Sequential …", KDD 2020.

    K prototypes of intentions disentangle what an encoder says of a sequence into K
    encodings. Each sequence is cut at random: the encodings of its past are to find the
    item after the cut (*seq2item*), and those of its reversed future prototype by
    prototype, where they share an intention (*seq2seq*).

    Departs from the paper:
        There is no public code of the authors; the equations are those of a public
        reimplementation. The encoder is the one that all models here share (that code
        has one head and ReLU twice). Losses are means over rows, so that their weight
        beside the next item's does not depend on the size of a batch. By default the
        last state serves, as in the comparison of the ICLRec paper.

    Args:
        num_users: U.
        num_items: V.
        encoder: Reads the sequence; ``None`` is a ``Transformer``.
        features: What is read of an item; ``None`` is a plain ``Embedding``.
        dim: D, where neither encoder nor features are given.
        max_length: Longest history that is read.
        prototypes: K.
        keep: λ, share of the pairs of encodings that count in *seq2seq*.
        item_weight: Weight of *seq2item*.
        sequence_weight: Weight of *seq2seq*.
        serve: What ranks the items: the ``last`` state, or the best of the K encodings
            (``prototypes``; learnt from the encoding nearest to the target, and with
            ``sampler="prefix"`` only).
        pretrain_epochs: 0 trains on all three losses jointly; else so many epochs on
            *seq2item* and *seq2seq* alone, and the rest on the next item.
        sampler: How examples are cut from the sequences.
        loss: Of the next item: ``ce``, ``bce`` or ``gbce``.
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.

    Raises:
        ConfigError: ``serve="prototypes"`` without ``sampler="prefix"``.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        encoder: Encoder | None = None,
        features: Features | None = None,
        dim: int = 64,
        max_length: int = 50,
        prototypes: int = 4,
        keep: float = 0.5,
        item_weight: float = 1.0,
        sequence_weight: float = 1.0,
        serve: Literal["last", "prototypes"] = "last",
        pretrain_epochs: int = 0,
        sampler: SequenceSampler = "user",
        loss: Loss = "bce",
        num_negatives: int = 1,
    ) -> None:
        super().__init__()
        check_ranges(
            counts={"pretrain_epochs": pretrain_epochs},
            rates={"keep": keep},
            amounts={"item_weight": item_weight, "sequence_weight": sequence_weight},
        )
        if serve == "prototypes" and sampler != "prefix":
            raise ConfigError(
                "DSSRec learns its K encodings from whole rows with "
                f"serve='prototypes', so they end with their target; got "
                f"sampler={sampler!r}, set sampler='prefix'"
            )
        self.keep = keep
        self.item_weight, self.sequence_weight = item_weight, sequence_weight
        self.serve, self.pretrain_epochs = serve, pretrain_epochs
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
            ),
        )
        self.disentangle = Prototypes(
            self.backbone.dim, max_length, prototypes=prototypes
        )

    def represent(
        self, batch: Batch, graph: HeteroData
    ) -> Float[Tensor, "B D"] | Float[Tensor, "B K D"]:
        """The state at the last item, or the K encodings."""
        table = self.item_vectors(graph)
        if self.serve == "last":
            return self.backbone.last(table, batch)
        return self.encodings(table, batch)

    def encodings(
        self, table: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B K D"]:
        """The K encodings of every row."""
        return self.disentangle(self.backbone.states(table, batch), batch.mask)  # type: ignore[no-any-return]

    def stages(self) -> tuple[Stage, ...]:
        """Jointly; or first without the next item, then with nothing else."""
        if not self.pretrain_epochs:
            return super().stages()
        first = Stage((Step(self.self_supervision),), epochs=self.pretrain_epochs)
        return (first, Stage((Step(self.next_item),)))

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, and past with future."""
        return self.next_item(batch, graph) | self.self_supervision(batch, graph)

    def next_item(
        self, batch: Batch, graph: HeteroData
    ) -> dict[str, Float[Tensor, ""]]:
        """The next item alone."""
        table = self.item_vectors(graph)
        if self.serve == "last":
            states = self.backbone.states_at_targets(table, batch)
        else:
            encodings = self.encodings(table, batch)
            found = table[batch.target_positions()[1]]
            nearest = torch.einsum("bkd,bd->bk", encodings, found).argmax(dim=1)
            states = encodings[torch.arange(len(batch), device=found.device), nearest]
        return {"next_item": self.backbone.next_item(states, table, batch)}

    def self_supervision(
        self, batch: Batch, graph: HeteroData
    ) -> dict[str, Float[Tensor, ""]]:
        """What came before a random cut with what came after it."""
        table = self.item_vectors(graph)
        past, future, following = split_at_random(whole(batch, self.max_length + 1))
        both = replace(
            past,
            user=torch.cat([past.user, future.user]),
            items=torch.cat([past.items, future.items])[:, : self.max_length],
            lengths=torch.cat([past.lengths, future.lengths]),
            example=None,
        )
        before, after = self.backbone.states(table, both).chunk(2)
        mask, later = both.mask.chunk(2)
        encodings = self.disentangle(before, mask)
        labels = self.disentangle(after, later, future=True)
        return {
            "seq2item": self.item_weight * seq2item(encodings, table[following]),
            "seq2seq": self.sequence_weight * seq2seq(encodings, labels, self.keep),
        }
