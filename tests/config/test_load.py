"""Experiment files checked whole, before anything runs."""

import copy
from pathlib import Path
from typing import Any

import pytest

from graphseq.config import check, load
from graphseq.errors import ConfigError, DataError

GOOD: dict[str, Any] = {
    "data": {"cycle": {"num_users": 12, "num_items": 8, "length": 6}},
    "filters": [{"k_core": {"user": 2, "item": 2}}],
    "split": {"leave_one_out": {}},
    "graph": [{"CoOccurrence": {"kind": "item", "top_k": 5}}],
    "model": {"SASRec": {"dim": 8, "features": {"Propagated": {"dim": 8}}}},
    "train": {"max_epochs": 1, "progress": False},
    "evaluate": {"ks": [1, 3]},
}


def problems(**sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        check({**copy.deepcopy(GOOD), **sections}, "file.yaml")
    first, *lines = str(error.value).splitlines()
    assert first.startswith("file.yaml: ")
    return [" ".join(line.split()) for line in lines]


def test_a_good_experiment_passes() -> None:
    assert check(GOOD).options == GOOD


def test_the_error_is_the_one_of_the_style_guide(tmp_path: Path) -> None:
    path = tmp_path / "beauty.yaml"
    path.write_text(
        "data: {cycle: {}}\n"
        "split: {leave_one_out: {}}\n"
        "graph:\n"
        "- CoOccurrence: {kind: usr, top_k: fifty}\n"
        "- CoOccurrence: {top_k: 10}\n"
        "model: {MCLSR: {temprature: 0.1}}\n"
    )
    with pytest.raises(ConfigError) as error:
        load(path)
    none = "CoOccurrence.kind"
    assert str(error.value).splitlines() == [
        f"{path}: 4 problems",
        f"  graph[0].{none}   expected one of 'user', 'item', got 'usr'",
        "  graph[0].CoOccurrence.top_k  expected int | None, got 'fifty'",
        f"  graph[1].{none}   CoOccurrence needs it: one of 'user', 'item'",
        "  model.MCLSR.temprature       MCLSR has no such option; "
        "did you mean 'temperature'?",
    ]


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"trian": {}}, "trian no such section; did you mean 'train'?"),
        ({"model": None}, "model an experiment needs this section"),
        (
            {"model": {"SASrec": {}}},
            "model.SASrec no such name; did you mean 'SASRec'?",
        ),
        (
            {"model": {"SASRec": {"num_items": 3}}},
            "model.SASRec.num_items this comes from elsewhere; leave it out",
        ),
        (
            {"model": {"SASRec": {"loss": "BCE"}}},
            "model.SASRec.loss expected one of 'ce', 'bce', 'gbce', got 'BCE'",
        ),
        (
            {"model": {"SASRec": {"features": {"Propagated": {"layer": 2}}}}},
            "model.SASRec.features.Propagated.layer Propagated has no such option; "
            "did you mean 'layers'?",
        ),
        (
            {"data": {"dataset": "amazon-beuty"}},
            "data.dataset no data set 'amazon-beuty'; did you mean 'amazon-beauty'?",
        ),
        (
            {"data": {"path": "log.csv", "formt": "csv"}},
            "data.formt read_log has no such option; did you mean 'format'?",
        ),
        (
            {"data": {"cycle": {"length": "long"}}},
            "data.cycle.length expected int, got 'long'",
        ),
        (
            {"split": "leave_one"},
            "split.leave_one no such name; did you mean 'leave_one_out'?",
        ),
        (
            {"split": {"by_user": {"seed": 1.5}}},
            "split.by_user.seed expected int, got 1.5",
        ),
        (
            {"filters": [{"k_core": {"users": 2}}]},
            "filters[0].k_core.users k_core has no such option; did you mean 'user'?",
        ),
        (
            {"filters": {"k_core": {}}},
            "filters expected a list of {Name: {option: …}}, got {'k_core': {}}",
        ),
        ({"train": {"lr": "fast"}}, "train.lr expected float, got 'fast'"),
        (
            {"train": {"folder": "x"}},
            "train.folder this comes from elsewhere; leave it out",
        ),
        ({"evaluate": {"ks": 10}}, "evaluate.ks expected list of int, got 10"),
        (
            {"evaluate": {"part": "test"}},
            "evaluate.part this comes from elsewhere; leave it out",
        ),
    ],
)
def test_each_kind_of_fault_is_told_with_its_place(
    sections: dict[str, Any], line: str
) -> None:
    assert problems(**sections) == [line]


def test_data_without_a_source_say_what_there_is() -> None:
    [line] = problems(data={"file": "x"})
    assert line.startswith(
        "data expected one of dataset, path, cycle, markov, communities"
    )


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ({"SASRec": {"dim": -3}}, "SASRec.dim expected 1 or more, got -3"),
        ({"SASRec": {"dim": 0}}, "SASRec.dim expected 1 or more, got 0"),
        (
            {"SASRec": {"dim": 8, "heads": 3}},
            "SASRec.heads expected a divisor of dim=8, got 3",
        ),
        ({"SASRec": {"layers": -1}}, "SASRec.layers expected 1 or more, got -1"),
        ({"SASRec": {"max_length": 0}}, "SASRec.max_length expected 1 or more, got 0"),
        (
            {"SASRec": {"dropout": 1.5}},
            "SASRec.dropout expected 0 or more and below 1, got 1.5",
        ),
        (
            {"CL4SRec": {"encoder": {"GRU": {"hidden": -1}}}},
            "CL4SRec.encoder.GRU.hidden expected 1 or more, got -1",
        ),
        (
            {"CL4SRec": {"mask_rate": 1.5}},
            "CL4SRec.mask_rate expected 0 to 1, got 1.5",
        ),
        (
            {"CL4SRec": {"temperature": 0}},
            "CL4SRec.temperature expected a number above 0, got 0.0",
        ),
        (
            {"CoSeRec": {"insert_rate": 2.5}},
            "CoSeRec.insert_rate expected 0 to 1, got 2.5",
        ),
        ({"GRU4Rec": {"hidden": 0}}, "GRU4Rec.hidden expected 1 or more, got 0"),
        ({"GRU4Rec": {"dim": -4}}, "GRU4Rec.dim expected 1 or more, got -4"),
        ({"Caser": {"dim": 0}}, "Caser.dim expected 1 or more, got 0"),
        ({"SRGNN": {"steps": 0}}, "SRGNN.steps expected 1 or more, got 0"),
        ({"GCSAN": {"layers": 0}}, "GCSAN.layers expected 1 or more, got 0"),
        ({"ComiRec": {"interests": 0}}, "ComiRec.interests expected 1 or more, got 0"),
        (
            {"DSSRec": {"prototypes": 0}},
            "DSSRec.prototypes expected 1 or more, got 0",
        ),
        ({"BPRMF": {"dim": 0}}, "BPRMF.dim expected 1 or more, got 0"),
        ({"LightGCN": {"layers": -1}}, "LightGCN.layers expected 0 or more, got -1"),
        (
            {"MCLRec": {"dim": 2}},
            "MCLRec.dim expected 4 or more, as D / 4 is a width, got 2",
        ),
    ],
)
def test_an_option_of_a_model_out_of_its_range_is_told_with_its_place(
    model: dict[str, Any], line: str
) -> None:
    steps = [{"CoOccurrence": {"kind": kind}} for kind in ("item", "user")]
    assert problems(model=model, graph=steps) == [f"model.{line}"]


def test_a_long_file_that_is_no_experiment_is_not_told_whole() -> None:
    with pytest.raises(ConfigError) as error:
        check("who,what,when " * 1000, "log.csv")
    assert len(str(error.value)) < 200
    assert str(error.value).endswith("…")


@pytest.mark.parametrize("content", [None, [], "text", 3])
def test_a_file_that_is_no_experiment_is_told(content: Any) -> None:
    with pytest.raises(ConfigError, match="expected the sections data, split, model"):
        check(content)


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"graph": []} | {"model": {"MCLSR": {}}}, "MCLSR does not fit this graph"),
        ({"train": {"patience": -1}}, r"train.patience +expected a whole number of 1"),
        ({"train": {"monitor": "NDGC@10"}}, r"train.monitor +expected a metric"),
        (
            {"graph": [{"CoOccurrence": {"kind": "item", "top_k": 0}}]},
            r"graph\[0\].CoOccurrence.top_k +expected 1 or more, got 0",
        ),
        (
            {"model": {"SRMA": {"dim": 8, "dropped": 3}}},
            "model.SRMA cannot be built: of 2 appended layers, 3 cannot",
        ),
        ({"evaluate": {"ks": [0]}}, r"evaluate.ks +expected a list of"),
        ({"evaluate": {"batch_size": 0}}, r"evaluate.batch_size +expected .*, found 0"),
    ],
)
def test_what_no_signature_says_is_found_before_the_data_are_read(
    sections: dict[str, Any], why: str
) -> None:
    unread = {"data": {"path": "there is no such file"}}
    with pytest.raises(ConfigError, match=why):
        check({**GOOD, **sections, **unread})


def test_a_width_that_no_part_reads_is_told() -> None:
    """A sweep over it would train the same model again and again."""
    part = {"Propagated": {"dim": 8}}
    (line,) = problems(model={"CL4SRec": {"dim": 16, "features": part}})
    assert line.startswith("model.CL4SRec.dim is not used: Propagated has dim=8; set")
    for fine in ({"dim": 8}, {"dim": 64}, {}):
        check({**GOOD, "model": {"CL4SRec": {**fine, "features": part}}})
    full = check(GOOD).resolved()
    assert check(full).resolved() == full


def test_a_log_that_is_not_there_is_told_with_where_it_was_looked_for() -> None:
    written = {**GOOD, "data": {"path": "nowhere.csv"}}
    with pytest.raises(DataError, match=r"nowhere\.csv.*current folder, or to that of"):
        check(written).read()
