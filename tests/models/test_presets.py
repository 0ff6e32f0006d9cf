"""Presets and defaults against tables: a lost line would change what is published."""

import inspect
from typing import Any

import pytest

from graphseq.errors import ConfigError
from graphseq.models import MCLSR, MODELS, POP, ICLRec
from graphseq.nn import Transformer
from graphseq.schema import describe

END = {"encoder": {"positions": "end"}}
ATTENTION = {"attention_dropout": 0.1}
LIGHT = {"encoder": {"dropout": 0.1}}
BEAUTY = {
    "offline_epochs": 220,
    "threshold": 12,
    "short": ["insert", "substitute", "mask", "reorder"],
    "insert_rate": 0.5,
    "substitute_rate": 0.05,
}
INFORMED = (
    {
        "s3": {"loss": "bce"} | END,
        "recbole": {"sampler": "prefix", "pooling": "last"},
    },
    {
        "sports": {},
        "beauty": BEAUTY,
        "yelp": {"offline_epochs": 300, "insert_rate": 0.5},
    },
)
ICL = {"loss": "bce"} | END
AS_PRINTED = {
    "mask_token": True,
    "gamma2": None,
    "r_scope": "batch",
    "r_pairs": 1,
    "normalize": False,
    "encoder_steps": [1, 0],
}
LAYERS = {"dim": 64, "layers": 2, "heads": 2, "inner": None, "max_length": 50}
Changes = dict[str, dict[str, Any]]
PRESETS: dict[str, tuple[Changes, Changes]] = {  # by name, by data
    "GRU4Rec": (
        {"recbole": {"sampler": "prefix"}, "s3": {"loss": "bce", "sampler": "user"}},
        {},
    ),
    "Caser": (
        {
            "recbole": {
                "window": 10,
                "horizontal": 8,
                "dropout": 0.4,
                "norm_weight": 0.0001,
                "sampler": "prefix",
            },
            "original": {"dim": 50, "output": "separate", "steps": 3, "loss": "bce"},
        },
        {},
    ),
    "SASRec": (
        {
            "original": {
                "dim": 50,
                "heads": 1,
                "inner": 50,
                "norm": "query",
                "activation": "relu",
                "scale": True,
                "loss": "bce",
                "sampler": "user",
                "positions": "end",
            },
            "recbole": {"sampler": "prefix"},
            "s3": {"loss": "bce", "sampler": "user", "positions": "end"},
        },
        {},
    ),
    "BERT4Rec": (
        {
            "original": {},
            "recbole": {
                "dropout": 0.2,
                "mask_rate": 0.2,
                "drawn_by": "chance",
                "most_masked": None,
                "last_rate": 0.5,
                "sampler": "prefix",
            },
        },
        {},
    ),
    "S3Rec": (
        {
            "s3": {"pretrain_batch_size": 100} | END,
            "recbole": {"sampler": "prefix", "loss": "ce"},
        },
        {
            "beauty": {"pretrain_epochs": 150},
            "toys": {"pretrain_epochs": 150},
            "sports": {},
            "yelp": {},
        },
    ),
    "ComiRec": (
        {
            "books": {"sampler": "prefix"},
            "taobao": {"max_length": 50, "num_negatives": 2560, "sampler": "prefix"},
        },
        {},
    ),
    "MCLSR": (
        {
            "paper": {"softmax": "uniform", "sampler": "prefix"},
            "reference": {
                "interest_weight": 0.5,
                "user_weight": 0.025,
                "item_weight": 0.025,
                "temperature": 0.5,
                "similarity": "dot",
                "scheme": "symmetric",
                "shared_head": False,
                "mask_same_user": False,
                "positions": "recency",
                "key_dropout": 0.3,
                "graph_dropout": 0.3,
                "softmax": "in_batch",
                "sampler": "prefix",
            },
        },
        {},
    ),
    "CL4SRec": (
        {
            "recbole": {},
            "duorec": {
                "mask_token": True,
                "crop_keep": 0.6,
                "mask_rate": 0.3,
                "reorder_rate": 0.6,
            },
            "mclrec": {"crop_keep": 0.5, "mask_rate": 0.5, "reorder_rate": 0.8},
            "s3": {
                "sampler": "user",
                "loss": "bce",
                "pooling": "flatten",
                "crop_keep": 0.2,
                "mask_rate": 0.7,
                "reorder_rate": 0.2,
                "distinct": False,
                "reach_last": False,
            }
            | END,
            "augmented": {"contrast_weight": 0.0, "view_targets": True},
        },
        {"amazon": {}, "ml": {"crop_keep": 0.8, "mask_rate": 0.2}},
    ),
    "CoSeRec": INFORMED,
    "LMA4Rec": INFORMED,
    "SRMA": (
        {
            "s3": {
                "loss": "bce",
                "encoder": ATTENTION | END["encoder"],
            },
            "code": {
                "loss": "bce",
                "drops": "same",
                "complement_weight": 0.0,
                "encoder": ATTENTION | END["encoder"],
            },
            "recbole": {"sampler": "prefix", "pooling": "last"},
        },
        {},
    ),
    "DuoRec": ({"code": {}}, {"amazon": {}, "ml-1m": LIGHT}),
    "ICLRec": (
        {
            "code": ICL,
            "paper": {
                "fnm": "intents",
                "form": "paper",
                "sequence_pooling": "mean",
                "sequence_weight": 0.2,
            }
            | ICL,
        },
        {
            "beauty": {"encoder": {"layers": 1}},
            "sports": {},
            "toys": {"encoder": {"layers": 3}},
            "yelp": {},
            "ml-1m": {
                "max_length": 200,
                "sequence_weight": 0.0,
                "encoder": {"max_length": 200},
            },
        },
    ),
    "EC4SRec": (
        {
            "code": {"crop_order": "importance"},
            "paper": {
                "explanation": "saliency",
                "denominator": "paper",
                "mu": 0.5,
                "negative": ["crop", "mask"],
                "utility": "paper",
            },
        },
        {},
    ),
    "MCLRec": (
        {
            "code": {},
            "paper": AS_PRINTED,
            "joint": {"joint": True},
            "shared": {"shared": True},
            "without_r": {"gamma": 0.0, "gamma2": 0.0},
        },
        {
            "sports": {"cl1_weight": 0.04, "cl2_weight": 0.4},
            "beauty": {"cl1_weight": 0.0, "cl2_weight": 0.05},
            "yelp": {},
            "ml-1m": {"cl1_weight": 0.0, "cl2_weight": 0.01} | LIGHT,
        },
    ),
}
DEFAULTS: Changes = {
    "POP": {"counts": "train"},
    "BPRMF": {"dim": 64, "num_negatives": 1},
    "LightGCN": {"dim": 64, "layers": 3, "readout": "mean", "decay": 1e-4},
    "GRU4Rec": {
        "loss": "ce",
        "dim": 64,
        "hidden": 128,
        "layers": 1,
        "dropout": 0.3,
        "bias": False,
    },
    "Caser": {
        "loss": "ce",
        "dim": 64,
        "window": 5,
        "vertical": 4,
        "horizontal": 16,
        "dropout": 0.5,
        "steps": 1,
        "output": "tied",
        "user_vector": True,
        "norm_weight": 0.0,
    },
    "SASRec": LAYERS
    | {"dropout": 0.5, "norm": "post", "positions": "start"}
    | {"activation": "gelu", "scale": False},
    "BERT4Rec": LAYERS
    | {"dropout": 0.5, "attention_dropout": 0.2, "mask_rate": 0.6, "most_masked": 30}
    | {"drawn_by": "count", "last_rate": 1 / 11},
    "S3Rec": {
        "mask_rate": 0.2,
        "item_weight": 1.0,
        "segment_weight": 0.5,
        "attribute_weight": 0.2,
        "hidden_attribute_weight": 1.0,
        "pretrain_sampler": "prefix",
    },
    "DSSRec": {"prototypes": 4, "keep": 0.5, "item_weight": 1, "sequence_weight": 1},
    "ComiRec": {
        "dim": 64,
        "max_length": 20,
        "interests": 4,
        "hidden": None,
        "softmax": "log_uniform",
        "num_negatives": 1280,
    },
    "SRGNN": {"steps": 1, "binary": True, "bias": True},
    "GCSAN": {
        "steps": 1,
        "layers": 1,
        "heads": 1,
        "inner": None,
        "dropout": 0.2,
        "weight": 0.6,
    },
    "MCLSR": {
        "dim": 64,
        "max_length": 20,
        "layers": 2,
        "readout": "last",
        "alpha": 0.5,
        "softmax": "full",
        "interest_weight": 1.0,
        "user_weight": 0.05,
        "item_weight": 0.05,
        "temperature": 0.5,
        "similarity": "cosine",
        "scheme": "one_sided",
        "shared_head": True,
        "positions": "chronological",
        "key_dropout": 0.0,
        "graph_dropout": 0.0,
        "num_negatives": 1280,
    },
    "CL4SRec": {
        "sampler": "prefix",
        "loss": "ce",
        "pooling": "last",
        "mask_token": False,
        "distinct": True,
        "reach_last": True,
        "contrast_weight": 0.1,
        "temperature": 1.0,
        "crop_keep": 0.2,
        "mask_rate": 0.7,
        "reorder_rate": 0.2,
    },
    "CoSeRec": {
        "contrast_weight": 0.1,
        "threshold": 4,
        "short": ("insert", "substitute", "mask"),
        "similarity": "hybrid",
        "offline_epochs": 160,
        "sampler": "user",
        "loss": "ce",
        "pooling": "flatten",
        "temperature": 1.0,
        "crop_keep": 0.2,
        "mask_rate": 0.7,
        "reorder_rate": 0.7,
        "insert_rate": 0.4,
        "substitute_rate": 0.1,
    },
    "SRMA": {
        "contrast_weight": 0.1,
        "complement_weight": 0.5,
        "appended": 2,
        "dropped": 1,
        "drops": "distinct",
        "pooling": "flatten",
        "sampler": "user",
        "loss": "ce",
        "appended_serve": True,
        "crop_keep": 0.2,
        "mask_rate": 0.7,
        "reorder_rate": 0.2,
    },
    "DuoRec": {"mode": "us_x", "weight": 0.1, "temperature": 1.0},
    "ICLRec": {
        "clusters": (256,),
        "fnm": "none",
        "form": "symmetric",
        "sequence_pooling": "flatten",
        "sampler": "user",
        "intent_weight": 0.1,
        "sequence_weight": 0.1,
        "crop_keep": 0.2,
        "mask_rate": 0.7,
        "reorder_rate": 0.2,
    },
    "EC4SRec": {
        "updates": (15, 30),
        "horizon": 150,
        "view_weight": 0.1,
        "negative_weight": 0.05,
        "target_weight": 0.1,
        "temperature": 1.0,
        "negative_temperature": 0.1,
        "important": 0.3,
        "unimportant": 0.7,
        "negative": ("crop", "mask", "reorder"),
    },
    "MCLRec": {
        "cl1_weight": 0.03,
        "cl2_weight": 0.1,
        "gamma": None,
        "gamma2": 0.1,
        "encoder_steps": (1, 1),
        "crop_keep": 0.5,
        "mask_rate": 0.5,
        "reorder_rate": 0.8,
    },
}
DEFAULTS["LMA4Rec"] = DEFAULTS["CoSeRec"] | {"estimator": "arm", "logit": 0.0}
PAIRS = [
    (model, name, data)
    for model, (names, kinds) in PRESETS.items()
    for name in names
    for data in (kinds or [None])
]


def defaults(cls: type) -> dict[str, Any]:
    parameters = inspect.signature(cls).parameters.items()
    return {name: p.default for name, p in parameters}


@pytest.mark.parametrize("model, name, data", PAIRS)
def test_a_preset_changes_what_its_table_says(
    model: str, name: str, data: str | None
) -> None:
    cls = MODELS[model]
    given = {} if data is None else {"data": data}
    options = describe(cls.preset(name, 4, 5, **given).options)
    names, kinds = PRESETS[model]
    by_data = kinds.get(data or "", {})
    expected = defaults(cls) | by_data | names[name]
    encoder = by_data.get("encoder", {}) | names[name].get("encoder", {})
    plain = defaults(cls)["encoder"] if "encoder" in expected else None
    if encoder:
        (kind, parts), *_ = options.pop("encoder").items()
        assert kind == "Transformer"
        assert parts == describe(defaults(Transformer)) | encoder
    elif "encoder" in expected and plain is None and model != "SRMA":
        assert options.pop("encoder") is None
    for option, value in expected.items():
        if option not in ("num_users", "num_items", "encoder"):
            assert options[option] == describe(value), option


@pytest.mark.parametrize("model", MODELS)
def test_no_preset_is_left_out(model: str) -> None:
    names, kinds = PRESETS.get(model, ({}, {}))
    assert set(names) == set(MODELS[model].presets)
    assert set(kinds) == set(MODELS[model].for_data)


def test_the_first_data_set_is_the_default() -> None:
    for model in MODELS.values():
        for name in model.presets:
            for data in [*model.for_data][:1]:
                expected = describe(model.preset(name, 4, 5, data=data))
                assert describe(model.preset(name, 4, 5)) == expected


def test_presets_that_are_none_are_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"ICLRec has no preset 'cod'; .*'code'"):
        ICLRec.preset("cod", 4, 5)
    with pytest.raises(ConfigError, match="no settings for the data 'mars'; there are"):
        ICLRec.preset("code", 4, 5, data="mars")
    with pytest.raises(ConfigError, match="the data 'beauty'; there are none"):
        MCLSR.preset("paper", 4, 5, data="beauty")
    with pytest.raises(ConfigError, match="POP has no preset 'code'; there are none"):
        POP.preset("code", 4, 5)


@pytest.mark.parametrize("model", DEFAULTS)
def test_defaults_are_the_published_values(model: str) -> None:
    found = defaults(MODELS[model])
    assert {option: found[option] for option in DEFAULTS[model]} == DEFAULTS[model]
