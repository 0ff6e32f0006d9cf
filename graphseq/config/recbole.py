"""An experiment from a configuration of RecBole, with a note on all that differs."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from graphseq.config.recbole_names import (
    COVERED,
    METRICS,
    MODELS,
    REQUESTED,
    SILENT,
    TRAINING,
    Rule,
)
from graphseq.config.recbole_settings import Settings
from graphseq.errors import ConfigError, suggest
from graphseq.plain_yaml import dump

AT_LEAST = re.compile(r"\[\s*(\d+(?:\.\d+)?)\s*,\s*inf\s*[)\]]")
ROLES = {
    "USER_ID_FIELD": ("user", "user_id"),
    "ITEM_ID_FIELD": ("item", "item_id"),
    "TIME_FIELD": ("time", "timestamp"),
}
HELD_OUT = ({"LS": "valid_and_test"}, {"LS": 2})  # the latter until RecBole 1.0
USUAL = {"distribution": "uniform", "uniform": 1, "sample_num": 1, "alpha": 1.0}
"""One negative, drawn uniformly."""


def from_recbole(
    settings: Mapping[str, Any], *, model: str | None = None, dataset: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Convert the main settings of RecBole 1.x.

    RecBole's defaults are written out where ours differ. Most values are not checked;
    :func:`graphseq.config.check` checks the experiment against the signatures.

    Args:
        settings: Settings, as in RecBole's YAML files.
        model: RecBole's name of the model, if the settings do not name it.
        dataset: Name of the data set, if the settings do not name it.

    Returns:
        The sections of an experiment, and notes on the settings that have no
        counterpart or another meaning.

    Raises:
        ConfigError: Model or data set are not named, the model is unknown, or a setting
            has the wrong type.
    """
    left = Settings(settings)
    of_file = left.take("model"), left.take("dataset")
    rule, name = _chosen(model or of_file[0], dataset or of_file[1])
    filters = _filters(left)
    sections = {
        "data": _data(left, name, any("min_rating" in each for each in filters)),
        "filters": filters,
        "split": _split(left, rule),
        "model": {rule.name: _model(left, rule)},
        "train": _train(left, rule),
        "evaluate": _evaluate(left),
    }
    for key in sorted(left.left.keys() - SILENT):
        if left.left[key] is not None:
            left.note(key, left.left[key], "no counterpart")
    made = {title: section for title, section in sections.items() if section}
    return made, [*left.notes, *rule.notes]


def to_text(sections: Mapping[str, Any], notes: Sequence[str], source: str) -> str:
    """An experiment file with the notes as comments at its top."""
    lines = [f"# Converted from the configuration of RecBole in {source}."]
    lines += ["# What differs from RecBole:"] * bool(notes)
    lines += [f"# - {' '.join(note.split())}" for note in notes]
    return "\n".join([*lines, dump(dict(sections))])


def _chosen(model: Any, dataset: Any) -> tuple[Rule, str]:
    """The rule of the model, and the name of the data set."""
    problems = []
    if model is None:
        problems.append("no model is named. Add --model SASRec, for example")
    elif model not in MODELS:
        problems.append(
            f"the model {model!r} is not converted; {suggest(model, MODELS)} "
            f"Choose one of {', '.join(MODELS)}"
        )
    if dataset is None:
        problems.append("no data set is named. Add --dataset ml-100k, for example")
    if problems:
        raise ConfigError("\n".join(problems))
    return MODELS[str(model)], str(dataset)


def _data(left: Settings, name: str, rated: bool) -> dict[str, Any]:
    """The atomic file of the events."""
    folder = str(left.take("data_path") or "dataset/").rstrip("/")
    made: dict[str, Any] = {"path": f"{folder}/{name}/{name}.inter"}
    made["format"] = "recbole"
    columns = {role: left.take(key) or usual for key, (role, usual) in ROLES.items()}
    loaded = left.mapping("load_col")
    if columns["time"] not in (loaded.get("inter") or [columns["time"]]):
        del columns["time"]
    for suffix in sorted(loaded.keys() - {"inter"}):
        left.note("load_col", suffix, "attributes are a step of the graph here")
    if columns != dict(ROLES.values()):
        made["columns"] = columns
    if (separator := left.take("field_separator")) not in (None, "\t"):
        made["separator"] = separator
    rating = left.take("RATING_FIELD", "rating")
    return made | ({"weight": rating} if rated else {})


def _filters(left: Settings) -> list[dict[str, Any]]:
    """The filters, in RecBole's order."""
    made: list[dict[str, Any]] = []
    if (keep := left.take("rm_dup_inter")) is not None:
        made.append({"deduplicate": {"keep": keep}})
    for field, interval in left.mapping("val_interval").items():
        found = AT_LEAST.fullmatch(str(interval))
        if field == left.left.get("RATING_FIELD", "rating") and found:
            made.append({"min_rating": {"least": float(found[1])}})
        else:
            left.note("val_interval", {field: interval}, "not converted")
    core = {"user": 1, "item": 1}
    for kind in core:
        key = f"{kind}_inter_num_interval"
        interval = left.take(key, "[0,inf)") or "[0,inf)"
        if found := AT_LEAST.fullmatch(str(interval)):
            core[kind] = max(math.ceil(float(found[1])), 1)
        else:
            left.note(key, interval, "only [n,inf) is converted")
    return made + [{"k_core": core}] * (max(core.values()) > 1)


def _split(left: Settings, rule: Rule) -> dict[str, Any]:
    """The last events of each user, or a cut in time."""
    usual: Mapping[str, Any] = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO"}
    if rule.sequential:
        usual = {"split": HELD_OUT[0], "order": "TO"}
    defaults = {"mode": "full", "group_by": "user", **usual}
    chosen = defaults | dict(left.mapping("eval_args"))
    modes = chosen["mode"]
    if {*(modes.values() if isinstance(modes, Mapping) else [modes])} != {"full"}:
        text = "all items are ranked here, so that metrics of sampled items are higher"
        left.note("eval_args.mode", modes, text)
    split, in_order = chosen["split"], chosen["order"] == "TO"
    if in_order and split in HELD_OUT:
        return {"leave_one_out": {}}
    parts = split.get("RS") if isinstance(split, Mapping) else None
    if in_order and _are_three(parts) and chosen["group_by"] in (None, "none"):
        first, second = (round(part / sum(parts), 4) for part in parts[:2])
        fractions = [first, second, round(1 - first - second, 4)]
        return {"by_time": {"fractions": fractions}}
    text = (
        "no counterpart; each user's last two events are held out instead, so that "
        "metrics are not comparable"
    )
    left.note("eval_args", {key: chosen[key] for key in usual}, text)
    return {"leave_one_out": {}}


def _are_three(parts: Any) -> TypeGuard[list[float]]:
    """Whether a split has three parts, all of them with events."""
    return (
        isinstance(parts, list)
        and len(parts) == 3
        and all(isinstance(part, int | float) and part > 0 for part in parts)
    )


def _model(left: Settings, rule: Rule) -> dict[str, Any]:
    """The options of the model, nested."""
    flat = {name: left.take(key, value) for key, (name, value) in rule.options.items()}
    made: dict[str, Any] = {}
    for name, value in {**flat, **rule.fixed}.items():
        *sections, last = name.split(".")
        inner = made
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    loss = left.take("loss_type", "CE")
    if rule.sequential and loss != "CE":
        text = "no pairwise loss of sequences here; trained with the softmax"
        left.note("loss_type", loss, text)
    _check_negatives(left, rule)
    return made


def _check_negatives(left: Settings, rule: Rule) -> None:
    """Note negatives that are not drawn as ours; the softmax needs none."""
    for key in ("train_neg_sample_args", "neg_sampling"):
        found = left.take(key)
        if not rule.sequential and isinstance(found, Mapping):
            others = {k: v for k, v in found.items() if v and v != USUAL.get(k)}
            if others:
                text = "drawn uniformly here; their number is num_negatives"
                left.note(key, others, text)


def _train(left: Settings, rule: Rule) -> dict[str, Any]:
    """The options of training."""
    made = {name: left.take(key, value) for key, (name, value) in TRAINING.items()}
    step, patience = left.number("eval_step", 1), left.number("stopping_step", 10)
    metric = _monitored(left)
    repeats = rule.sequential or left.left.get("repeatable") is True
    made |= {
        "monitor": metric if step >= 1 else None,
        "history": "kept" if repeats else "excluded",
        "evaluate_every": max(step, 1),
        "patience": patience + 1,  # RecBole stops after one evaluation more
    }
    if left.take("use_gpu") is False:
        made["accelerator"] = "cpu"
    if left.take("log_wandb"):
        made["loggers"] = ["wandb"]
    clip = left.mapping("clip_grad_norm")
    if "max_norm" in clip:
        made["gradient_clip"] = clip["max_norm"]
        if clip.get("norm_type", 2) != 2:
            left.note("clip_grad_norm.norm_type", clip["norm_type"], "the norm is 2")
    if (learner := left.take("learner", "adam")) != "adam":
        left.note("learner", learner, "the optimiser is Adam here")
    if left.take("enable_amp"):
        left.note("enable_amp", True, "choose train.precision for your device")
    return made


def _monitored(left: Settings) -> str:
    """Our name of the metric of validation, such as ``NDCG@10``."""
    metric = str(left.take("valid_metric", "MRR@10"))
    name, _, length = metric.partition("@")
    known = {each.lower(): ours for each, ours in METRICS.items()}
    if name.lower() in known:
        return f"{known[name.lower()]}@{length or 10}"
    left.note("valid_metric", metric, "cannot be monitored here; NDCG@10 is")
    return "NDCG@10"


def _evaluate(left: Settings) -> dict[str, Any]:
    """Lengths of the lists, and the metrics that reports do not always have."""
    lengths = left.take("topk") or [10]
    usual = ["Recall", "MRR", "NDCG", "Hit", "Precision"]
    names = left.take("metrics") or usual
    known = {each.lower(): each for each in (*METRICS, *COVERED, *REQUESTED)}
    extra = []
    for name in [names] if isinstance(names, str) else names:
        theirs = known.get(str(name).lower())
        if theirs is None:
            left.note("metrics", name, "no counterpart")
        elif theirs in REQUESTED:
            extra.append(REQUESTED[theirs])
    made = {"ks": lengths if isinstance(lengths, list) else [lengths]}
    return made | ({"metrics": extra} if extra else {})
