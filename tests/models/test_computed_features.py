"""Features are computed once for an evaluation, which gives the same numbers."""

import copy

import pytest
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.models import Model
from graphseq.models.computed_features import Computed, with_computed_features
from graphseq.nn import Embedding, Propagated

PROPAGATED = {"Propagated": {"layers": 2}}
MODELS = {
    "SASRec": {"backbone": {"features": PROPAGATED}},
    "BERT4Rec": {"backbone": {"features": PROPAGATED}},
    "SRGNN": {"features": PROPAGATED},
    "ComiRec": {"features": PROPAGATED, "interests": 2},
    "CL4SRec": {"backbone": {"features": PROPAGATED}},
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, lab, noise: HeteroData) -> Model:
    return lab.build(request.param, noise, **MODELS[request.param]).eval()


def test_an_evaluation_propagates_once_and_ranks_the_same(
    model: Model, lab, noise: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = Propagated.forward

    def counted(self, *args):
        calls.append(self)
        return original(self, *args)

    batch = lab.test_batch(model, noise)
    with torch.no_grad():
        expected = model.score(batch, noise)
    monkeypatch.setattr(Propagated, "forward", counted)
    gs.evaluate(model, noise, batch_size=8)
    assert len(calls) == 1
    with torch.no_grad():
        for first, block in model.scorer(noise).blocks(batch):
            rows = expected[first : first + len(block)]
            torch.testing.assert_close(block[:, : model.num_items], rows)


def test_the_model_itself_is_not_changed(model: Model, noise: HeteroData) -> None:
    before = copy.deepcopy(model.state_dict())
    parts = [*model.modules()]
    fixed = with_computed_features(model, noise)
    assert any(isinstance(part, Computed) for part in fixed.modules())
    assert all(a is b for a, b in zip(parts, model.modules(), strict=True))
    assert model.state_dict().keys() == before.keys()
    shared = {id(p) for p in model.parameters()}
    others = [p for p in fixed.parameters() if id(p) not in shared]
    assert [len(p) for p in others] == [model.num_items]


def test_models_with_a_table_are_used_as_they_are(lab, noise: HeteroData) -> None:
    model = lab.build("SASRec", noise)
    assert with_computed_features(model, noise) is model
    assert any(isinstance(part, Embedding) for part in model.modules())


def test_a_scorer_follows_the_weights_no_longer(model: Model, noise, lab) -> None:
    """As the item vectors of every scorer: after more training, create a new one."""
    batch = lab.test_batch(model, noise)
    table = next(p for p in model.modules() if isinstance(p, Propagated)).weight
    with torch.no_grad():
        scorer = model.scorer(noise)
        first = [block.clone() for _, block in scorer.blocks(batch)]
        table.neg_()
        second = [block.clone() for _, block in scorer.blocks(batch)]
    torch.testing.assert_close(first, second)
