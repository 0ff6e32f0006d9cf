"""Each check of models fails for a model that breaks its claim."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS
from graphseq.errors import ConfigError, GraphError
from graphseq.models import Model
from graphseq.nn import Embedding, embed_items
from graphseq.objectives import cross_entropy
from graphseq.sequences import Batch
from graphseq.testing import CheckError, check_model, checks

Terms = dict[str, Tensor]


class Last(Model):
    """The next item from the last one: it passes all checks."""

    inputs: Embedding
    outputs: Embedding

    def __init__(self, num_users: int, num_items: int, *, dim: Any = 16) -> None:
        super().__init__()
        self.num_users, self.num_items, self.max_length = num_users, num_items, 4
        self.inputs = Embedding(num_items, dim=16)
        self.outputs = Embedding(num_items, dim=16)

    def states(self, batch: Batch) -> Tensor:
        assert self.inputs.weight is not None
        return embed_items(self.inputs.weight, batch.items)

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return batch.last(self.states(batch))

    def item_vectors(self, graph: HeteroData) -> Tensor:
        vectors: Tensor = self.outputs(graph)
        return vectors

    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        positions, targets = batch.target_positions()
        states = self.states(batch)[positions]
        return {"next": cross_entropy(states, self.item_vectors(graph), targets)}


class Infinite(Last):
    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return super().represent(batch, graph) / 0


class OtherScores(Last):
    def score(self, batch: Batch, graph: HeteroData, items: Any = None) -> Tensor:
        return 2 * super().score(batch, graph, items)


class Padded(Last):
    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return super().represent(batch, graph) * batch.items.shape[1]


class Batchwise(Last):
    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        found = super().represent(batch, graph)
        return found - found.mean(dim=0)


class Divided(Last):
    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return super().represent(batch, graph) / (batch.lengths > 0)[:, None]


class Timid(Last):
    """Refuses histories of new users, and does not declare it."""

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        if (batch.user < 0).any() or len(batch) == 1:
            raise ConfigError("only known users")
        return super().represent(batch, graph)


class Noisy(Last):
    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return nn.functional.dropout(super().represent(batch, graph))


class Unnamed(Last):
    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        return {"next item": super().losses(batch, graph)["next"]}


class Idle(Last):
    def __init__(self, num_users: int, num_items: int, *, dim: Any = 16) -> None:
        super().__init__(num_users, num_items)
        self.unused = nn.Parameter(torch.ones(1))


class Counting(Last):
    steps = 0

    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        Counting.steps += 1
        return {"next": super().losses(batch, graph)["next"] * Counting.steps}


class Hidden(Last):
    def __init__(self, num_users: int, num_items: int, *, dim: Any = 16) -> None:
        super().__init__(num_users, num_items)
        self.hidden = torch.randn(16)

    def states(self, batch: Batch) -> Tensor:
        return super().states(batch) + self.hidden


class Unwritten(Last):
    def __init__(self, num_users: int, num_items: int, *, dim: Any = 16) -> None:
        super().__init__(num_users, num_items)
        self.options["dim"] = nn.ReLU()


class Shared(Last):
    def __deepcopy__(self, memo: Any) -> "Shared":
        return self


class Reading(Last):
    """Reads a relation that it does not declare."""

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        weight = graph[ITEM_CO_OCCURS].edge_weight.mean()
        return super().represent(batch, graph) * weight


class Careless(Last):
    def check(self, graph: HeteroData, relations: Any = None) -> None:
        pass


class Refusing(Last):
    def check(self, graph: HeteroData, relations: Any = None) -> None:
        raise GraphError("no graph will do")


class Lonely(Last):
    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        loss = super().losses(batch, graph)["next"]
        return {"next": loss / (len(batch) - 1)}


class Shifted(Last):
    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        positions, _ = batch.target_positions()
        found = batch.items[positions]
        states = self.states(batch)[positions]
        return {"next": cross_entropy(states, self.item_vectors(graph), found)}


class Leaking(Last):
    """Reads the targets of the test."""

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        rows = torch.searchsorted(graph.test.user, batch.user)
        vectors = nn.functional.normalize(self.item_vectors(graph), dim=1)
        return vectors[graph.test.target[rows]]


class Stateful(Last):
    """Trains by a number that no checkpoint has."""

    def __init__(self, num_users: int, num_items: int, *, dim: Any = 16) -> None:
        super().__init__(num_users, num_items)
        self.steps = 0

    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        self.steps += 1
        loss = super().losses(batch, graph)["next"]
        return {"next": loss + self.outputs(graph).square().sum() * self.steps / 1e3}


BROKEN: dict[str, type[Model]] = {
    "scores_are_one_finite_number_for_each_item": Infinite,
    "scores_are_inner_products": OtherScores,
    "ranking_reads_these_scores": OtherScores,
    "padding_changes_no_score": Padded,
    "rows_do_not_depend_on_their_batch": Batchwise,
    "an_empty_history_has_finite_scores": Divided,
    "new_users_are_ranked_by_their_histories_or_refused": Timid,
    "scoring_is_repeatable": Noisy,
    "losses_are_named_finite_scalars": Unnamed,
    "every_parameter_has_a_gradient": Idle,
    "the_seed_decides_weights_and_losses": Counting,
    "weights_survive_a_file": Hidden,
    "its_description_rebuilds_it": Unwritten,
    "a_copy_is_independent": Shared,
    "missing_relations_are_refused": Reading,
    "another_graph_is_refused": Careless,
    "batches_of_one_row_have_finite_losses": Lonely,
    "users_without_training_events_are_ranked_or_refused": Refusing,
    "it_learns_a_planted_structure": Shifted,
    "it_stays_at_chance_without_structure": Leaking,
    "a_saved_run_gives_the_same_lists": Hidden,
    "a_resumed_run_is_bit_equal": Stateful,
}


def test_a_model_that_keeps_the_claims_passes() -> None:
    check_model(Last)


@pytest.mark.parametrize("check", checks("model"))
def test_a_check_fails_for_a_model_that_breaks_its_claim(check: Any) -> None:
    with pytest.raises(CheckError, match=f"(?s){check.name}.*checked:.*found:.*to do:"):
        check(BROKEN[check.name])
