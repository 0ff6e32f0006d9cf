"""The settings of RecBole that have a counterpart, with RecBole's defaults.

RecBole's defaults are written into a converted experiment, since ours differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Options = Mapping[str, tuple[str, Any]]
"""RecBole's name -> our option, with dots between nested names, and their default."""


@dataclass(frozen=True)
class Rule:
    """How a model's settings are converted.

    Attributes:
        name: Our name of the model.
        options: Its settings.
        fixed: Our options that have no setting in RecBole.
        sequential: Whether it reads sequences, so that RecBole holds out each user's
            last events and ranks the history too.
        notes: What differs, whatever the settings are.
    """

    name: str
    options: Options
    fixed: Mapping[str, Any] = field(default_factory=dict)
    sequential: bool = True
    notes: tuple[str, ...] = ()


PREFIX = {"backbone.sampler": "prefix", "backbone.loss": "ce"}
LENGTH = {"MAX_ITEM_LIST_LENGTH": ("backbone.max_length", 50)}
FEATURES = "backbone.features.Embedding"


def _transformer(dropout: float) -> Options:
    encoder = "backbone.encoder.Transformer"
    return {
        **LENGTH,
        "hidden_size": ("backbone.dim", 64),
        "n_layers": (f"{encoder}.layers", 2),
        "n_heads": (f"{encoder}.heads", 2),
        "inner_size": (f"{encoder}.inner", 256),
        "hidden_dropout_prob": (f"{encoder}.dropout", dropout),
        "attn_dropout_prob": (f"{encoder}.attention_dropout", dropout),
        "hidden_act": (f"{encoder}.activation", "gelu"),
        "initializer_range": (f"{FEATURES}.std", 0.02),
    }


MODELS = {
    "SASRec": Rule("SASRec", _transformer(0.5), PREFIX),
    "BERT4Rec": Rule(
        "BERT4Rec",
        {**_transformer(0.2), "mask_ratio": ("mask_rate", 0.2)},
        notes=(
            "BERT4Rec: ft_ratio is the fraction of RecBole's rows with only the last "
            "item masked; here it is last_only_rate, with another default",
        ),
    ),
    "GRU4Rec": Rule(
        "GRU4Rec",
        {
            **LENGTH,
            "embedding_size": ("backbone.dim", 64),
            "hidden_size": ("backbone.encoder.GRU.hidden", 128),
            "num_layers": ("backbone.encoder.GRU.layers", 1),
            "dropout_prob": ("backbone.encoder.GRU.dropout", 0.3),
        },
        PREFIX,
    ),
    "Caser": Rule(
        "Caser",
        {
            "MAX_ITEM_LIST_LENGTH": ("backbone.encoder.Convolution.window", 50),
            "embedding_size": ("backbone.dim", 64),
            "nv": ("backbone.encoder.Convolution.vertical", 8),
            "nh": ("backbone.encoder.Convolution.horizontal", 16),
            "dropout_prob": ("backbone.encoder.Convolution.dropout", 0.4),
        },
        PREFIX,
        notes=(
            "Caser: RecBole joins the user's vector by one more layer with a ReLU, and "
            "penalises weights by reg_weight; here the output is as in the paper, see "
            "the options output and norm_weight",
        ),
    ),
    "SRGNN": Rule(
        "SRGNN",
        {
            "MAX_ITEM_LIST_LENGTH": ("max_length", 50),
            "embedding_size": ("dim", 64),
            "step": ("steps", 1),
        },
    ),
    "GCSAN": Rule(
        "GCSAN",
        {
            "MAX_ITEM_LIST_LENGTH": ("max_length", 50),
            "hidden_size": ("dim", 64),
            "step": ("steps", 1),
            "n_layers": ("layers", 1),
            "n_heads": ("heads", 1),
            "inner_size": ("inner", 256),
            "hidden_dropout_prob": ("dropout", 0.2),
            "weight": ("weight", 0.6),
            "initializer_range": ("features.Embedding.std", 0.02),
        },
        notes=(
            "GCSAN: RecBole adds reg_weight times the norm of the item vectors to the "
            "loss; here there is only train.weight_decay",
        ),
    ),
    "BPR": Rule("BPRMF", {"embedding_size": ("dim", 64)}, sequential=False),
    "LightGCN": Rule(
        "LightGCN",
        {
            "embedding_size": ("dim", 64),
            "n_layers": ("layers", 2),
            "reg_weight": ("decay", 1e-5),
        },
        sequential=False,
        notes=(
            "LightGCN: without require_pow RecBole's penalty is a norm of the batch's "
            "vectors; here it is half the sum of their squares, as in the paper, so "
            "that the same decay means something else",
        ),
    ),
    "ItemKNN": Rule(
        "ItemKNN",
        {"k": ("neighbours", 100), "shrink": ("shrink", 0.0)},
        sequential=False,
    ),
    "EASE": Rule("EASE", {"reg_weight": ("l2", 250.0)}, sequential=False),
    "Pop": Rule("POP", {}, sequential=False),
}

METRICS = {"Hit": "HR", "Recall": "Recall", "NDCG": "NDCG", "MRR": "MRR"}
"""Metrics that every report has."""
COVERED = {"ItemCoverage": "coverage", "AveragePopularity": "popularity"}
"""More of them, which describe the lists and cannot be monitored."""
REQUESTED = {"Precision": "Precision", "MAP": "MAP", "GiniIndex": "Gini"}
"""Metrics that are requested by ``evaluate: {metrics: […]}``."""

TRAINING = {
    "epochs": ("max_epochs", 300),
    "train_batch_size": ("batch_size", 2048),
    "learning_rate": ("lr", 1e-3),
    "weight_decay": ("weight_decay", 0.0),
    "seed": ("seed", 2020),
    "show_progress": ("progress", True),
    "worker": ("workers", 0),
}
SILENT = {
    # what the machine or a folder of a run decides here, or only names of RecBole's
    *("gpu_id", "device", "state", "encoding", "reproducibility", "checkpoint_dir"),
    *("save_dataset", "dataset_save_path", "save_dataloaders", "shuffle"),
    *("dataloaders_save_path", "loss_decimal_place", "metric_decimal_place"),
    *("wandb_project", "tensorboard", "eval_batch_size", "seq_separator"),
    *("ITEM_LIST_LENGTH_FIELD", "LIST_SUFFIX", "POSITION_FIELD", "NEG_PREFIX"),
    *("LABEL_FIELD", "HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD"),
    *("RELATION_ID_FIELD", "ENTITY_ID_FIELD", "unused_col", "unload_col"),
    *("valid_metric_bigger", "layer_norm_eps", "require_pow", "transform"),
    *("filter_inter_by_user_or_item", "config_files", "repeatable"),
}
