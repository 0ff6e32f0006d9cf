"""What every model owes: a vector per row, a vector per item, and its loss terms."""

from abc import ABC, abstractmethod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.models.backbone import Backbone
from graphseq.models.stages import Stage, Step
from graphseq.options import Recorded
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import Sampler


class Model(Recorded, nn.Module, ABC):
    """A recommender that scores by inner product.

    A subclass is final: it implements :meth:`represent`, :meth:`item_vectors` and
    :meth:`losses`, and sets what the loader must know. One that reads sequences by a
    backbone (:meth:`hold`) has all but the losses from there.

    Attributes:
        requires: Relations the graph must hold.
        num_users: U.
        num_items: V.
        max_length: Longest history that is read.
        sampler: How training examples are cut from the sequences: ``targets`` (every
            position in one pass, batches counted in targets), ``user`` (one row a
            user, batches counted in users), ``prefix`` (one row a target), ``pairs``
            (user and item, no sequence).
        num_negatives: Negatives that the loader draws for each target.
        warmup: Epochs during which a run does not stop early, however it goes.
        knows_users: Whether there is a vector for each user, so that users without
            training events cannot be ranked.
        memory: What is kept between epochs and is no weight (centroids, importances):
            a resumed run has it again, a finished one does not need it.
    """

    requires: tuple[EdgeType, ...] = ()
    num_users: int
    num_items: int
    max_length: int = 50
    sampler: Sampler = "targets"
    num_negatives: int = 0
    warmup: int = 0
    knows_users: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.memory: dict[str, Tensor] = {}

    def hold(self, num_users: int, backbone: Backbone) -> None:
        """Read sequences by a backbone, whose features and examples are the model's."""
        self.backbone = backbone
        self.num_users, self.num_items = num_users, backbone.num_items
        self.max_length, self.sampler = backbone.max_length, backbone.sampler
        self.requires = backbone.requires
        self.num_negatives = backbone.num_negatives

    def represent(
        self, batch: Batch, graph: HeteroData
    ) -> Float[Tensor, "B D"] | Float[Tensor, "B K D"]:
        """What a row's history says the user wants next: one vector, or K of them.

        By default, the backbone's state at the last item.
        """
        return self.backbone.last(self.item_vectors(graph), batch)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The vector of every real item; never of the padding.

        By default, the backbone's features, which are also what it reads.
        """
        return self.backbone.items(graph)

    @abstractmethod
    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The weighted terms of the objective, by name; their sum is minimised."""

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Renew what the coming epoch's losses rest on: clusters, importances.

        Called before every epoch in evaluation mode, without gradients.

        Args:
            graph: The graph, on the model's device.
            epoch: The coming epoch; the first is 0.
        """

    def stages(self) -> tuple[Stage, ...]:
        """How it is trained: here all parameters by all losses, in one stage."""
        return (Stage((Step(self.losses),)),)

    @final
    @torch.no_grad()
    def score(
        self,
        batch: Batch,
        graph: HeteroData,
        items: Float[Tensor, "V D"] | None = None,
    ) -> Float[Tensor, "B V"]:
        """Scores of all items for every row of the batch.

        Pass ``items = model.item_vectors(graph)`` once when scoring many batches.
        """
        items = self.item_vectors(graph) if items is None else items
        scores = self.represent(batch, graph) @ items.T
        return scores.amax(dim=1) if scores.dim() == 3 else scores
