"""Models without vectors: what they must write, and what they refuse."""

from typing import final

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import DirectModel
from graphseq.models.scoring import InnerProduct, Scorer
from graphseq.sequences.batch import Batch


@final
class LastItem(DirectModel):
    """The items after the newest one score highest, in a ring."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items

    def scorer(self, graph: HeteroData) -> Scorer:
        one_hot, items = torch.eye(self.num_items), torch.arange(self.num_items)
        distance = (items[:, None] - items - 1) % self.num_items

        def represent(batch: Batch) -> Tensor:
            return one_hot[batch.items[range(len(batch)), batch.lengths - 1]]

        return InnerProduct(represent, -distance.float())


def test_scores_are_those_of_the_scorer(lab, small_log: HeteroData) -> None:
    batch = lab.written([[0, 1], [3], [2, 0, 2]], 4)
    scores = LastItem(3, 4).score(batch, small_log)
    assert scores.argmax(dim=1).tolist() == [2, 0, 3]
    assert scores[0].tolist() == [-2, -3, 0, -1]


def test_vectors_are_refused(lab, small_log: HeteroData) -> None:
    model, batch = LastItem(3, 4), lab.written([[0]], 4)
    for call in (
        lambda: model.represent(batch, small_log),
        lambda: model.item_vectors(small_log),
        lambda: model.score(batch, small_log, torch.zeros(4, 2)),
    ):
        with pytest.raises(ConfigError, match="LastItem has no vectors of users"):
            call()
