"""DSSRec: encodings of past and future that agree, prototype by prototype."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.base import Stage, Step
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import Auxiliary, SequenceModel, Terms, refuse_users
from graphseq.nn.prototypes import Prototypes
from graphseq.objectives import seq2item, seq2seq
from graphseq.schema import Count, Fraction, InvalidOption, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.sequences.operators import join
from graphseq.sequences.rows import full_sequences, newest, split_at_random
from graphseq.sequences.samplers import SequenceSampler


@final
class DisentangledFuture(Auxiliary):
    """Past and future of a sequence that agree, intention by intention.

    K prototypes of intentions disentangle the states of a sequence into K encodings.
    Each sequence is split at random: the encodings of its past predict the item after
    the split (*seq2item*), and the encodings of its reversed future, prototype by
    prototype, where they share an intention (*seq2seq*).

    Source:
        Ma et al., DSSRec, KDD 2020, section 3.

    Departs from the source:
        The authors have not released code; the equations are those of a public
        reimplementation. Losses are means over rows, so that their weight relative to
        the next item's does not depend on the batch size.

    Args:
        prototypes: K.
        keep: λ, fraction of the pairs of encodings that count in *seq2seq*.
        item_weight: Weight of *seq2item*.
        sequence_weight: Weight of *seq2seq*.
        pretrain_epochs: Epochs on these terms alone, before the next item alone; 0
            trains on all of them jointly.
        pretrain_sampler: How the examples of these epochs are cut; ``None``: as
            afterwards. Those of the reimplementation are ``targets``: of a long
            sequence, windows that overlap by half.
        pretrain_batch_size: Batch size in these epochs, in the unit of their sampler;
            ``None``: as afterwards.
    """

    def __init__(
        self,
        *,
        prototypes: Size = 4,
        keep: Fraction = 0.5,
        item_weight: Weight = 1.0,
        sequence_weight: Weight = 1.0,
        pretrain_epochs: Count = 0,
        pretrain_sampler: SequenceSampler | None = None,
        pretrain_batch_size: Size | None = None,
    ) -> None:
        super().__init__()
        self.prototypes, self.keep = prototypes, keep
        self.item_weight, self.sequence_weight = item_weight, sequence_weight
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_sampler = pretrain_sampler
        self.pretrain_batch_size = pretrain_batch_size

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the prototypes."""
        self.disentangle = Prototypes(
            backbone.dim, backbone.max_length, prototypes=self.prototypes
        )

    def stages(self, backbone: Backbone) -> tuple[Stage, ...]:
        """These terms alone, for ``pretrain_epochs``."""
        if not self.pretrain_epochs:
            return ()

        def losses(batch: Batch, graph: HeteroData) -> Terms:
            return self.agreement(backbone, batch, graph)

        stage = Stage(
            (Step(losses),),
            epochs=self.pretrain_epochs,
            sampler=self.pretrain_sampler,
            batch_size=self.pretrain_batch_size,
        )
        return (stage,)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The terms, unless they are pre-training."""
        if self.pretrain_epochs:
            return {}
        backbone, items = encoding.backbone, encoding.items
        if backbone.features.target_edges == "left_out":
            return self.agreement(backbone, encoding.batch, graph)
        return self.agreement(backbone, encoding.batch, graph, items)

    def agreement(
        self,
        backbone: Backbone,
        batch: Batch,
        graph: HeteroData,
        items: Float[Tensor, "V D"] | None = None,
    ) -> Terms:
        """What precedes a random split against what follows it.

        Args:
            backbone: The model's backbone.
            batch: The sequences.
            graph: The graph.
            items: The item vectors; ``None``: those that know no edge of the rows, if
                the features leave out what a step predicts.
        """
        length = backbone.max_length
        full = full_sequences(batch, length + 1)
        if items is None:
            items = backbone.items(graph, full, predicts="items")
        past, future, following = split_at_random(full)
        both = newest(join(past, future), length)  # a part has at most that many
        before, after = backbone.states(items, both).chunk(2)
        mask, later = both.mask.chunk(2)
        encodings = self.disentangle(before, mask)
        labels = self.disentangle(after, later, future=True)
        return {
            "seq2item": self.item_weight * seq2item(encodings, items[following]),
            "seq2seq": self.sequence_weight * seq2seq(encodings, labels, self.keep),
        }

    def encodings(
        self, states: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B K D"]:
        """The K encodings of every row."""
        return self.disentangle(states, mask)  # type: ignore[no-any-return]


@final
class DSSRec(SequenceModel):
    r"""Ma et al., "Disentangled Self-Supervision in Sequential …", KDD 2020.

    The past of a sequence predicts its whole future, in a space where K intentions are
    disentangled, in addition to the next item.

    Departs from the paper:
        As ``DisentangledFuture``. The encoder is the one that all models here share
        (the reimplementation has one head, and ReLU twice). By default the last state
        ranks the items, as in the comparison of the ICLRec paper.

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of items.
        objective: The self-supervision; ``None`` is ``DisentangledFuture()``.
        serve: What ranks the items: the ``last`` state, or the best of the K encodings
            (``prototypes``; trained by the encoding nearest to the target, and with the
            sampler ``prefix`` only).
    """

    part_defaults: ClassVar = {
        "backbone": {"sampler": "user", "loss": "bce"},
        "objective": {},
    }

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        objective: DisentangledFuture | None = None,
        serve: Literal["last", "prototypes"] = "last",
    ) -> None:
        super().__init__(num_users, backbone, [objective or DisentangledFuture()])
        self.serve = serve
        self.every_position = serve == "prototypes"

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """K encodings are of whole rows, so a row ends with its target."""
        yield from super().conflicts(options)
        sampler = getattr(options.get("backbone"), "sampler", None)
        if options["serve"] == "prototypes" and sampler != "prefix":
            message = "serve='prototypes' needs a backbone with sampler='prefix'"
            yield InvalidOption("serve", f"{message}, found {sampler!r}")
        if options["serve"] == "prototypes":
            yield from refuse_users(options, "with serve='prototypes', encodings score")

    def represent(
        self, batch: Batch, graph: HeteroData
    ) -> Float[Tensor, "B D"] | Float[Tensor, "B K D"]:
        """The state at the last item, or the K encodings."""
        items = self.backbone.items(graph)
        if self.serve == "last":
            return self.backbone.represent(items, batch, graph)
        return self.future.encodings(self.backbone.states(items, batch), batch.mask)

    def next_item(self, encoding: Encoding) -> Float[Tensor, ""]:
        """The next-item loss of the last state, or of the nearest encoding."""
        items, batch = encoding.items, encoding.batch
        if self.serve == "last":
            return super().next_item(encoding)
        encodings = self.future.encodings(encoding.states, batch.mask)
        targets = items[batch.target_items()]
        nearest = torch.einsum("bkd,bd->bk", encodings, targets).argmax(dim=1)
        rows = torch.arange(len(batch), device=targets.device)
        return self.backbone.next_item(encodings[rows, nearest], items, batch)

    @property
    def future(self) -> DisentangledFuture:
        """The objective."""
        [objective] = self.objectives
        assert isinstance(objective, DisentangledFuture)
        return objective
