"""DuoRec: contrast between sequences that lead to the same item."""

from functools import partial
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.objectives import nt_xent, same_id_mask
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.same_target import SameTargetIndex, same_target

Mode = Literal["us_x", "un", "su", "us"]


@final
class DuoRec(Model):
    r"""Qiu et al., "Contrastive Learning for Representation …", WSDM 2022.

    Two sequences with the same next item mean the same. With h the state at a
    sequence's end, h' the same with another dropout, s that of another training
    sequence with the same target, and the NT-Xent ℓ, the loss is

    .. math:: L = L_{next} + λ\, ℓ(h', s)

    in the mode ``us_x``. ``un`` has :math:`λ_d\, ℓ(h, h')` instead, ``su`` has
    :math:`λ\, ℓ(h, s)`, and ``us`` both of these.

    Departs from the paper:
        The contrast is the mean over both views as anchors, where the paper sums the
        two. As in the authors' code, the default contrasts h' with s. A sequence that
        nobody shares its target with is its own s. With ``sampler="targets"`` or
        ``"user"``, a row is contrasted once, for its newest target. The figures for
        ML-1M need less dropout: ``preset("code", data="ml-1m")``.

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
        mode: Which views are contrasted.
        weight: λ.
        dropout_weight: :math:`λ_d`, in the modes ``un`` and ``us``.
        temperature: τ of the contrast.
        exclude_same_target: Whether rows of a batch that share a target are no
            negatives of each other.
    """

    presets: ClassVar[Choices] = {"code": {}}
    for_data: ClassVar[Choices] = {
        "amazon": {},
        "ml-1m": {"transformer": {"dropout": 0.1}},
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
        mode: Mode = "us_x",
        weight: float = 0.1,
        dropout_weight: float = 0.1,
        temperature: float = 1.0,
        exclude_same_target: bool = False,
    ) -> None:
        super().__init__()
        check_ranges(
            positive={"temperature": temperature},
            amounts={"weight": weight, "dropout_weight": dropout_weight},
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
            ),
        )
        self.mode = mode
        self.weight, self.dropout_weight = weight, dropout_weight
        self.temperature = temperature
        self.exclude_same_target = exclude_same_target
        self.index: SameTargetIndex | None = None

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Index the training prefixes by target."""
        self.index = same_target(graph, self.sampler, self.max_length)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, and the contrast of the mode's views."""
        table = self.item_vectors(graph)
        h, asked = self.read(table, batch)
        terms = {"next_item": self.backbone.next_item(asked, table, batch)}
        if self.index is None:
            self.refresh(graph, 0)
        assert self.index is not None
        rows = self.index.of(batch)
        spared = (
            same_id_mask(self.index.target[rows]) if self.exclude_same_target else None
        )
        contrast = partial(nt_xent, temperature=self.temperature, exclude=spared)
        if self.mode != "su":
            again = self.backbone.last(table, batch)
        if self.mode in ("un", "us"):
            terms["dropout_views"] = self.dropout_weight * contrast(h, again)
        if self.mode != "un":
            found = self.retrieved(rows, self.index)
            s = self.backbone.last(table, found)
            first = again if self.mode == "us_x" else h
            terms["same_target"] = self.weight * contrast(first, s)
        return terms

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def retrieved(self, rows: Int[Tensor, "B"], index: SameTargetIndex) -> Batch:
        """For every row, another sequence with its target."""
        return index.gather(index.draw(rows))

    def read(
        self, table: Float[Tensor, "V D"], batch: Batch
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "N D"]]:
        """The state at each row's end, and those at the places with targets."""
        if self.sampler == "prefix":  # the same
            h = self.backbone.last(table, batch)
            return h, h
        states = self.backbone.states(table, batch)
        return batch.last(states), states[batch.target_positions()[0]]
