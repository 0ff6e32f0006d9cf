"""Free compositions: any features, encoder and auxiliary objectives in one model.

No paper has these models. Each must learn a planted cycle, stay at chance on shuffled
targets, train all its parameters, and survive a file and a kill.
"""

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.data import Interactions, leave_one_out, synthetic
from graphseq.graphs import CoOccurrence, ItemVectors, Transitions, build_graph
from graphseq.models import PARTS, Auxiliary, Model
from graphseq.training import Run, load_run

TRANSFORMER = {"Transformer": {"layers": 1, "dropout": 0.1}}
LEARNABLE = {"Transformer": {"layers": 1, "learnable": {"LearnableDropout": {}}}}
GRU = {"GRU": {"hidden": 16, "dropout": 0.1}}
CONVOLUTION = {"Convolution": {"window": 3, "dropout": 0.1}}
Part = dict[str, dict[str, Any]]

EMBEDDING, ITEM = {"Embedding": {}}, {"Propagated": {}}
PRECEDES = {"Propagated": {"relation": "precedes"}}
EVENTS = {"Propagated": {"relation": "interacts", "target_edges": "left_out"}}
TEXTS: Part = {"Pretrained": {"size": 6, "adapter": "mlp"}}
TEXTS_AND_IDS: Part = {"Pretrained": {"size": 6, "ids": True, "trained": True}}
OVER_ITEMS: Part = {"Propagated": {"table": TEXTS_AND_IDS}}
SHARED = {
    "Fused": {"parts": [ITEM, PRECEDES, {"Propagated": {"relation": "interacts"}}]}
}
FILTER = {"FrequencyAttention": {"padding": "zero", "cutoff": 1, "dropout": 0.1}}
INFORMED = {"InformedAugmentation": {"offline_epochs": 1, "threshold": 2}}


def compose(features: Part, encoder: Part, *auxiliaries: Part, **options: Any) -> Any:
    sizes = {"dim": 16, "max_length": 4}
    backbone = {**sizes, "features": features, "encoder": encoder, **options}
    return {"backbone": backbone, "auxiliaries": [*auxiliaries]}


STEP: Part = {"GraphEncoder": {"layers": 1}}
INTERESTS: Part = {"InterestContrast": {"encoder": STEP}}
USERS: Part = {"FeatureContrast": {"kind": "user"}}
ITEMS: Part = {"FeatureContrast": {"kind": "item", "encoder": STEP}}
FUTURE = {"item_weight": 0.1, "sequence_weight": 0.05}
COMPOSITIONS: dict[str, dict[str, Any]] = {
    "convolution, informed views": compose(
        EMBEDDING, CONVOLUTION, {"ViewContrast": {"augmentation": INFORMED}}
    ),
    "item graph, GRU, the next item first, then targets": compose(
        ITEM, GRU, {"NextItemFirst": {"epochs": 1}}, {"TargetContrast": {}}
    ),
    "item graph, GRU, views and targets": compose(
        ITEM, GRU, {"ViewContrast": {}}, {"TargetContrast": {}}
    ),
    "transitions, transformer, targets and intents": compose(
        PRECEDES,
        TRANSFORMER,
        {"TargetContrast": {"mode": "us"}},
        {"IntentContrast": {"clusters": [4]}},
        loss="gbce",
        num_negatives=3,
    ),
    "GRU, intents after a warm-up": compose(
        EMBEDDING,
        GRU,
        {"IntentContrast": {"clusters": [3], "sequence_weight": 0.1, "warm_up": 1}},
    ),
    "item graph, transformer, explained views": compose(
        ITEM, TRANSFORMER, {"ExplainedViews": {"updates": [1, 4]}}, sampler="prefix"
    ),
    "transitions, GRU, explained and random views": compose(
        PRECEDES,
        GRU,
        {"ExplainedViews": {"updates": [2], "explanation": "gradients"}},
        {"ViewContrast": {"weight": 0.05}},
    ),
    "transformer, learned views and the future": compose(
        EMBEDDING, TRANSFORMER, {"LearnedViews": {}}, {"DisentangledFuture": FUTURE}
    ),
    "item graph, convolution, learned views": compose(
        ITEM, CONVOLUTION, {"LearnedViews": {"shared": True}}, sampler="prefix"
    ),
    "transformer, augmented model and item features": compose(
        EMBEDDING,
        TRANSFORMER,
        {"ModelAugmentation": {"pretrain_epochs": 1, "pooling": "mean"}},
        ITEMS,
    ),
    "transitions, convolution, augmented model and interests": compose(
        PRECEDES,
        CONVOLUTION,
        {"ModelAugmentation": {"complement_weight": 0.0, "pooling": "last"}},
        INTERESTS,
    ),
    "item graph, transformer, three objectives": compose(
        ITEM,
        TRANSFORMER,
        {"MutualInformation": {"variant": "ISP", "pretrain_epochs": 1}},
        {"IntentContrast": {"clusters": [4]}},
        INTERESTS,
        mask_token=True,
    ),
    "GRU, interests and both features": compose(
        EMBEDDING, GRU, INTERESTS, USERS, ITEMS
    ),
    "three relations, filter, views": compose(
        SHARED, FILTER, {"ViewContrast": {}}, sampler="prefix"
    ),
    "three relations by a gate, GRU, users by a gate": compose(
        {"Fused": {**SHARED["Fused"], "how": "gate"}},
        GRU,
        users={"UserContext": {"source": "graph", "relation": "user", "join": "gate"}},
    ),
    "normalized events without targets, transformer, users as a token": compose(
        {"Normalized": {"features": EVENTS}},
        {"Transformer": {"layers": 1, "dropout": 0.1, "max_length": 5}},
        {"TargetContrast": {}},
        users={"UserContext": {"join": "token"}},
        sampler="prefix",
    ),
    "item graph, transformer, users of the events, interests of histories": compose(
        ITEM,
        TRANSFORMER,
        {"InterestContrast": {"users": "history", "relation": "precedes"}},
        users={"UserContext": {"source": "graph"}},
    ),
    "vectors of texts, transformer, views": compose(
        TEXTS, TRANSFORMER, {"ViewContrast": {}}
    ),
    "vectors and ids over the item graph, GRU, targets": compose(
        OVER_ITEMS, GRU, {"TargetContrast": {}}
    ),
    "transitions, learnable dropout and the future": compose(
        PRECEDES,
        LEARNABLE,
        {"LearnableDropoutContrast": {"augmentation": INFORMED}},
        {"DisentangledFuture": {**FUTURE, "pretrain_epochs": 1}},
    ),
}
OPTIONS: dict[str, Any] = {
    "batch_size": 64,
    "lr": 0.03,
    "progress": False,
    "threads": 1,
}
OPTIONS["patience"] = None  # else a slow start ends the run
EPOCHS, SHORT = 11, 3  # to learn the cycle, of a killed run


def graph_of(log: Interactions) -> HeteroData:
    vectors = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    table = pl.DataFrame({"item": log.items.ids, "vector": vectors.tolist()})
    steps = [CoOccurrence("user"), CoOccurrence("item"), Transitions()]
    return build_graph(leave_one_out(log), [*steps, ItemVectors(table)])


@pytest.fixture(scope="session")
def cycle() -> HeteroData:
    """48 users walk a ring of 12 items; the next item is certain."""
    return graph_of(synthetic.cycle(48, 12, length=9, seed=0))


@pytest.fixture(scope="session")
def shuffled(lab) -> HeteroData:
    """120 users whose next item is random."""
    return graph_of(lab.shuffle(synthetic.cycle(120, 12, length=9, seed=0)))


@pytest.fixture(params=COMPOSITIONS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def made(lab, name: str, graph: HeteroData, seed: int = 0) -> Model:
    return lab.build("SequenceModel", graph, seed=seed, **COMPOSITIONS[name])


def train(model: Model, graph: HeteroData, **options: Any) -> Run:
    return fit(model, graph, **(OPTIONS | {"accelerator": "cpu"} | options))


def test_every_auxiliary_is_in_a_composition() -> None:
    known = {n for n, part in PARTS.items() if issubclass(part, Auxiliary)}
    used = {n for c in COMPOSITIONS.values() for part in c["auxiliaries"] for n in part}
    assert used == known
    pairs = {
        (str(c["backbone"]["features"]), *c["backbone"]["encoder"])
        for c in COMPOSITIONS.values()
    }
    assert len(COMPOSITIONS) >= 12 and len(pairs) == 14


def test_a_composition_trains_all_its_parameters(
    lab, name: str, cycle: HeteroData
) -> None:
    model = made(lab, name, cycle)
    model.check(cycle)
    with torch.no_grad():
        for epoch in range(max(model.warmup, 1) + 1):
            model.refresh(cycle, epoch)
    model.train()
    torch.manual_seed(0)
    for stage in model.stages():
        for batch in lab.load(model, cycle, sampler=stage.sampler):
            for step in stage.steps:
                torch.stack([*step.losses(batch, cycle).values()]).sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), f"{parameter_name} is not trained"


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_composition_learns_the_cycle(lab, name: str, cycle: HeteroData) -> None:
    """HR@3, chance 0.25."""
    model = made(lab, name, cycle)
    lab.train(model, cycle, EPOCHS, lr=0.03)
    assert lab.hit_rate(model, cycle, 3) > 0.9


@pytest.mark.usefixtures("unchecked_shapes")
def test_on_shuffled_targets_a_composition_stays_at_chance(
    lab, name: str, shuffled: HeteroData
) -> None:
    """120 users: 0.25 ± 0.04."""
    model = made(lab, name, shuffled)
    lab.train(model, shuffled, 8, lr=0.03, batch_size=320)
    assert lab.hit_rate(model, shuffled, 3) < 0.25 + 4 * 0.04


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_killed_composition_resumes_bit_for_bit_and_survives_a_file(
    lab, name: str, cycle: HeteroData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the start of the last epoch; the resumed model has other weights."""
    options: dict[str, Any] = {
        "max_epochs": SHORT,
        "monitor": None,
        "batch_size": 150,  # of 288: two steps an epoch
    }
    unbroken, folder = made(lab, name, cycle, seed=1), tmp_path / "killed"
    refresh = type(unbroken).refresh

    def copying(self: Model, graph: HeteroData, epoch: int) -> None:
        """Keep what a process leaves that is killed here."""
        if epoch == SHORT - 1:
            shutil.copytree(tmp_path / "unbroken", folder)
        refresh(self, graph, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(type(unbroken), "refresh", copying)
        train(unbroken, cycle, folder=tmp_path / "unbroken", **options)
    assert load_run(folder).epochs == SHORT - 1 and not load_run(folder).finished
    resumed = made(lab, name, cycle, seed=2)
    run = train(resumed, cycle, folder=folder, resume=True, **options)
    assert run.finished and run.epochs == SHORT
    batch = lab.test_batch(unbroken, cycle)
    loaded = load_run(folder).model(cycle)
    assert torch.equal(loaded.score(batch, cycle), unbroken.score(batch, cycle))
    expected = unbroken.state_dict()
    for key, tensor in resumed.state_dict().items():
        assert torch.equal(tensor, expected[key]), key
    for key, tensor in resumed.epoch_state.items():
        assert torch.equal(tensor, unbroken.epoch_state[key]), key
