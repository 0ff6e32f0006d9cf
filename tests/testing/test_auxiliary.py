"""Every auxiliary objective passes the checks; each check fails for a broken one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq import models
from graphseq.constants import ITEM_CO_OCCURS
from graphseq.models import PARTS, Auxiliary, Backbone, Encoding
from graphseq.nn import LearnableDropout, Transformer
from graphseq.sequences.augment import InformedAugmentation
from graphseq.testing import CheckError, check_auxiliary, checks

OWN: dict[str, Callable[[], Auxiliary]] = {
    "ViewContrast": models.ViewContrast,
    "LearnableDropoutContrast": lambda: models.LearnableDropoutContrast(
        InformedAugmentation()
    ),
    "TargetContrast": models.TargetContrast,
    "IntentContrast": lambda: models.IntentContrast(clusters=[4], sequence_weight=0.1),
    "ExplainedViews": lambda: models.ExplainedViews(updates=[0]),
    "LearnedViews": models.LearnedViews,
    "ModelAugmentation": lambda: models.ModelAugmentation(pretrain_epochs=1),
    "MutualInformation": lambda: models.MutualInformation(
        variant="ISP", pretrain_epochs=1
    ),
    "DisentangledFuture": models.DisentangledFuture,
    "InterestContrast": models.InterestContrast,
    "FeatureContrast": lambda: models.FeatureContrast(kind="item"),
    "NextItemFirst": lambda: models.NextItemFirst(epochs=1),
}
WITHOUT_TERMS = {"it_is_an_auxiliary_with_terms", "gradients_reach_the_backbone"}
SKIPPED = {"NextItemFirst": WITHOUT_TERMS}  # its stage has the next item's term alone
ENCODERS: dict[str, Any] = {
    "LearnableDropoutContrast": {"learnable": LearnableDropout},
    "MutualInformation": {},
}


def transformer(name: str) -> Transformer:
    """The Transformer that an objective needs."""
    parts = {option: kind() for option, kind in ENCODERS[name].items()}
    return Transformer(8, layers=1, **parts)


@pytest.mark.parametrize("name", OWN)
def test_an_objective_passes_all_checks(name: str) -> None:
    encoder = (lambda: transformer(name)) if name in ENCODERS else None
    check_auxiliary(OWN[name], encoder=encoder, skip=SKIPPED.get(name, ()))


def test_every_objective_is_checked() -> None:
    assert {*OWN} == {n for n, part in PARTS.items() if issubclass(part, Auxiliary)}


class Small(Auxiliary):
    """Penalises mapped states, around a centre that it renews: it passes all checks."""

    every_position = True
    centre: Tensor
    map: nn.Linear

    def __init__(self, weight: Any = 0.1) -> None:
        super().__init__()
        self.weight = weight

    def attach(self, num_users: int, backbone: Backbone) -> None:
        self.map = nn.Linear(backbone.dim, 1)

    def refresh(self, backbone: Backbone, graph: HeteroData, epoch: int) -> None:
        centre = backbone.items(graph).mean(dim=0) * epoch
        self.register_buffer("centre", centre, persistent=False)

    def value(self, encoding: Encoding, graph: HeteroData) -> Tensor:
        states = encoding.states[encoding.batch.mask]
        noise = torch.rand(len(states), 1)
        squares: Tensor = (self.map(states - self.centre) * noise).square()
        return squares.mean()

    def terms(self, encoding: Encoding, graph: HeteroData) -> dict[str, Tensor]:
        return {"small": self.weight * self.value(encoding, graph)}


class Silent(Small):
    def terms(self, encoding: Encoding, graph: HeteroData) -> dict[str, Tensor]:
        return {}


class Unnamed(Small):
    def terms(self, encoding: Encoding, graph: HeteroData) -> dict[str, Tensor]:
        return {"no name": self.weight * self.value(encoding, graph)}


class Constant(Small):
    def value(self, encoding: Encoding, graph: HeteroData) -> Tensor:
        return self.map.weight.square().mean() + self.map.bias.exp().mean()


class Idle(Small):
    def attach(self, num_users: int, backbone: Backbone) -> None:
        super().attach(num_users, backbone)
        self.unused = nn.Parameter(torch.ones(1))


class Meddling(Small):
    def attach(self, num_users: int, backbone: Backbone) -> None:
        super().attach(num_users, backbone)
        nn.init.zeros_(backbone.features.weight)  # type: ignore[arg-type]


class Heavy(Small):
    def terms(self, encoding: Encoding, graph: HeteroData) -> dict[str, Tensor]:
        return {"small": self.value(encoding, graph)}


class Counting(Small):
    steps = 0

    def value(self, encoding: Encoding, graph: HeteroData) -> Tensor:
        Counting.steps += 1
        return super().value(encoding, graph) * Counting.steps


class Lonely(Small):
    def value(self, encoding: Encoding, graph: HeteroData) -> Tensor:
        rows = len(encoding.batch)
        return super().value(encoding, graph) / (rows - 1)


class Partial(Small):
    every_position = False


class OnlyTransformers(Small):
    def value(self, encoding: Encoding, graph: HeteroData) -> Tensor:
        recurrent = type(encoding.backbone.encoder).__name__ == "Transformer"
        return super().value(encoding, graph) / (1 - recurrent)


class Undeclared(Small):
    def value(self, encoding: Encoding, graph: HeteroData) -> Tensor:
        return super().value(encoding, graph) * graph[ITEM_CO_OCCURS].edge_weight.mean()


class Writing(Small):
    def refresh(self, backbone: Backbone, graph: HeteroData, epoch: int) -> None:
        super().refresh(backbone, graph, epoch)
        graph[ITEM_CO_OCCURS].edge_weight += 1


class Training(Small):
    def refresh(self, backbone: Backbone, graph: HeteroData, epoch: int) -> None:
        super().refresh(backbone, graph, epoch)
        self.map.weight.mul_(2)


class Remembering(Small):
    def attach(self, num_users: int, backbone: Backbone) -> None:
        super().attach(num_users, backbone)
        self.first = self.map.weight.sum().item()

    def value(self, encoding: Encoding, graph: HeteroData) -> Tensor:
        return super().value(encoding, graph) * self.first


class Shared(Small):
    def __deepcopy__(self, memo: Any) -> "Shared":
        return self


class Unwritten(Small):
    def __init__(self, weight: Any = 0.1) -> None:
        super().__init__(weight)
        self.options["weight"] = nn.ReLU()


class Class(Small):
    shared = nn.Linear(8, 1)

    def attach(self, num_users: int, backbone: Backbone) -> None:
        self.map = Class.shared


BROKEN: dict[str, type[Auxiliary]] = {
    "it_is_an_auxiliary_with_terms": Silent,
    "terms_are_named_finite_scalars": Unnamed,
    "gradients_reach_the_backbone": Constant,
    "every_own_parameter_has_a_gradient": Idle,
    "the_next_item_loss_stays": Meddling,
    "ranking_stays": Meddling,
    "a_weight_of_zero_leaves_no_term": Heavy,
    "the_seed_decides_the_terms": Counting,
    "a_batch_of_one_row_is_read": Lonely,
    "every_sampler_is_read": Partial,
    "every_encoder_is_read_or_refused": OnlyTransformers,
    "declared_relations_are_enough": Undeclared,
    "graph_and_batch_stay": Writing,
    "refresh_changes_no_weight": Training,
    "a_resumed_training_has_the_same_terms": Remembering,
    "a_copy_is_independent": Shared,
    "options_rebuild_it": Unwritten,
    "two_of_them_combine": Class,
}


def test_an_objective_that_keeps_the_claims_passes() -> None:
    check_auxiliary(Small)


@pytest.mark.parametrize("check", checks("auxiliary"))
def test_a_check_fails_for_an_objective_that_breaks_its_claim(check: Any) -> None:
    with pytest.raises(CheckError, match=f"(?s){check.name}.*checked:.*found:.*to do:"):
        check(BROKEN[check.name])
