"""BERT4Rec: a bidirectional transformer that predicts masked items."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.base import Stage, Step
from graphseq.models.sequence_model import SequenceModel, Terms, refuse_users
from graphseq.objectives import cross_entropy
from graphseq.schema import Fraction, InvalidOption, Size
from graphseq.sequences.batch import Batch
from graphseq.sequences.masking import bernoulli_mask, count_mask, hide, last_position
from graphseq.sequences.rows import append, full_sequences


@final
class BERT4Rec(SequenceModel):
    r"""Sun et al., "BERT4Rec: Sequential Recommendation with …", CIKM 2019.

    Some items of a sequence are masked, and the state at each masked position predicts
    the item; to recommend, a mask is appended to the history. With
    :math:`o = \mathrm{LN}(\mathrm{gelu}(W h + b))`, item v scores
    :math:`o \cdot e_v + b_v`: an inner product of :math:`[o, 1]` and
    :math:`[e_v, b_v]`, so the vectors have D + 1 dimensions.

    **It needs long training.** A pass over the data has a few masked positions per
    sequence, so it converges many times more slowly than a causal model, which has a
    target at every position: the authors took 400,000 steps, and a replicability study
    (Petrov & Macdonald, RecSys 2022) found defaults of common libraries up to 30 times
    too short. After a causal model's number of epochs, it looks far worse than it is.

    Departs from the paper:
        Whether only the last item is masked is drawn for every row and epoch
        (``last_only_rate``), where the original stores 10 masked copies and one such
        copy of each sequence, and RecBole draws for a whole batch. If no item of a row
        is drawn, its last item is masked. At test, the oldest item of a full history is
        dropped to make room for the mask; RecBole drops the first position of every
        row. Long sequences are cut into windows that overlap by half, not by nine
        tenths. The authors' learning rate of 1e-4 rises over 100 steps and then decays
        linearly to zero: ``lr=1e-4, lr_warmup=100, lr_schedule=LinearDecay()`` of
        :func:`graphseq.fit`.

    Args:
        num_users: U.
        backbone: With a ``Transformer(causal=False)``; its next-item loss is not used.
            Or V, the number of items.
        mask_rate: Fraction of the items to mask, ρ.
        mask_by: ``count`` masks that fraction of each row, rounded, at least one item;
            ``chance`` masks each item with that probability.
        max_masked: Largest number of items that ``count`` masks in a row; ``None``: no
            limit.
        last_only_rate: Fraction of the rows in which only the last item is masked.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "encoder": {"Transformer": {"causal": False, "attention_dropout": 0.2}},
            "mask_token": True,
        }
    }

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        mask_rate: Fraction = 0.6,
        mask_by: Literal["count", "chance"] = "count",
        max_masked: Size | None = 30,
        last_only_rate: Fraction = 1 / 11,
    ) -> None:
        super().__init__(num_users, backbone)
        self.mask_rate, self.mask_by = mask_rate, mask_by
        self.max_masked, self.last_only_rate = max_masked, last_only_rate
        dim = self.backbone.dim
        self.map = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(self.num_items))
        nn.init.normal_(self.map.weight, std=0.02)
        nn.init.zeros_(self.map.bias)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """The encoder reads in both directions."""
        encoder = getattr(options.get("backbone"), "encoder", None)
        if getattr(encoder, "causal", encoder is not None):
            message = "needs an encoder of both directions, Transformer(causal=False)"
            yield InvalidOption("backbone.encoder", message)
        yield from refuse_users(options, "the states of masks score items")

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B n"]:
        """The output at a mask after the history."""
        mask = torch.full_like(batch.lengths, self.num_items)
        masked = append(batch, mask, self.max_length)
        return self.head(self.backbone.last(self.backbone.items(graph), masked))

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V n"]:
        """The features, each with the item's bias as one more dimension."""
        return torch.cat([self.backbone.items(graph), self.bias[:, None]], dim=1)

    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        """The masked items, each from both directions."""
        return self.cloze(self.masked(batch), graph)

    def stages(self) -> tuple[Stage, ...]:
        """Masks are drawn on the CPU, before a batch is copied to a device."""
        return (Stage((Step(self.cloze),), prepare=self.masked, on_host=True),)

    def masked(self, batch: Batch) -> Batch:
        """The full rows with masked items, which are the targets at their positions."""
        full = full_sequences(batch, self.max_length)
        drawn = self.draw_mask(full)
        targets = full.items.masked_fill(~drawn, self.num_items)
        return replace(hide(full, drawn), targets=targets)

    def cloze(self, batch: Batch, graph: HeteroData) -> Terms:
        """The targets of masked rows."""
        items = self.item_vectors(graph)
        states = batch.at_targets(self.backbone.states(items[:, :-1], batch))
        return {"cloze": cross_entropy(self.head(states), items, batch.target_items())}

    def head(self, states: Float[Tensor, "N D"]) -> Float[Tensor, "N n"]:
        """The output of a state, with a 1 that multiplies the item's bias."""
        output = self.norm(F.gelu(self.map(states)))
        return torch.cat([output, torch.ones_like(output[:, :1])], dim=1)

    def draw_mask(self, batch: Batch) -> Bool[Tensor, "B L"]:
        """The positions to mask, at least one per row."""
        if self.mask_by == "count":
            drawn = count_mask(batch, self.mask_rate, self.max_masked)
        else:
            drawn = bernoulli_mask(batch, self.mask_rate)
        last_only = torch.rand(len(batch), device=drawn.device) < self.last_only_rate
        last_only = last_only | ~drawn.any(dim=1)
        return torch.where(last_only[:, None], last_position(batch), drawn)
