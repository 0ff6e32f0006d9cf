"""ComiRec-SA: several interests, by self-attention."""

from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.base import Choices, Model
from graphseq.models.catalogue import Softmax, next_item
from graphseq.nn.features import Embedding, Features, embed_items
from graphseq.nn.pooling import AdditivePooling, pool_prefixes
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler


@final
class ComiRec(Model):
    r"""Cen et al., "Controllable Multi-Interest Framework …", KDD 2020.

    arXiv:2005.09347; the variant ComiRec-SA.

    K attentions over the history H give K interests, :math:`V = H\, \mathrm{softmax}
    (W_2^⊤ \tanh(W_1 H))^⊤`. The one that points best at the target is trained, by a
    sampled softmax; to serve, an item counts by its best interest. How mixed the lists
    are to be is said when they are asked for: see ``diversity`` of
    :meth:`graphseq.recommend.Recommender.recommend`.

    Departs from the paper:
        As the authors' code: positions are read by the attention but are not part of
        the interests, and the inner map has a bias (the outer one's would change
        nothing). Every prefix is learnt from, by default all those of a sequence in one
        pass, not one random cut of four items or more a user and step. Tables start
        from N(0, 0.02²).
        ``preset("books")`` and ``preset("taobao")`` have the authors' lengths and
        negatives (ten a row, for batches of 128 and 256 rows), one prefix a row.

    Args:
        num_users: U.
        num_items: V.
        dim: D; ignored in favour of the features' own if ``features`` is given.
        max_length: Longest history that is read.
        interests: K.
        hidden: Width of the attention's inner layer; ``None`` is 4 D.
        softmax: Its denominator: ``log_uniform`` draws by popularity, shared by
            the batch, with the correction; ``full``, ``uniform`` or ``in_batch``.
        num_negatives: Items drawn for ``log_uniform`` (each batch) and ``uniform``
            (each target).
        sampler: How examples are cut from the sequences.
        features: What is read of an item; ``None`` is a plain ``Embedding``.
    """

    presets: ClassVar[Choices] = {
        "books": {"sampler": "prefix"},
        "taobao": {"sampler": "prefix", "max_length": 50, "num_negatives": 2560},
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        max_length: int = 20,
        interests: int = 4,
        hidden: int | None = None,
        softmax: Softmax = "log_uniform",
        num_negatives: int = 1280,
        sampler: SequenceSampler = "targets",
        features: Features | None = None,
    ) -> None:
        super().__init__()
        drawn = None if softmax in ("full", "in_batch") else num_negatives
        check_ranges(sizes={"max_length": max_length, "num_negatives": drawn})
        self.num_users, self.num_items = num_users, num_items
        self.max_length, self.sampler = max_length, sampler
        self.interests = interests
        self.num_negatives = num_negatives if softmax == "uniform" else 0
        self.next_item = partial(
            next_item, softmax=softmax, num_negatives=num_negatives
        )
        self.features = features or Embedding(num_items, dim=dim)
        self.requires = (INTERACTS, *self.features.requires)
        dim = self.features.dim
        self.position = nn.Parameter(torch.empty(max_length, dim))
        nn.init.normal_(self.position, std=0.02)
        self.attention = AdditivePooling(
            dim, hidden=hidden, interests=interests, bias=True
        )

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B K D"]:
        """The K interests."""
        return self.whole(self.item_vectors(graph), batch)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The features, which are also what the attention reads."""
        return self.features(graph)  # type: ignore[no-any-return]

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, by the one interest that points best at it."""
        items = self.item_vectors(graph)
        asked, targets = batch.target_positions()
        if self.sampler == "prefix":
            interests = self.whole(items, batch)
        else:
            interests = self.prefixes(items, batch)[asked]
        with torch.no_grad():
            scores = torch.einsum("nkd,nd->nk", interests, items[targets])
            nearest = scores.argmax(dim=1)
        rows = torch.arange(len(targets), device=targets.device)
        states = interests[rows, nearest]
        return {"next_item": self.next_item(states, items, batch, graph)}

    def whole(
        self, items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B K D"]:
        """The interests of every row, of all its items."""
        values = embed_items(items, batch.items)
        keys = values + self.position[: values.shape[1]]
        return self.attention(keys, values, batch.mask)  # type: ignore[no-any-return]

    def prefixes(
        self, items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B L K D"]:
        """The interests of every prefix of a row: at place t, of the items 0 … t."""
        values = embed_items(items, batch.items)
        logits = self.attention.logits(values + self.position[: values.shape[1]])
        apart = [
            pool_prefixes(logit, values, batch.mask) for logit in logits.unbind(dim=2)
        ]
        return torch.stack(apart, dim=2)
