"""BERT4Rec: a bidirectional transformer that fills in hidden items."""

from typing import ClassVar, Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.base import Choices, Model
from graphseq.nn.features import Embedding, Features
from graphseq.nn.transformer import Positions, Transformer
from graphseq.objectives import cross_entropy
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.cloze import bernoulli_mask, counted_places, hide, last_place
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.whole import append, whole


@final
class BERT4Rec(Model):
    r"""Sun et al., "BERT4Rec: Sequential Recommendation with …", CIKM 2019.

    Some items of a sequence are hidden, and the state at each hidden place is to find
    the item that stood there; to recommend, a hidden place is put at the end. With
    :math:`o = \mathrm{LN}(\mathrm{gelu}(W h + b))`, item v scores
    :math:`o \cdot e_v + b_v`: an inner product of :math:`[o, 1]` and
    :math:`[e_v, b_v]`, so the vectors have D + 1 dimensions.

    **It needs long training.** A pass over the data asks for a few hidden places a
    sequence, so it converges many times more slowly than a causal model that is asked
    at every place: the authors took 400,000 steps, and a replicability study (Petrov &
    Macdonald, RecSys 2022) found defaults of common libraries up to 30 times too short.
    Stopped at a causal model's number of epochs, it looks far worse than it is.

    Departs from the paper:
        Whether only the last item is hidden is drawn for every row and epoch (with
        ``last_rate``) where the original stores 10 masked copies and one such copy of
        each sequence, and RecBole draws for a whole batch. A row in which chance hides
        nothing hides its last item. At test, the oldest item of a full history makes
        room for the hidden place; RecBole drops the first place of every row. Long
        sequences are cut into windows that overlap by half, not by nine tenths. Their
        learning rate of 1e-4 rises over 100 steps (``lr`` and ``lr_warmup`` of
        :func:`graphseq.fit`) and then falls evenly to nothing, which ours does not.

    Args:
        num_users: U.
        num_items: V.
        dim: D; ignored in favour of the features' own if ``features`` is given.
        max_length: Longest sequence that is read, the hidden place included.
        layers: Transformer blocks.
        heads: Attention heads.
        inner: Width of the feed-forward layers; ``None`` is 4 D.
        dropout: Everywhere in the encoder but on attention weights.
        attention_dropout: There; ``None`` is ``dropout``.
        positions: Which end of a sequence positions are counted from.
        mask_rate: Share of the items to hide, ρ.
        drawn_by: ``count`` hides that share of each row, rounded, at least one item;
            ``chance`` hides each item with that probability.
        most_masked: Most items hidden in a row by ``count``; ``None``: no limit.
        last_rate: Share of the rows of which only the last item is hidden.
        sampler: How examples are cut; each is learnt from with its last target.
        features: What is read of an item; ``None`` is a plain ``Embedding``.
    """

    presets: ClassVar[Choices] = {
        "original": {
            "mask_rate": 0.6,
            "drawn_by": "count",
            "most_masked": 30,
            "last_rate": 1 / 11,
            "dropout": 0.5,
            "attention_dropout": 0.2,
            "sampler": "targets",
        },
        "recbole": {
            "mask_rate": 0.2,
            "drawn_by": "chance",
            "most_masked": None,
            "last_rate": 0.5,
            "dropout": 0.2,
            "attention_dropout": 0.2,
            "sampler": "prefix",
        },
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        max_length: int = 50,
        layers: int = 2,
        heads: int = 2,
        inner: int | None = None,
        dropout: float = 0.5,
        attention_dropout: float | None = 0.2,
        positions: Positions = "start",
        mask_rate: float = 0.6,
        drawn_by: Literal["count", "chance"] = "count",
        most_masked: int | None = 30,
        last_rate: float = 1 / 11,
        sampler: SequenceSampler = "targets",
        features: Features | None = None,
    ) -> None:
        super().__init__()
        check_ranges(
            sizes={"most_masked": most_masked},
            rates={"mask_rate": mask_rate, "last_rate": last_rate},
        )
        self.mask_rate, self.drawn_by = mask_rate, drawn_by
        self.most_masked, self.last_rate = most_masked, last_rate
        features = features or Embedding(num_items, dim=dim)
        encoder = Transformer(
            features.dim,
            max_length,
            layers=layers,
            heads=heads,
            inner=inner,
            dropout=dropout,
            attention_dropout=attention_dropout,
            causal=False,
            positions=positions,
        )
        self.hold(
            num_users,
            Backbone(
                num_items,
                encoder=encoder,
                features=features,
                max_length=max_length,
                sampler=sampler,
                mask_token=True,
            ),
        )
        self.map = nn.Linear(features.dim, features.dim)
        self.norm = nn.LayerNorm(features.dim, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(num_items))
        nn.init.normal_(self.map.weight, std=0.02)
        nn.init.zeros_(self.map.bias)

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B n"]:
        """What is looked for at a hidden place after the history."""
        nothing = torch.full_like(batch.lengths, self.num_items)
        asked = append(batch, nothing, self.max_length)
        return self.head(self.backbone.last(self.backbone.items(graph), asked))

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V n"]:
        """The features, each with the item's bias as one dimension more."""
        return torch.cat([self.backbone.items(graph), self.bias[:, None]], dim=1)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The hidden items, each from both its sides."""
        full = whole(batch, self.max_length)
        places = self.places(full)
        table = self.item_vectors(graph)
        states = self.backbone.states(table[:, :-1], hide(full, places))[places]
        return {"cloze": cross_entropy(self.head(states), table, full.items[places])}

    def head(self, states: Float[Tensor, "N D"]) -> Float[Tensor, "N n"]:
        """What a state looks for, with a 1 that takes the item's bias."""
        looked_for = self.norm(F.gelu(self.map(states)))
        return torch.cat([looked_for, torch.ones_like(looked_for[:, :1])], dim=1)

    def places(self, batch: Batch) -> Bool[Tensor, "B L"]:
        """The places to hide, one or more of every row."""
        if self.drawn_by == "count":
            drawn = counted_places(batch, self.mask_rate, self.most_masked)
        else:
            drawn = bernoulli_mask(batch, self.mask_rate)
        only_last = torch.rand(len(batch), device=drawn.device) < self.last_rate
        only_last = only_last | ~drawn.any(dim=1)
        return torch.where(only_last[:, None], last_place(batch), drawn)
