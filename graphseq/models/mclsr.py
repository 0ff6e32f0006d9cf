"""MCLSR: contrast between a user's sequence and three graphs."""

from functools import partial
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.errors import ConfigError
from graphseq.models.base import Choices, Model
from graphseq.models.catalogue import Softmax, next_item
from graphseq.nn.dropout import dropout
from graphseq.nn.features import embed_items
from graphseq.nn.heads import ProjectionHead
from graphseq.nn.pooling import AdditivePooling, QueryPooling
from graphseq.nn.propagation import GraphEncoder, Readout
from graphseq.objectives import nt_xent, same_id_mask
from graphseq.objectives.contrastive import Scheme, Similarity
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler


@final
class MCLSR(Model):
    """Wang et al., "Multi-level Contrastive Learning Framework …", CIKM 2022.

    arXiv:2208.13007.

    A user's *current* interest is read from the sequence, the *general* one from the
    user-item graph. Interest-level contrast ties the two; feature-level contrast ties
    the user-item graph to the user-user and item-item graphs. Only the current interest
    and the raw item table serve, so a user needs no place in a graph.

    Departs from the paper:
        By default, the softmax runs over the whole catalogue, and every prefix of a
        sequence is learnt from in one pass; ``preset("paper")`` draws 1280 negatives a
        prefix. As in all public code, what is to be predicted in training is an edge of
        the user-item graph, unless ``target_edges`` are left out. The target stands in
        the denominator of Eq. (14); Eqs. (8), (11), (14) are means, not sums; rows of
        one user are no negatives in Eq. (8).
        ``preset("reference")`` has the choices of the public reimplementations.

    Args:
        num_users: U.
        num_items: V.
        dim: D.
        max_length: Longest history that is read.
        layers: Steps of propagation in each graph, l.
        readout: ``last`` step (Eq. 1) or ``mean`` of all.
        alpha: Share of the current interest in the blend that is trained, Eq. (13).
        interest_weight: β, of the contrast between interests.
        user_weight: γ of the contrast between user features.
        item_weight: γ of the contrast between item features.
        temperature: τ of every contrast.
        similarity: What the contrasts compare by.
        scheme: ``one_sided`` as in Eq. (8), ``symmetric`` or ``cross_only``.
        shared_head: One projection for both interests, Eq. (7), or one for each.
        mask_same_user: Whether rows of one user are spared as negatives.
        positions: Counted from the oldest item (``chronological``) or from the newest.
        key_dropout: Layer norm and dropout on what attention looks at; 0 is neither.
        graph_dropout: Share of graph entries dropped in each training step.
        softmax: Denominator of Eq. (14): ``full``, or ``uniform``, ``log_uniform``
            (as ComiRec) or ``in_batch`` (with logQ correction) samples.
        num_negatives: Items drawn for ``uniform`` (each row) and ``log_uniform``.
        max_contrast_items: Most items of a batch in the item-level contrast.
        target_edges: Whether the user-item graph of a batch has the edges that the
            batch is to predict (``kept``), or not (``left_out``, with
            ``sampler="prefix"``: where every place is a target, no edge would be left).
            The graphs of co-occurrence have what follows from them all the same.
        sampler: How examples are cut from the sequences.
    """

    presets: ClassVar[Choices] = {
        "paper": {"softmax": "uniform", "sampler": "prefix"},
        "reference": {
            "softmax": "in_batch",
            "sampler": "prefix",
            "positions": "recency",
            "key_dropout": 0.3,
            "graph_dropout": 0.3,
            "shared_head": False,
            "similarity": "dot",
            "temperature": 0.5,
            "scheme": "symmetric",
            "mask_same_user": False,
            "interest_weight": 0.5,
            "user_weight": 0.025,
            "item_weight": 0.025,
        },
    }

    requires = (INTERACTS, USER_CO_OCCURS, ITEM_CO_OCCURS)

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        max_length: int = 20,
        layers: int = 2,
        readout: Readout = "last",
        alpha: float = 0.5,
        interest_weight: float = 1.0,
        user_weight: float = 0.05,
        item_weight: float = 0.05,
        temperature: float = 0.5,
        similarity: Similarity = "cosine",
        scheme: Scheme = "one_sided",
        shared_head: bool = True,
        mask_same_user: bool = True,
        positions: Literal["chronological", "recency"] = "chronological",
        key_dropout: float = 0.0,
        graph_dropout: float = 0.0,
        softmax: Softmax = "full",
        num_negatives: int = 1280,
        max_contrast_items: int = 2048,
        target_edges: Literal["kept", "left_out"] = "kept",
        sampler: SequenceSampler = "targets",
    ) -> None:
        super().__init__()
        drawn = None if softmax in ("full", "in_batch") else num_negatives
        check_ranges(
            sizes={
                "dim": dim,
                "max_length": max_length,
                "num_negatives": drawn,
                "max_contrast_items": max_contrast_items,
            },
            dropouts={"key_dropout": key_dropout, "graph_dropout": graph_dropout},
            positive={"temperature": temperature},
            rates={"alpha": alpha},
            amounts={
                "interest_weight": interest_weight,
                "user_weight": user_weight,
                "item_weight": item_weight,
            },
        )
        if positions == "recency" and sampler != "prefix":
            raise ConfigError(
                "MCLSR counts positions from each target with positions='recency', so "
                "it cannot learn from every place in one pass; set sampler='prefix'"
            )
        if target_edges == "left_out" and sampler != "prefix":
            raise ConfigError(
                f"MCLSR would leave out every edge of a user whose every place is a "
                f"target, as with sampler={sampler!r}; set sampler='prefix', or "
                "target_edges='kept'"
            )
        self.num_users, self.num_items = num_users, num_items
        self.max_length, self.sampler = max_length, sampler
        self.alpha = alpha
        self.interest_weight = interest_weight
        self.user_weight, self.item_weight = user_weight, item_weight
        self.contrast = partial(
            nt_xent, temperature=temperature, similarity=similarity, scheme=scheme
        )
        self.mask_same_user = mask_same_user
        self.recency = positions == "recency"
        self.target_edges = target_edges
        self.key_dropout = key_dropout
        self.max_contrast_items = max_contrast_items
        self.num_negatives = num_negatives if softmax == "uniform" else 0
        self.next_item = partial(
            next_item, softmax=softmax, num_negatives=num_negatives
        )
        self.users = nn.Parameter(torch.empty(num_users, dim))
        self.items = nn.Parameter(torch.empty(num_items, dim))
        self.position = nn.Parameter(torch.empty(max_length, dim))
        for table in (self.users, self.items, self.position):
            nn.init.trunc_normal_(table, std=0.02, a=-0.04, b=0.04)
        self.encoder = GraphEncoder(
            layers=layers, readout=readout, dropout=graph_dropout
        )
        self.norm = nn.LayerNorm(dim, eps=1e-9) if key_dropout else None
        self.current = AdditivePooling(dim)
        self.general = QueryPooling(dim)
        self.current_head = ProjectionHead(dim)
        self.general_head = None if shared_head else ProjectionHead(dim)
        self.user_head, self.item_head = ProjectionHead(dim), ProjectionHead(dim)

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The current interest, Eqs. (2)-(3), which alone serves: Eq. (16)."""
        values = embed_items(self.items, batch.items)
        interests: Tensor = self.current(self.keys(values, batch), values, batch.mask)
        return interests[:, 0]

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The raw item table, Eq. (16)."""
        return self.items

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """Next item, plus contrast between interests and between features: Eq. (15)."""
        asked, targets = batch.target_positions()
        user = batch.user[:, None].expand_as(batch.items)[asked]
        who, what = batch.user.unique(), batch.items[batch.mask].unique()

        # Current interest of every prefix that has a target: Eqs. (2)-(3).
        values = embed_items(self.items, batch.items)
        keys = self.keys(values, batch)
        current = self.current.prefixes(keys, values, batch.mask)[asked]

        # The user-item graph, once, and the general interest: Eqs. (4)-(6).
        nodes = torch.cat([self.users, self.items])
        both = torch.cat([who, what + self.num_users])
        kept = self.target_edges == "kept"
        edges = None if kept else torch.stack([user, targets + self.num_users])
        both = self.encoder(graph, INTERACTS, nodes, both, edges)
        user_ui, item_ui = both.split([len(who), len(what)])
        place = torch.searchsorted(what, batch.items)  # padding V: past the end
        query = user_ui[torch.searchsorted(who, batch.user)]
        general = self.general.prefixes(query, embed_items(item_ui, place), batch.mask)
        general = general[asked]

        blend = self.alpha * current + (1 - self.alpha) * general  # Eq. (13)
        terms = {"next_item": self.next_item(blend, self.items, batch, graph)}  # (14)
        if self.interest_weight:  # Eqs. (7)-(8)
            head = self.general_head or self.current_head
            views = self.current_head(current), head(general)
            spared = same_id_mask(user) if self.mask_same_user else None
            loss = self.contrast(*views, exclude=spared)
            terms["interest"] = self.interest_weight * loss
        if self.user_weight:  # Eqs. (9)-(11)
            co_user = self.encoder(graph, USER_CO_OCCURS, self.users, who)
            views = self.user_head(user_ui), self.user_head(co_user)
            terms["user"] = self.user_weight * self.contrast(*views)
        if self.item_weight:  # Eqs. (9), (10), (12)
            some = torch.randperm(len(what), device=what.device)
            some = some[: self.max_contrast_items]
            co_item = self.encoder(graph, ITEM_CO_OCCURS, self.items, what[some])
            views = self.item_head(item_ui[some]), self.item_head(co_item)
            terms["item"] = self.item_weight * self.contrast(*views)
        return terms

    def keys(
        self, values: Float[Tensor, "B L D"], batch: Batch
    ) -> Float[Tensor, "B L D"]:
        """What attention looks at: the items, with their positions."""
        steps = torch.arange(values.shape[1], device=values.device)
        if self.recency:
            steps = (batch.lengths[:, None] - 1 - steps).clamp(min=0)
        keys = values + self.position[steps]
        if self.norm is None:
            return keys
        return dropout(self.norm(keys), self.key_dropout, self.training)
