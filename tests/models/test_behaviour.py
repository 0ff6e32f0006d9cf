"""What every model must do, whatever its paper.

Each model of ``MODELS`` runs the whole suite, in a small size (see conftest.py).
"""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch_geometric.data import HeteroData

from graphseq import evaluate, fit
from graphseq.data import Interactions, Split, by_user, leave_one_out, synthetic
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.models import MODELS, DirectModel, Model, create
from graphseq.schema import describe
from graphseq.sequences import Batch
from graphseq.training import Run

FIELDS = ("item", "time")
PROPAGATED = {"Propagated": {"dim": 16}}
GRU = {"GRU": {"dropout": 0.1}}


def backbone(**options: Any) -> dict[str, Any]:
    return {"backbone": options}


def objective(**options: Any) -> dict[str, Any]:
    return {"objective": options}


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in MODELS},
    "SASRec, pre-LN from the end": (
        "SASRec",
        backbone(encoder={"Transformer": {"norm": "pre", "positions": "end"}}),
    ),
    "SASRec, original": (
        "SASRec",
        backbone(
            encoder={
                "Transformer": {
                    "heads": 1,
                    "inner": 16,
                    "norm": "query",
                    "activation": "relu",
                    "scale": True,
                    "positions": "end",
                }
            },
            loss="bce",
            sampler="user",
        ),
    ),
    "SASRec, sampled": (
        "SASRec",
        backbone(loss="sampled", num_negatives=8),
    ),
    "SASRec, gbce by prefix": (
        "SASRec",
        backbone(loss="gbce", num_negatives=3, sampler="prefix"),
    ),
    "SASRec, propagated": ("SASRec", backbone(features=PROPAGATED)),
    "FMLPRec, zero padding": (
        "FMLPRec",
        backbone(encoder={"FourierFilter": {"padding": "zero"}}, loss="bce"),
    ),
    "BSARec, zero padding": (
        "BSARec",
        backbone(encoder={"FrequencyAttention": {"padding": "zero", "heads": 2}}),
    ),
    "BSARec, empty histories": ("BSARec", backbone(empty_history=True)),
    "WEARec, zero padding": (
        "WEARec",
        backbone(encoder={"WaveletFilter": {"padding": "zero"}}, features=PROPAGATED),
    ),
    "TVRec, orthogonal": ("TVRec", {"reg": 1e-3}),
    "TVRec, by position": (
        "TVRec",
        backbone(
            encoder={"TimeVariantFilter": {"taps": "position"}}, sampler="targets"
        ),
    ),
    "Caser, original": (
        "Caser",
        {
            "steps": 3,
            "output": "separate",
            "norm_weight": 1e-4,
            **backbone(loss="bce"),
        },
    ),
    "Caser, without users": (
        "Caser",
        {"user_vector": False, **backbone(sampler="prefix")},
    ),
    "ComiRec, three interests": ("ComiRec", {"interests": 3}),
    "SRGNN, propagated": ("SRGNN", {"features": PROPAGATED}),
    "GCSAN, deep": ("GCSAN", {"layers": 2, "heads": 2, "steps": 2, "binary": False}),
    "CL4SRec, per user": (
        "CL4SRec",
        {
            "pooling": "flatten",
            "augmentation": {
                "CropMaskReorder": {"distinct": False, "reach_last": False}
            },
            **backbone(sampler="user", loss="bce"),
        },
    ),
    "CL4SRec, augmented": (
        "CL4SRec",
        {"contrast_weight": 0.0, "view_targets": True, **backbone(encoder=GRU)},
    ),
    "CoSeRec, by the last state": (
        "CoSeRec",
        {
            "pooling": "last",
            "augmentation": {"similarity": "online"},
            **backbone(sampler="prefix"),
        },
    ),
    "LMA4Rec, concrete": (
        "LMA4Rec",
        backbone(
            encoder={
                "Transformer": {
                    "learnable": {
                        "LearnableDropout": {"estimator": "concrete", "units": 16}
                    }
                }
            }
        ),
    ),
    "SRMA, code": (
        "SRMA",
        {
            **objective(pooling="flatten", skips="same", complement_weight=0.0),
            **backbone(loss="bce", encoder={"Transformer": {"positions": "end"}}),
        },
    ),
    "SRMA, layers alone": (
        "SRMA",
        {
            "appended_serve": False,
            **objective(complement_weight=0.0, neuron_masking=False, pooling="flatten"),
            **backbone(mask_token=True),
        },
    ),
    "ICLRec, paper": (
        "ICLRec",
        {
            **objective(
                clusters=[3, 2],
                fnm="both",
                form="paper",
                sequence_pooling="mean",
                sequence_weight=0.2,
            ),
            **backbone(loss="bce", encoder={"Transformer": {"positions": "end"}}),
        },
    ),
    "MCLRec, paper": (
        "MCLRec",
        {
            "encoder_steps": [1, 0],
            **objective(r_scope="batch", r_pairs=1, gamma2=None, normalize=False),
            **backbone(mask_token=True),
        },
    ),
    "MCLRec, joint and shared": ("MCLRec", {"joint": True, **objective(shared=True)}),
    "DuoRec, all views by window": (
        "DuoRec",
        {**objective(mode="us"), **backbone(sampler="targets")},
    ),
    "EC4SRec, SSL": (
        "EC4SRec",
        {**objective(target_weight=0.0), **backbone(mask_token=True)},
    ),
    "EC4SRec, SL by gradients": (
        "EC4SRec",
        objective(
            view_weight=0.0, negative_weight=0.0, explanation="gradients", updates=2
        ),
    ),
    "EC4SRec, paper": (
        "EC4SRec",
        objective(
            augmentation={"mu": 0.5, "negative": ["crop", "mask"]},
            denominator="paper",
            utility="paper",
            explanation="saliency",
        ),
    ),
    "EC4SRec on a GRU": ("EC4SRec", backbone(encoder=GRU)),
    "MCLSR, paper": (
        "MCLSR",
        {"softmax": "uniform", "sampler": "prefix", "num_negatives": 5},
    ),
    "MCLSR, without target edges": (
        "MCLSR",
        {"sampler": "prefix", "target_edges": "left_out"},
    ),
    "MCLSR, reference": (
        "MCLSR",
        {
            "softmax": "in_batch",
            "sampler": "prefix",
            "positions": "recency",
            "key_dropout": 0.3,
            "graph_dropout": 0.3,
            "shared_head": False,
            "similarity": "dot",
            "scheme": "symmetric",
            "mask_same_user": False,
        },
    ),
    "MCLSR, log-uniform": ("MCLSR", {"softmax": "log_uniform", "num_negatives": 5}),
}
CLOSED = ["ItemKNN", "EASE", "GFCF"]
GENERAL = ["BPRMF", "LightGCN", "SimGCL", "XSimGCL", *CLOSED]
SEQUENTIAL = [name for name in MODELS if name not in {"POP", "Repeat", *GENERAL}]
SLOW = {"BERT4Rec": (30, 0.005), "S3Rec": (20, 0.03)}
"""Epochs and learning rate to learn the cycle; the others need 12 and 0.03."""
SPLITS = [(v, by_user) for v in VARIANTS] + [(name, leave_one_out) for name in MODELS]


def made(lab, variant: str, graph: HeteroData, *, seed: int = 0) -> Model:
    """A variant of a model, built for a graph; its parts are named as in a file."""
    name, options = VARIANTS[variant]
    return lab.build(name, graph, seed=seed, **options)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(lab, variant: str, cycle: HeteroData) -> Model:
    return made(lab, variant, cycle).eval()


@pytest.fixture
def batch(lab, model: Model, cycle: HeteroData) -> Batch:
    """Histories of 1 to 4 items, so that there is padding."""
    full = lab.test_batch(model, cycle)
    width = full.items.shape[1]
    lengths = (torch.arange(len(full)) % width + 1).minimum(full.lengths)
    mask = torch.arange(width) < lengths[:, None]
    items = full.items.masked_fill(~mask, full.num_items)
    return replace(full, items=items, lengths=lengths)


def rows(batch: Batch, chosen: torch.Tensor) -> Batch:
    picked = {n: getattr(batch, n)[chosen] for n in ("user", "items", "lengths")}
    return replace(batch, **picked)


def test_every_parameter_receives_a_gradient(
    lab, model: Model, cycle: HeteroData
) -> None:
    last = max(model.warmup, 1)
    for epoch in range(last + 1):
        with torch.no_grad():
            model.refresh(cycle, epoch)
    model.train()
    torch.manual_seed(0)
    for stage in model.stages():
        for batch in lab.load(model, cycle, sampler=stage.sampler):
            for step in stage.steps:
                terms = step.losses(batch, cycle)
                if terms:
                    torch.stack([*terms.values()]).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), f"{name} is not trained"


def test_losses_are_finite_scalars_with_names(
    lab, model: Model, cycle: HeteroData
) -> None:
    with torch.no_grad():
        model.refresh(cycle, 0)
    terms = model.losses(lab.load(model, cycle)[0], cycle)
    assert bool(terms) == bool([*model.parameters()])
    for name, term in terms.items():
        assert name.isidentifier() and term.shape == () and term.isfinite()


def test_scores_are_one_column_for_each_real_item(
    model: Model, batch: Batch, cycle: HeteroData
) -> None:
    """Padding, which is item V, can never be recommended."""
    scores = model.score(batch, cycle)
    assert scores.shape == (len(batch), 12) and scores.isfinite().all()
    assert batch.num_items == 12
    assert not scores.requires_grad


def test_scores_are_inner_products_where_there_are_vectors(
    model: Model, batch: Batch, cycle: HeteroData
) -> None:
    scores = model.score(batch, cycle)
    if isinstance(model, DirectModel):
        with pytest.raises(ConfigError, match="has no vectors of users and items"):
            model.item_vectors(cycle)
        return
    items = model.item_vectors(cycle)
    assert items.shape[0] == 12
    expected = model.represent(batch, cycle) @ items.T
    if expected.dim() == 3:  # of K interests the best
        expected = expected.amax(dim=1)
    torch.testing.assert_close(scores, expected)
    assert torch.equal(scores, model.score(batch, cycle, items))


def test_padding_changes_no_score(
    model: Model, batch: Batch, cycle: HeteroData
) -> None:
    short = replace(batch, items=batch.items[:, :2], lengths=batch.lengths.clamp(max=2))
    longer = replace(short, items=F.pad(short.items, (0, 2), value=12))
    torch.testing.assert_close(model.score(longer, cycle), model.score(short, cycle))


def test_a_rows_scores_do_not_depend_on_its_batch(
    model: Model, batch: Batch, cycle: HeteroData
) -> None:
    whole = model.score(batch, cycle)
    for i in (0, 1, len(batch) - 1):
        alone = rows(batch, torch.tensor([i]))
        width = int(alone.lengths.max())
        alone = replace(alone, items=alone.items[:, :width])
        torch.testing.assert_close(model.score(alone, cycle)[0], whole[i])
    order = torch.arange(len(batch)).flip(0)
    torch.testing.assert_close(model.score(rows(batch, order), cycle), whole[order])


def test_a_user_without_a_history_has_finite_scores(
    model: Model, batch: Batch, cycle: HeteroData
) -> None:
    empty = torch.full((2, 1), 12)
    user, lengths = torch.tensor([0, 1]), torch.tensor([0, 0])
    scores = model.score(Batch(user, empty, lengths, 12), cycle)
    assert scores.isfinite().all()


def test_scoring_is_repeatable_and_leaves_the_model_as_it_was(
    model: Model, batch: Batch, cycle: HeteroData
) -> None:
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(model.score(batch, cycle), model.score(batch, cycle))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.usefixtures("unchecked_shapes")
def test_the_seed_decides_the_weights_and_every_loss(
    lab, variant: str, cycle: HeteroData
) -> None:
    losses = []
    for seed in (3, 3, 4):
        built = made(lab, variant, cycle, seed=seed)
        losses.append(lab.train(built, cycle, 1, seed=seed))
    assert losses[0] == losses[1]
    assert not losses[0] or losses[0] != losses[2]


def test_weights_survive_a_file(
    lab, variant: str, model: Model, batch: Batch, cycle: HeteroData, tmp_path: Path
) -> None:
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = made(lab, variant, cycle, seed=9).eval()
    parameters = [*other.parameters()]
    assert not parameters or not torch.equal(
        other.score(batch, cycle), model.score(batch, cycle)
    )
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.score(batch, cycle), model.score(batch, cycle))


def test_a_description_rebuilds_an_equal_model(
    model: Model, batch: Batch, cycle: HeteroData
) -> None:
    spec = json.loads(json.dumps(describe(model)))
    other = create(spec, 48, 12).eval()
    assert describe(other) == describe(model)
    assert (other.max_length, other.sampler, other.num_negatives) == (
        model.max_length,
        model.sampler,
        model.num_negatives,
    )
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.score(batch, cycle), model.score(batch, cycle))


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_is_a_model_of_its_own(
    way: str, model: Model, batch: Batch, cycle: HeteroData
) -> None:
    deep = way == "deepcopy"
    other = copy.deepcopy(model) if deep else pickle.loads(pickle.dumps(model))
    assert describe(other) == describe(model)
    assert torch.equal(other.score(batch, cycle), model.score(batch, cycle))
    for mine, its in zip(other.parameters(), model.parameters(), strict=True):
        assert mine.data_ptr() != its.data_ptr()


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_cycle_is_learned(lab, name: str, cycle: HeteroData) -> None:
    """HR@3, chance 0.25. At rank 1, MCLSR may have the last item of the history: it
    ranks by one half of the blend that it trains, a mean of the history's vectors.
    """
    model = lab.build(name, cycle)
    epochs, lr = SLOW.get(name, (12, 0.03))
    losses = lab.train(model, cycle, epochs, lr=lr)
    assert losses[-1] < 0.9 * losses[0]
    assert lab.hit_rate(model, cycle, 3) > 0.9


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_on_shuffled_targets_a_model_stays_at_chance(
    lab, name: str, shuffled_cycle: HeteroData
) -> None:
    """A higher hit rate would show a leak; 120 users: 0.25 ± 0.04."""
    model = lab.build(name, shuffled_cycle)
    epochs, lr = SLOW.get(name, (12, 0.03))
    lab.train(model, shuffled_cycle, epochs, lr=lr, batch_size=320)
    assert lab.hit_rate(model, shuffled_cycle, 3) < 0.25 + 4 * 0.04


def test_users_with_three_events_and_batches_of_one_row_train(
    lab, variant: str
) -> None:
    """Leave-one-out keeps one event of theirs, which most samplers skip."""
    log = synthetic.cycle(6, 6, length=3, seed=0)
    longer = synthetic.cycle(6, 6, length=5, seed=1)
    user = np.concatenate([log.user, longer.user + 6])
    item, time = (np.concatenate([getattr(log, n), getattr(longer, n)]) for n in FIELDS)
    graph = lab.graph_of(Interactions.from_arrays(user, item, time))
    built = made(lab, variant, graph)
    losses = lab.train(built, graph, 1, batch_size=1)
    assert np.isfinite(losses).all()
    assert bool(losses) == bool([*built.parameters()])
    assert built.score(lab.test_batch(built, graph), graph).isfinite().all()


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.filterwarnings("ignore:.* epochs before all of its losses begin")
@pytest.mark.parametrize("variant, split", SPLITS)
def test_a_model_runs_with_every_split_or_refuses_it(
    lab, variant: str, split: Callable[..., Split]
) -> None:
    log = synthetic.cycle(40, 12, length=9, seed=0)
    graph = build_graph(split(log), [CoOccurrence("user"), CoOccurrence("item")])
    built = made(lab, variant, graph)
    before = sum(stage.epochs or 0 for stage in built.stages())

    def run() -> Run:
        epochs = before + 1
        return fit(built, graph, max_epochs=epochs, progress=False, accelerator="cpu")

    if built.has_user_embeddings and split is by_user:
        with pytest.raises(GraphError, match="has a vector for each user"):
            run()
        return
    run()
    assert 0 <= evaluate(built, graph)["kept"]["NDCG@10"] <= 1


def own_quarter(lab, model: Model, graph: HeteroData) -> float:
    """Fraction of the three best items that are of the user's own quarter."""
    best = model.score(lab.test_batch(model, graph), graph).topk(3).indices
    raw = torch.tensor(graph["item"].vocabulary.decode(best.flatten().numpy()))
    quarter = graph.test.user[:, None] % 4
    return (raw.view_as(best) // 6 == quarter).float().mean().item()


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", GENERAL)
def test_communities_are_learned(lab, name: str, quarters: HeteroData) -> None:
    """Chance is a quarter, and 3 of 24 hit; a perfect model hits 3 of 6."""
    model = lab.build(name, quarters)
    lab.train(model, quarters, 10, lr=0.02, batch_size=256)
    assert own_quarter(lab, model, quarters) > 0.95
    assert lab.hit_rate(model, quarters, 3) > 0.35


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", GENERAL)
def test_without_communities_a_model_stays_at_chance(
    lab, name: str, shuffled_quarters: HeteroData
) -> None:
    """400 users: 0.125 ± 0.0165 hit."""
    model = lab.build(name, shuffled_quarters)
    lab.train(model, shuffled_quarters, 10, lr=0.02, batch_size=1024)
    assert own_quarter(lab, model, shuffled_quarters) < 0.35
    assert lab.hit_rate(model, shuffled_quarters, 3) < 0.125 + 4 * 0.0165


def test_ranking_reads_the_scores_of_the_model(
    model: Model, batch: Batch, cycle: HeteroData
) -> None:
    """Blocks of the scorer, which everything that ranks reads, are these scores."""
    with torch.no_grad():
        blocks = [b.clone() for _, b in model.scorer(cycle).blocks(batch)]
    found = torch.cat(blocks)
    torch.testing.assert_close(found[:, :12], model.score(batch, cycle))
    assert found[:, 12:].eq(-torch.inf).all()
    assert found.shape[1] > 12


def test_popularity_cannot_learn_communities(lab, quarters: HeteroData) -> None:
    model = lab.build("POP", quarters)
    assert own_quarter(lab, model, quarters) == pytest.approx(0.25)
