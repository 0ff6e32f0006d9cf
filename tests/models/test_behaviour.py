"""What every model must do, whatever its paper.

Each model of ``MODELS`` passes all checks of ``graphseq.testing``, in a small size (see
conftest.py), and each variant those that do not train.
"""

import pickle
from collections.abc import Callable
from typing import Any

import jaxtyping
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import MODELS, DirectModel, Model, create
from graphseq.schema import describe
from graphseq.specs import merge
from graphseq.testing import check_model, checks

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
GENERAL = ["BPRMF", "LightGCN", "SimGCL", "XSimGCL", "ItemKNN", "EASE", "GFCF"]
TRAINING: dict[str, dict[str, Any]] = {
    **{name: {"learns": "nothing"} for name in ("POP", "Repeat")},
    **{name: {"learns": "communities", "epochs": 10, "lr": 0.02} for name in GENERAL},
    "BERT4Rec": {"epochs": 24, "lr": 0.005},
    "S3Rec": {"epochs": 16},
    "DSSRec": {"epochs": 12},
}
"""What a model learns and how fast, where it is not the ring in 9 epochs."""
TRAINED = {
    "users_without_training_events_are_ranked_or_refused",
    "it_learns_a_planted_structure",
    "it_stays_at_chance_without_structure",
    "a_saved_run_gives_the_same_lists",
    "a_resumed_run_is_bit_equal",
}
"""The checks that train; their steps are those of the others, with checked shapes."""
OTHERS = {check.name for check in checks("model")} - TRAINED


def maker(lab, variant: str) -> Callable[[int, int], Model]:
    """Makes a small variant of a model; its parts are named as in a file."""
    name, options = VARIANTS[variant]
    spec = {name: merge(lab.small(name), options)}
    return lambda num_users, num_items: create(spec, num_users, num_items)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_passes_the_checks_of_scores_losses_and_state(
    lab, variant: str
) -> None:
    check_model(maker(lab, variant), skip=TRAINED)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", MODELS)
def test_a_model_passes_the_checks_of_training(lab, name: str) -> None:
    """It learns, finds nothing in noise, resumes, and runs with other splits.

    HR@3 of a ring counts, not HR@1: at rank 1, MCLSR may have the last item of the
    history. It ranks by one half of the blend that it trains, a mean of its vectors.
    """
    check_model(maker(lab, name), skip=OTHERS, **{"epochs": 9} | TRAINING.get(name, {}))


@pytest.mark.parametrize("name", MODELS)
def test_a_step_defines_no_functions(
    lab, name: str, cycle: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests check the shapes of a function, for 2 CPU milliseconds, where it is made.

    Made in each step, two functions take a third of the time of a short training.
    """
    model = lab.build(name, cycle)
    stages = model.stages()
    with torch.no_grad():
        model.refresh(cycle, 1)
    monkeypatch.setattr(jaxtyping, "jaxtyped", lambda **_: pytest.fail("a function"))
    for stage in stages:
        batch = lab.load(model, cycle, sampler=stage.sampler)[0].to("cpu")
        batch = stage.prepare(batch) if stage.prepare else batch
        for step in stage.steps:
            step.losses(batch, cycle)
    model.score(lab.test_batch(model, cycle), cycle)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_survives_a_pickle(lab, variant: str, cycle: HeteroData) -> None:
    """Processes of data loaders and of several devices get it this way."""
    model = maker(lab, variant)(48, 12).eval()
    other = pickle.loads(pickle.dumps(model))
    batch = lab.test_batch(model, cycle)
    assert describe(other) == describe(model)
    assert torch.equal(other.score(batch, cycle), model.score(batch, cycle))


def test_models_without_vectors_refuse_to_give_them(lab, cycle: HeteroData) -> None:
    direct = [name for name, kind in MODELS.items() if issubclass(kind, DirectModel)]
    assert len(direct) > 2
    for name in direct:
        model = lab.build(name, cycle)
        with pytest.raises(ConfigError, match="has no vectors of users and items"):
            model.item_vectors(cycle)


def own_quarter(lab, model: Model, graph: HeteroData) -> float:
    """Fraction of the three best items that are of the user's own quarter."""
    best = model.score(lab.test_batch(model, graph), graph).topk(3).indices
    raw = torch.tensor(graph["item"].vocabulary.decode(best.flatten().numpy()))
    quarter = graph.test.user[:, None] % 4
    return (raw.view_as(best) // 6 == quarter).float().mean().item()


def test_popularity_cannot_learn_communities(lab, quarters: HeteroData) -> None:
    model = lab.build("POP", quarters)
    assert own_quarter(lab, model, quarters) == pytest.approx(0.25)
