"""Models that score the items directly, without vectors."""

from abc import abstractmethod
from typing import NoReturn, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models.base import Model
from graphseq.models.scoring import Scorer
from graphseq.sequences.batch import Batch


class DirectModel(Model):
    """A model without vectors of users and items: it scores the items directly.

    A subclass implements :meth:`scorer`. By default nothing is trained. Indices of
    inner products and similar items need vectors, and refuse these models.
    """

    max_length = 2**31 - 1  # the whole history is read

    @abstractmethod
    def scorer(self, graph: HeteroData) -> Scorer:
        """The scores of all items on a graph."""

    @final
    def represent(self, batch: Batch, graph: HeteroData) -> NoReturn:
        """Refuse: there are no vectors."""
        raise no_vectors(self)

    @final
    def item_vectors(self, graph: HeteroData) -> NoReturn:
        """Refuse: there are no vectors."""
        raise no_vectors(self)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """Nothing is trained."""
        return {}

    @final
    @torch.no_grad()
    def score(
        self,
        batch: Batch,
        graph: HeteroData,
        items: Float[Tensor, "V D"] | None = None,
    ) -> Float[Tensor, "B V"]:
        """Scores of all items for every row of the batch."""
        if items is not None:
            raise no_vectors(self)
        scores = [torch.empty(0, self.num_items, device=batch.user.device)]
        for _, block in self.scorer(graph).blocks(batch):
            scores.append(block[:, : self.num_items].clone())
        return torch.cat(scores)


def no_vectors(model: Model) -> ConfigError:
    """The refusal of what needs vectors of users and items, for a model without."""
    return ConfigError(
        f"{type(model).__name__} has no vectors of users and items: it scores the "
        "items directly. Rank with evaluate or Recommender(index='exact'), or use a "
        "model with vectors, such as SASRec"
    )
