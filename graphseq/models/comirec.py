"""ComiRec-SA: several interests, by self-attention."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.base import Model
from graphseq.models.next_item import Softmax, next_item
from graphseq.nn.features import Embedding, Features, embed_items
from graphseq.nn.pooling import AdditivePooling, pool_prefixes
from graphseq.schema import InvalidOption, Size
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import SequenceSampler


@final
class ComiRec(Model):
    r"""Cen et al., "Controllable Multi-Interest Framework …", KDD 2020.

    arXiv:2005.09347; the variant ComiRec-SA.

    K attentions over the history H give K interests, :math:`V = H\, \mathrm{softmax}
    (W_2^⊤ \tanh(W_1 H))^⊤`. The interest with the largest inner product with the target
    is trained, by a sampled softmax; an item's score is that of its best interest. The
    diversity of recommended lists is an option of
    :meth:`graphseq.recommend.Recommender.recommend`.

    Departs from the paper:
        As in the authors' code, the attention reads positions, which are not part of
        the interests, and the inner map has a bias (one of the outer map would change
        nothing). Every prefix is a training example, by default all those of a sequence
        in one pass, not one random cut of four items or more per user and step. Tables
        start from N(0, 0.02²).

    Args:
        num_users: U.
        num_items: V.
        dim: D; that of the features, if ``features`` is given.
        max_length: Longest history that is read.
        interests: K.
        hidden: Width of the attention's inner layer; ``None`` is 4 D.
        softmax: Its denominator: ``log_uniform`` samples by popularity, shared by the
            batch, with the correction; ``full``, ``uniform`` or ``in_batch``.
        num_negatives: Items sampled for ``log_uniform`` (per batch) and ``uniform``
            (per target).
        sampler: How examples are cut from the sequences.
        features: The item vectors; ``None`` is an ``Embedding``.
    """

    part_defaults: ClassVar[dict[str, Any]] = {"features": {"Embedding": {}}}

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        dim: Size = 64,
        max_length: Size = 20,
        interests: Size = 4,
        hidden: Size | None = None,
        softmax: Softmax = "log_uniform",
        num_negatives: Size = 1280,
        sampler: SequenceSampler = "targets",
        features: Features | None = None,
    ) -> None:
        super().__init__()
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

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Features that leave out target edges need one target a row."""
        for message in Features.check_sampler(options["features"], options["sampler"]):
            yield InvalidOption("features", message)

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B K D"]:
        """The K interests."""
        return self.of_rows(self.item_vectors(graph), batch)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The features, which the attention also reads."""
        return self.features(graph)  # type: ignore[no-any-return]

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, by the interest with the largest inner product with it."""
        items = self.features.in_training(graph, batch.target_edges())
        targets = batch.target_items()
        if self.sampler == "prefix":
            interests = self.of_rows(items, batch)
        else:
            interests = batch.at_targets(self.of_prefixes(items, batch))
        with torch.no_grad():
            scores = torch.einsum("nkd,nd->nk", interests, items[targets])
            nearest = scores.argmax(dim=1)
        rows = torch.arange(len(targets), device=targets.device)
        states = interests[rows, nearest]
        return {"next_item": self.next_item(states, items, batch, graph)}

    def of_rows(
        self, items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B K D"]:
        """The interests of every row."""
        values = embed_items(items, batch.items)
        keys = values + self.position[: values.shape[1]]
        return self.attention(keys, values, batch.mask)  # type: ignore[no-any-return]

    def of_prefixes(
        self, items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B L K D"]:
        """The interests of every prefix: at position t, of the items 0 … t."""
        values = embed_items(items, batch.items)
        logits = self.attention.logits(values + self.position[: values.shape[1]])
        interests = [
            pool_prefixes(logit, values, batch.mask) for logit in logits.unbind(dim=2)
        ]
        return torch.stack(interests, dim=2)
