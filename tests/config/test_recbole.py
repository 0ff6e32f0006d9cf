"""A configuration of RecBole becomes an experiment; what differs is noted."""

from typing import Any

import pytest

from graphseq.config import check
from graphseq.config.recbole import from_recbole, to_text
from graphseq.errors import ConfigError
from graphseq.plain_yaml import parse

SASREC = {"model": "SASRec", "dataset": "ml"}


def converted(**settings: Any) -> dict[str, Any]:
    return from_recbole(SASREC | settings)[0]


def notes(**settings: Any) -> list[str]:
    return from_recbole(SASREC | settings)[1]


def test_defaults_of_recbole_are_written_where_ours_differ() -> None:
    made = converted()
    assert made["data"] == {"path": "dataset/ml/ml.inter", "format": "recbole"}
    assert made["split"] == {"leave_one_out": {}}
    backbone = made["model"]["SASRec"]["backbone"]
    assert (backbone["sampler"], backbone["loss"], backbone["max_length"]) == (
        "prefix",
        "ce",
        50,
    )
    assert backbone["encoder"]["Transformer"]["inner"] == 256
    train = made["train"]
    assert (train["max_epochs"], train["batch_size"], train["seed"]) == (
        300,
        2048,
        2020,
    )
    # RecBole stops when more than 10 evaluations in a row were no better.
    assert (train["monitor"], train["patience"], train["history"]) == (
        "MRR@10",
        11,
        "kept",
    )
    assert made["evaluate"] == {"ks": [10], "metrics": ["Precision"]}
    assert notes() == []


def test_the_main_settings_are_converted_and_the_experiment_is_valid() -> None:
    made = converted(
        data_path="data",
        USER_ID_FIELD="uid",
        load_col={"inter": ["uid", "item_id", "rating", "timestamp"]},
        val_interval={"rating": "[4, inf)"},
        user_inter_num_interval="[5,inf)",
        item_inter_num_interval="[3,inf)",
        rm_dup_inter="first",
        MAX_ITEM_LIST_LENGTH=20,
        hidden_size=32,
        n_layers=1,
        hidden_act="relu",
        learning_rate=0.002,
        eval_step=2,
        stopping_step=3,
        valid_metric="Hit@5",
        metrics=["Hit", "MAP", "GiniIndex"],
        topk=[5, 20],
        use_gpu=False,
        clip_grad_norm={"max_norm": 5.0},
        log_wandb=True,
    )
    check(made)
    assert made["data"] == {
        "path": "data/ml/ml.inter",
        "format": "recbole",
        "columns": {"user": "uid", "item": "item_id", "time": "timestamp"},
        "weight": "rating",
    }
    assert made["filters"] == [
        {"deduplicate": {"keep": "first"}},
        {"min_rating": {"least": 4.0}},
        {"k_core": {"user": 5, "item": 3}},
    ]
    backbone = made["model"]["SASRec"]["backbone"]
    assert (backbone["dim"], backbone["max_length"]) == (32, 20)
    train = made["train"]
    assert (train["lr"], train["evaluate_every"], train["patience"]) == (0.002, 2, 4)
    assert (train["monitor"], train["accelerator"]) == ("HR@5", "cpu")
    assert (train["gradient_clip"], train["loggers"]) == (5.0, ["wandb"])
    assert made["evaluate"] == {"ks": [5, 20], "metrics": ["MAP", "Gini"]}


def test_a_log_whose_time_is_not_loaded_has_no_times() -> None:
    data = converted(load_col={"inter": ["user_id", "item_id"]})["data"]
    assert data["columns"] == {"user": "user_id", "item": "item_id"}


def test_a_cut_in_time_keeps_its_fractions() -> None:
    ratios = {"split": {"RS": [7, 2, 1]}, "order": "TO", "group_by": "none"}
    made = converted(eval_args=ratios)
    assert made["split"] == {"by_time": {"fractions": [0.7, 0.2, 0.1]}}
    thirds = converted(eval_args=ratios | {"split": {"RS": [1, 1, 1]}})["split"]
    assert sum(thirds["by_time"]["fractions"]) == pytest.approx(1)
    check(made)


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"eval_args": {"mode": "uni100"}}, "all items are ranked here"),
        ({"eval_args": {"split": {"RS": [8, 1, 1]}}}, "metrics are not comparable"),
        ({"loss_type": "BPR"}, "trained with the softmax"),
        ({"metrics": ["GAUC"]}, "metrics: 'GAUC': no counterpart"),
        ({"valid_metric": "MAP@10"}, "cannot be monitored here"),
        ({"learner": "sgd"}, "the optimiser is Adam here"),
        ({"user_inter_num_interval": "[5,100]"}, "only [n,inf) is converted"),
        ({"val_interval": {"age": "[3,inf)"}}, "not converted"),
        ({"benchmark_filename": ["a", "b"]}, "benchmark_filename: ['a', 'b']: no"),
        ({"load_col": {"item": ["item_id", "genre"]}}, "a step of the graph here"),
    ],
)
def test_what_has_no_counterpart_is_noted(settings: dict[str, Any], note: str) -> None:
    [found] = notes(**settings)
    assert note in found
    check(converted(**settings))


def test_negatives_of_pairwise_models_are_noted_unless_they_are_ours() -> None:
    lightgcn = {"model": "LightGCN", "dataset": "ml", "repeatable": True}
    key = "train_neg_sample_args"
    plain = from_recbole(
        {**lightgcn, key: {"distribution": "uniform", "sample_num": 1}}
    )
    assert not [note for note in plain[1] if key in note]
    assert plain[0]["train"]["history"] == "kept"
    popular = from_recbole({**lightgcn, key: {"distribution": "popularity"}})[1]
    assert [note for note in popular if note.startswith(key)]
    assert from_recbole({**SASREC, key: None}) == from_recbole(SASREC)


def test_missing_and_unknown_names_are_refused_together() -> None:
    with pytest.raises(ConfigError) as refused:
        from_recbole({"model": "SASRek"})
    assert "did you mean 'SASRec'?" in str(refused.value)
    assert "--dataset" in str(refused.value)
    with pytest.raises(ConfigError, match="no model is named"):
        from_recbole({}, dataset="ml")


def test_the_text_is_an_experiment_with_the_notes_as_comments() -> None:
    sections, found = from_recbole(SASREC | {"loss_type": "BPR"})
    text = to_text(sections, found, "a.yaml")
    assert parse(text, "text") == sections
    assert "\n# - loss_type: 'BPR'" in text


def test_settings_without_a_value_are_those_of_recbole() -> None:
    empty = converted(metrics=None, topk=None, data_path=None, load_col={"inter": None})
    assert empty == converted()


@pytest.mark.parametrize(
    "parts", [[0.8, 0.2], [1.0], [0, 0, 0], "8,1,1", [0.8, "x", 0.1], [0.9, 0.1, 0]]
)
def test_splits_without_three_parts_are_noted(parts: Any) -> None:
    args = {"split": {"RS": parts}, "order": "TO", "group_by": "none"}
    assert converted(eval_args=args)["split"] == {"leave_one_out": {}}
    assert any("last two events are held out" in note for note in notes(eval_args=args))


def test_modes_of_both_parts_are_read() -> None:
    full = {"mode": {"valid": "full", "test": "full"}}
    assert not any("eval_args.mode" in note for note in notes(eval_args=full))
    mixed = {"mode": {"valid": "uni100", "test": "full"}}
    assert any("eval_args.mode" in note for note in notes(eval_args=mixed))


def test_bounds_are_rounded_up_and_other_norms_noted() -> None:
    made = converted(user_inter_num_interval="[5.5,inf)")
    assert {"k_core": {"user": 6, "item": 1}} in made["filters"]
    other = notes(clip_grad_norm={"max_norm": 5, "norm_type": 1})
    assert any("norm_type" in note for note in other)
