"""The contract of a model, and the one line of mathematics that all share."""

import inspect
import math
import types
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError, GraphError
from graphseq.models import MODELS, Model
from graphseq.sequences import Batch


class Interests(Model):
    """Two vectors a user, two items."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items

    def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
        return torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[-1.0, 0.0], [-3.0, -1.0]]])

    def item_vectors(self, graph: HeteroData) -> Tensor:
        return torch.eye(2)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Tensor]:
        return {}


def batch() -> Batch:
    return Batch(
        torch.tensor([0, 1]), torch.tensor([[2], [2]]), torch.tensor([0, 0]), 2
    )


def test_an_item_is_scored_by_the_interest_that_likes_it_best() -> None:
    model = Interests(2, 2)
    scores = model.score(batch(), HeteroData())
    assert scores.tolist() == [[1.0, 2.0], [-1.0, 0.0]]


def test_scoring_uses_the_item_vectors_that_it_is_given() -> None:
    model = Interests(2, 2)
    scores = model.score(batch(), HeteroData(), 2 * torch.eye(2))
    assert scores.tolist() == [[2.0, 4.0], [-2.0, 0.0]]


def test_a_model_without_losses_cannot_be_built() -> None:
    class Half(Model):
        def represent(self, batch: Batch, graph: HeteroData) -> Tensor:
            return torch.ones(1, 1)

    with pytest.raises(TypeError, match="abstract"):
        Half()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_names_its_sizes_and_keeps_its_options_for_keywords(name: str) -> None:
    parameters = [*inspect.signature(MODELS[name]).parameters.values()]
    assert [p.name for p in parameters[:2]] == ["num_users", "num_items"]
    for parameter in parameters[2:]:
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is not parameter.empty
    model = MODELS[name](3, 4)
    assert (model.num_users, model.num_items) == (3, 4)


UNUSED = {"num_negatives": "the softmax draws none"}
FREE = {"logit": "any real number"}


@pytest.mark.parametrize("name", MODELS)
def test_a_number_that_cannot_be_is_refused_by_name(name: str) -> None:
    for option, p in inspect.signature(MODELS[name]).parameters.items():
        union = isinstance(p.annotation, types.UnionType)
        kinds = set(get_args(p.annotation)) if union else {p.annotation}
        wrong = -1 if int in kinds else -0.5 if float in kinds else None
        if wrong is None or option in {*UNUSED, *FREE, "num_users", "num_items"}:
            continue
        for value in {wrong, math.nan} if float in kinds else {wrong}:
            with pytest.raises(ConfigError, match=f"{option}="):
                MODELS[name](5, 9, **{option: value})


@pytest.mark.parametrize("name", MODELS)
def test_every_option_is_explained(name: str) -> None:
    cls = MODELS[name]
    told = inspect.getdoc(cls) or ""
    for option in inspect.signature(cls).parameters:
        assert f"\n    {option}: " in told, f"{name} does not explain {option}"


@pytest.mark.parametrize("name", [n for n in MODELS if MODELS[n].requires])
def test_a_graph_without_a_required_relation_is_refused(
    lab, name: str, t1: HeteroData
) -> None:
    model = lab.build(name, t1)
    for relation in model.requires:
        less = t1.clone()
        del less[relation]
        with pytest.raises((GraphError, KeyError, AttributeError)) as caught:
            model.losses(lab.load(model, t1, batch_size=8)[0], less)
        assert caught.type is GraphError, relation
