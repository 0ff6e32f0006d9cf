"""Presets and defaults against tables: a lost line would change what is published."""

from pathlib import Path
from typing import Any

import pytest

from graphseq.config import check
from graphseq.config.yaml import merge_sections, read_merged

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "presets"
FILES = sorted(FOLDER.glob("*.yaml"))
Options = dict[str, Any]
PRESETS: dict[str, Options] = {
    "gru4rec-recbole": {"backbone.sampler": "prefix"},
    "gru4rec-s3": {"backbone.loss": "bce", "backbone.sampler": "user"},
    "caser-recbole": {
        "backbone.encoder.window": 10,
        "backbone.encoder.horizontal": 8,
        "backbone.encoder.dropout": 0.4,
        "norm_weight": 0.0001,
        "backbone.sampler": "prefix",
    },
    "caser-original": {
        "backbone.dim": 50,
        "output": "separate",
        "steps": 3,
        "backbone.loss": "bce",
        "backbone.encoder.dim": 50,
        "backbone.features.dim": 50,
    },
    "sasrec-original": {
        "backbone.dim": 50,
        "backbone.encoder.heads": 1,
        "backbone.encoder.inner": 50,
        "backbone.encoder.norm": "query",
        "backbone.encoder.activation": "relu",
        "backbone.encoder.scale": True,
        "backbone.loss": "bce",
        "backbone.sampler": "user",
        "backbone.encoder.positions": "end",
        "backbone.encoder.dim": 50,
        "backbone.features.dim": 50,
    },
    "sasrec-recbole": {"backbone.sampler": "prefix"},
    "sasrec-s3": {
        "backbone.loss": "bce",
        "backbone.sampler": "user",
        "backbone.encoder.positions": "end",
    },
    "bert4rec-original": {},
    "bert4rec-recbole": {
        "backbone.encoder.dropout": 0.2,
        "mask_rate": 0.2,
        "mask_by": "chance",
        "max_masked": None,
        "last_only_rate": 0.5,
        "backbone.sampler": "prefix",
    },
    "s3rec-s3": {
        "objective.pretrain_batch_size": 100,
        "backbone.encoder.positions": "end",
    },
    "s3rec-recbole": {"backbone.sampler": "prefix", "backbone.loss": "ce"},
    "s3rec-beauty": {"objective.pretrain_epochs": 150},
    "s3rec-toys": {"objective.pretrain_epochs": 150},
    "s3rec-sports": {},
    "s3rec-yelp": {},
    "comirec-books": {"sampler": "prefix"},
    "comirec-taobao": {"max_length": 50, "num_negatives": 2560, "sampler": "prefix"},
    "mclsr-paper": {"softmax": "uniform", "sampler": "prefix"},
    "mclsr-reference": {
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
    "cl4srec-recbole": {},
    "cl4srec-duorec": {
        "backbone.mask_token": True,
        "augmentation.crop_keep": 0.6,
        "augmentation.mask_rate": 0.3,
        "augmentation.reorder_rate": 0.6,
    },
    "cl4srec-mclrec": {
        "augmentation.crop_keep": 0.5,
        "augmentation.mask_rate": 0.5,
        "augmentation.reorder_rate": 0.8,
        "backbone.hide_masked": True,
    },
    "cl4srec-s3": {
        "backbone.hide_masked": True,
        "backbone.sampler": "user",
        "backbone.loss": "bce",
        "pooling": "flatten",
        "augmentation.crop_keep": 0.2,
        "augmentation.mask_rate": 0.7,
        "augmentation.reorder_rate": 0.2,
        "augmentation.distinct": False,
        "augmentation.reach_last": False,
        "backbone.encoder.positions": "end",
    },
    "cl4srec-augmented": {"contrast_weight": 0.0, "view_targets": True},
    "cl4srec-amazon": {},
    "cl4srec-ml": {"augmentation.crop_keep": 0.8, "augmentation.mask_rate": 0.2},
    "coserec-s3": {
        "backbone.loss": "bce",
        "backbone.encoder.positions": "end",
        "backbone.hide_masked": True,
    },
    "coserec-recbole": {"backbone.sampler": "prefix", "pooling": "last"},
    "coserec-beauty": {
        "augmentation.offline_epochs": 220,
        "augmentation.threshold": 12,
        "augmentation.short": ["insert", "substitute", "mask", "reorder"],
        "augmentation.insert_rate": 0.5,
        "augmentation.substitute_rate": 0.05,
    },
    "coserec-yelp": {
        "augmentation.offline_epochs": 300,
        "augmentation.insert_rate": 0.5,
    },
    "lma4rec-s3": {
        "backbone.loss": "bce",
        "backbone.encoder.positions": "end",
        "backbone.hide_masked": True,
    },
    "lma4rec-recbole": {"backbone.sampler": "prefix", "pooling": "last"},
    "lma4rec-beauty": {
        "augmentation.offline_epochs": 220,
        "augmentation.threshold": 12,
        "augmentation.short": ["insert", "substitute", "mask", "reorder"],
        "augmentation.insert_rate": 0.5,
        "augmentation.substitute_rate": 0.05,
    },
    "lma4rec-yelp": {
        "augmentation.offline_epochs": 300,
        "augmentation.insert_rate": 0.5,
    },
    "srma-s3": {
        "backbone.hide_masked": True,
        "backbone.loss": "bce",
        "backbone.encoder.attention_dropout": 0.1,
        "backbone.encoder.positions": "end",
    },
    "srma-code": {
        "backbone.hide_masked": True,
        "backbone.loss": "bce",
        "objective.skips": "same",
        "objective.complement_weight": 0.0,
        "backbone.encoder.attention_dropout": 0.1,
        "backbone.encoder.positions": "end",
    },
    "srma-recbole": {"backbone.sampler": "prefix", "objective.pooling": "last"},
    "duorec-ml-1m": {"backbone.encoder.dropout": 0.1},
    "iclrec-code": {
        "backbone.loss": "bce",
        "backbone.encoder.positions": "end",
        "backbone.hide_masked": True,
    },
    "iclrec-paper": {
        "objective.fnm": "intents",
        "objective.form": "paper",
        "objective.sequence_pooling": "mean",
        "backbone.loss": "bce",
        "backbone.encoder.positions": "end",
    },
    "bsarec-sports": {"backbone.encoder.alpha": 0.3, "backbone.encoder.heads": 4},
    "bsarec-toys": {"backbone.encoder.cutoff": 3},
    "bsarec-yelp": {"backbone.encoder.cutoff": 3, "backbone.encoder.heads": 4},
    "bsarec-ml-1m": {
        "backbone.encoder.alpha": 0.3,
        "backbone.encoder.cutoff": 9,
        "backbone.encoder.heads": 4,
    },
    "bsarec-lastfm": {"backbone.encoder.alpha": 0.9, "backbone.encoder.cutoff": 3},
    "wearec-beauty": {"backbone.encoder.alpha": 0.2, "backbone.encoder.heads": 8},
    "wearec-sports": {"backbone.encoder.alpha": 0.3, "backbone.encoder.heads": 4},
    "wearec-ml-1m": {
        "backbone.encoder.alpha": 0.3,
        "backbone.encoder.heads": 2,
        "backbone.encoder.dropout": 0.1,
    },
    "wearec-lastfm": {"backbone.encoder.alpha": 0.3, "backbone.encoder.heads": 2},
    "tvrec-sports": {"backbone.encoder.bases": 16},
    "tvrec-yelp": {
        "reg": 0.001,
        "backbone.encoder.bases": 16,
        "backbone.encoder.dropout": 0.1,
    },
    "tvrec-ml-1m": {
        "reg": 1e-05,
        "backbone.encoder.bases": 8,
        "backbone.encoder.dropout": 0.3,
    },
    "tvrec-lastfm": {
        "reg": 0.001,
        "backbone.encoder.bases": 8,
        "backbone.encoder.dropout": 0.4,
    },
    "iclrec-beauty": {"backbone.encoder.layers": 1},
    "iclrec-toys": {"backbone.encoder.layers": 3},
    "iclrec-ml-1m": {
        "backbone.max_length": 200,
        "objective.sequence_weight": 0.0,
        "backbone.encoder.max_length": 200,
    },
    "ec4srec-code": {
        "objective.augmentation.crop_order": "importance",
        "backbone.hide_masked": True,
    },
    "ec4srec-paper": {
        "objective.explanation": "saliency",
        "objective.denominator": "paper",
        "objective.directions": "sum",
        "objective.augmentation.mu": 0.5,
        "objective.augmentation.negative": ["crop", "mask"],
        "objective.utility": "paper",
    },
    "mclrec-paper": {
        "backbone.mask_token": True,
        "objective.gamma2": None,
        "objective.r_scope": "batch",
        "objective.r_pairs": 1,
        "objective.normalize": False,
        "objective.directions": "sum",
        "encoder_steps": [1, 0],
        "in_turn": "epoch",
    },
    "mclrec-code": {"backbone.hide_masked": True},
    "mclrec-joint": {"joint": True},
    "mclrec-shared": {"objective.shared": True},
    "mclrec-without-r": {"objective.gamma": 0.0, "objective.gamma2": 0.0},
    "mclrec-sports": {"objective.cl1_weight": 0.04, "objective.cl2_weight": 0.4},
    "mclrec-beauty": {"objective.cl1_weight": 0.0, "objective.cl2_weight": 0.05},
    "mclrec-yelp": {},
    "mclrec-ml-1m": {
        "objective.cl1_weight": 0.0,
        "objective.cl2_weight": 0.01,
        "backbone.encoder.dropout": 0.1,
    },
}
"""What each file changes in the defaults of its model."""
DEFAULTS: dict[str, Options] = {
    "POP": {"counts": "train"},
    "BPRMF": {"dim": 64, "num_negatives": 1},
    "LightGCN": {"dim": 64, "layers": 3, "readout": "mean", "decay": 0.0001},
    "GRU4Rec": {
        "backbone.loss": "ce",
        "backbone.encoder.hidden": 128,
        "backbone.encoder.layers": 1,
        "backbone.encoder.dropout": 0.3,
        "backbone.encoder.bias": False,
        "backbone.encoder.dim": 64,
    },
    "Caser": {
        "backbone.loss": "ce",
        "backbone.encoder.window": 5,
        "backbone.encoder.vertical": 4,
        "backbone.encoder.horizontal": 16,
        "backbone.encoder.dropout": 0.5,
        "steps": 1,
        "output": "tied",
        "user_vector": True,
        "norm_weight": 0.0,
        "backbone.encoder.dim": 64,
    },
    "SASRec": {
        "backbone.encoder.layers": 2,
        "backbone.encoder.heads": 2,
        "backbone.encoder.inner": None,
        "backbone.max_length": 50,
        "backbone.encoder.dropout": 0.5,
        "backbone.encoder.norm": "post",
        "backbone.encoder.positions": "start",
        "backbone.encoder.activation": "gelu",
        "backbone.encoder.scale": False,
        "backbone.encoder.dim": 64,
    },
    "BERT4Rec": {
        "backbone.encoder.layers": 2,
        "backbone.encoder.heads": 2,
        "backbone.encoder.inner": None,
        "backbone.max_length": 50,
        "backbone.encoder.dropout": 0.5,
        "backbone.encoder.attention_dropout": 0.2,
        "mask_rate": 0.6,
        "max_masked": 30,
        "mask_by": "count",
        "last_only_rate": 0.09090909090909091,
        "backbone.encoder.dim": 64,
    },
    "S3Rec": {
        "objective.mask_rate": 0.2,
        "objective.item_weight": 1.0,
        "objective.segment_weight": 0.5,
        "objective.attribute_weight": 0.2,
        "objective.hidden_attribute_weight": 1.0,
        "objective.pretrain_sampler": "prefix",
    },
    "DSSRec": {
        "objective.prototypes": 4,
        "objective.keep": 0.5,
        "objective.item_weight": 1,
        "objective.sequence_weight": 1,
    },
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
        "backbone.sampler": "prefix",
        "backbone.loss": "ce",
        "pooling": "last",
        "backbone.mask_token": False,
        "augmentation.distinct": True,
        "augmentation.reach_last": True,
        "contrast_weight": 0.1,
        "temperature": 1.0,
        "augmentation.crop_keep": 0.2,
        "augmentation.mask_rate": 0.7,
        "augmentation.reorder_rate": 0.2,
    },
    "CoSeRec": {
        "contrast_weight": 0.1,
        "augmentation.threshold": 4,
        "augmentation.short": ["insert", "substitute", "mask"],
        "augmentation.similarity": "hybrid",
        "augmentation.offline_epochs": 160,
        "backbone.sampler": "user",
        "backbone.loss": "ce",
        "pooling": "flatten",
        "temperature": 1.0,
        "augmentation.crop_keep": 0.2,
        "augmentation.mask_rate": 0.7,
        "augmentation.reorder_rate": 0.7,
        "augmentation.insert_rate": 0.4,
        "augmentation.substitute_rate": 0.1,
    },
    "SRMA": {
        "objective.weight": 0.1,
        "objective.complement_weight": 0.5,
        "objective.appended": 2,
        "objective.skipped": 1,
        "objective.skips": "distinct",
        "objective.pooling": "flatten",
        "backbone.sampler": "user",
        "backbone.loss": "ce",
        "appended_serve": True,
        "objective.augmentation.crop_keep": 0.2,
        "objective.augmentation.mask_rate": 0.7,
        "objective.augmentation.reorder_rate": 0.2,
    },
    "DuoRec": {
        "objective.mode": "us_x",
        "objective.weight": 0.1,
        "objective.temperature": 1.0,
    },
    "ICLRec": {
        "objective.clusters": [256],
        "objective.fnm": "none",
        "objective.form": "symmetric",
        "objective.sequence_pooling": "flatten",
        "backbone.sampler": "user",
        "objective.weight": 0.1,
        "objective.sequence_weight": 0.1,
        "objective.augmentation.crop_keep": 0.2,
        "objective.augmentation.mask_rate": 0.7,
        "objective.augmentation.reorder_rate": 0.2,
    },
    "EC4SRec": {
        "objective.updates": [15, 30],
        "objective.horizon": 150,
        "objective.view_weight": 0.1,
        "objective.negative_weight": 0.05,
        "objective.target_weight": 0.1,
        "objective.temperature": 1.0,
        "objective.negative_temperature": 0.1,
        "objective.augmentation.important": 0.3,
        "objective.augmentation.unimportant": 0.7,
        "objective.augmentation.negative": ["crop", "mask", "reorder"],
    },
    "MCLRec": {
        "objective.cl1_weight": 0.03,
        "objective.cl2_weight": 0.1,
        "objective.gamma": None,
        "objective.gamma2": 0.1,
        "encoder_steps": [1, 1],
        "objective.augmentation.crop_keep": 0.5,
        "objective.augmentation.mask_rate": 0.5,
        "objective.augmentation.reorder_rate": 0.8,
    },
    "LMA4Rec": {
        "contrast_weight": 0.1,
        "augmentation.threshold": 4,
        "augmentation.short": ["insert", "substitute", "mask"],
        "augmentation.similarity": "hybrid",
        "augmentation.offline_epochs": 160,
        "backbone.sampler": "user",
        "backbone.loss": "ce",
        "pooling": "flatten",
        "temperature": 1.0,
        "augmentation.crop_keep": 0.2,
        "augmentation.mask_rate": 0.7,
        "augmentation.reorder_rate": 0.7,
        "augmentation.insert_rate": 0.4,
        "augmentation.substitute_rate": 0.1,
        "backbone.encoder.learnable.estimator": "arm",
        "backbone.encoder.learnable.logit": 0.0,
    },
}
ENCODERS = {
    "GRU4Rec": "GRU",
    "Caser": "Convolution",
    "BSARec": "FrequencyAttention",
    "WEARec": "WaveletFilter",
    "TVRec": "TimeVariantFilter",
}
GRAPH = [{"CoOccurrence": {"kind": kind}} for kind in ("user", "item")]


def resolve(model: Options) -> Options:
    """All options of a model; a backbone's encoder is written out."""
    [name] = model
    if name not in ("POP", "BPRMF", "LightGCN", "ComiRec", "SRGNN", "GCSAN", "MCLSR"):
        encoder: Any = ENCODERS.get(name, "Transformer")
        written = {"model": {name: {"backbone": {"encoder": {encoder: {}}}}}}
        model = merge_sections(written, {"model": model})["model"]
    sections = {"data": {"cycle": {}}, "split": "leave_one_out", "graph": GRAPH}
    resolved = check(sections | {"model": model}).resolved()["model"]
    return flatten(resolved[name])


def flatten(options: Options, prefix: str = "") -> Options:
    """Options by dotted name; names of classes are left out."""
    flat: Options = {}
    for name, value in options.items():
        part = "" if name[:1].isupper() else f"{prefix}{name}"
        if isinstance(value, dict):
            flat |= flatten(value, f"{part}." if part else prefix)
        else:
            flat[part] = list(value) if isinstance(value, tuple) else value
    return flat


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_preset_changes_what_its_table_says(path: Path) -> None:
    read = read_merged(path)
    assert [*read] == ["model"]
    [name] = read["model"]
    assert path.stem.startswith(f"{name.lower()}-")
    preset, default = resolve(read["model"]), resolve({name: {}})
    assert preset == default | PRESETS[path.stem]


def test_every_preset_of_the_tables_is_a_file() -> None:
    assert {path.stem for path in FILES} == set(PRESETS)


@pytest.mark.parametrize("model", DEFAULTS)
def test_defaults_are_those_of_the_table(model: str) -> None:
    assert resolve({model: {}}).items() >= DEFAULTS[model].items()


def test_settings_for_data_and_a_preset_combine() -> None:
    sections: Options = {}
    for name in ("iclrec-beauty", "iclrec-code"):
        sections = merge_sections(sections, read_merged(FOLDER / f"{name}.yaml"))
    expected = PRESETS["iclrec-beauty"] | PRESETS["iclrec-code"]
    assert resolve(sections["model"]) == resolve({"ICLRec": {}}) | expected
