"""Sections of an experiment: every problem is reported with its place, all at once."""

import copy
from typing import Any

import pytest

from graphseq.config import check
from graphseq.errors import ConfigError
from graphseq.schema import OptionError

OPTIONS: dict[str, Any] = {
    "data": {"path": "tiny.csv"},
    "filters": [{"min_length": {"n": 3}}],
    "split": {"leave_one_out": {}},
    "graph": [{"CoOccurrence": {"kind": "item"}}, "Transitions"],
    "model": {"SASRec": {"backbone": {"dim": 8, "features": "Propagated"}}},
    "train": {"max_epochs": 2, "seed": 3, "progress": False, "batch_size": 16},
    "evaluate": {"ks": [1, 3]},
}


def problems(**sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        check({**copy.deepcopy(OPTIONS), **sections}, "file.yaml")
    first, *lines = str(error.value).splitlines()
    if not lines:
        return [first.removeprefix("file.yaml: ")]
    assert first == f"file.yaml: {len(lines)} problems"
    return [" ".join(line.split()) for line in lines]


def test_the_problems_of_all_sections_are_reported_at_once() -> None:
    found = problems(
        data={"cycle": {"length": "long"}},
        filters=[{"k_core": {"users": 2}}],
        graph=[{"CoOccurrence": {"kind": "usr", "top_k": 0}}, {"CoOccurrence": {}}],
        model={"MCLSR": {"temprature": 0.1}},
        train={"lr": "fast"},
        trian={},
    )
    sizes, kinds = "a whole number of 1 or more", "'user' or 'item'"
    assert found == [
        "trian not a section; did you mean 'train'?",
        f"data.cycle.length expected {sizes}, found 'long'",
        "filters[0].k_core.users not an option; did you mean 'user'?",
        f"graph[0].CoOccurrence.kind expected {kinds}, found 'usr'",
        f"graph[0].CoOccurrence.top_k expected {sizes}, or None, found 0",
        f"graph[1].CoOccurrence.kind missing; expected {kinds}",
        "model.MCLSR.temprature not an option; did you mean 'temperature'?",
        "train.lr expected a finite number above 0, found 'fast'",
    ]


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"model": None}, "model: missing; an experiment needs it"),
        ({"model": "SASrec"}, "model.SASrec: unknown name; did you mean 'SASRec'?"),
        (
            {"model": "Zyx"},
            "model.Zyx: unknown name; there are POP, Repeat, ItemKNN, EASE, GFCF, "
            "BPRMF, LightGCN, SimGCL, XSimGCL, GRU4Rec, …. A class of your own? Enter "
            "it in gs.models.PARTS or gs.models.MODELS first",
        ),
        (
            {"data": {"dataset": "amazon-beuty"}},
            "data.dataset: no data set 'amazon-beuty': did you mean 'amazon-beauty'? "
            "(list all: graphseq get --list)",
        ),
        (
            {"data": {"dataset": "ml-1m", "folder": "nowhere"}},
            "data.dataset: the catalog folder nowhere does not exist. Set "
            "GRAPHSEQ_DATASETS to a folder of data set descriptions",
        ),
        ({"data": {"dataset": 3}}, "data.dataset: expected a text, found 3"),
        (
            {"data": {"path": "log.csv", "formt": "csv"}},
            "data.formt: not an option; did you mean 'format'?",
        ),
        (
            {"split": "leave_one"},
            "split.leave_one: unknown name; did you mean 'leave_one_out'?",
        ),
        (
            {"filters": {"k_core": {}}},
            "filters: expected a list of {Name: {option: …}}, found {'k_core': {}}",
        ),
        (
            {"train": {"folder": "x"}},
            "train.folder: comes from the data or the command; leave it out",
        ),
        (
            {"evaluate": {"metrics": ["Ginni"]}},
            "evaluate.metrics: unknown metric 'Ginni'; did you mean 'Gini'?",
        ),
        (
            {"evaluate": {"metrics": ["diversity"]}},
            "evaluate.metrics: diversity needs the step Attributes in the section "
            "graph",
        ),
        (
            {"evaluate": {"part": "test"}},
            "evaluate.part: comes from the data or the command; leave it out",
        ),
    ],
)
def test_each_kind_of_problem_is_reported_with_its_place(
    sections: dict[str, Any], line: str
) -> None:
    assert problems(**sections) == [line]


def test_data_without_a_source_list_the_sources() -> None:
    [line] = problems(data={"file": "x"})
    assert line.startswith("data: expected one of dataset, path, graph, cycle, markov")


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (
            {"SASRec": {"backbone": {"encoder": {"Transformer": {"layers": 0}}}}},
            "SASRec.backbone.encoder.Transformer.layers: expected a whole number of 1 "
            "or more, found 0",
        ),
        (
            {
                "SASRec": {
                    "backbone": {"dim": 8, "encoder": {"Transformer": {"heads": 3}}}
                }
            },
            "SASRec.backbone.encoder.Transformer.heads: expected a divisor of dim=8, "
            "found 3",
        ),
        (
            {"CL4SRec": {"augmentation": {"CropMaskReorder": {"mask_rate": 1.5}}}},
            "CL4SRec.augmentation.CropMaskReorder.mask_rate: expected a number from 0 "
            "to 1, found 1.5",
        ),
        (
            {"SRMA": {"objective": {"skipped": 3}}},
            "SRMA.objective.skipped: expected at most appended=2, found 3",
        ),
        (
            {"LMA4Rec": {"backbone": {"encoder": "GRU"}}},
            "LMA4Rec.backbone: learns the encoder's LearnableDropout; found a GRU "
            "without one; use Transformer(learnable=LearnableDropout())",
        ),
        (
            {"S3Rec": {"backbone": {"encoder": "GRU"}}},
            "S3Rec.objective: needs an encoder that attends in both directions, a "
            "Transformer; found GRU",
        ),
        (
            {
                "SequenceModel": {
                    "backbone": {"encoder": "GRU"},
                    "auxiliaries": [{"ExplainedViews": {"explanation": "attention"}}],
                }
            },
            "SequenceModel.auxiliaries: explanation='attention' reads the attention of "
            "a Transformer, and the encoder is a GRU; use saliency or occlusion",
        ),
        (
            {"SASRec": {"backbone": {"num_items": 3}}},
            "SASRec.backbone.num_items: comes from the data or the command; leave it "
            "out",
        ),
        (
            {"SASRec": {"backbone": 3}},
            "SASRec.backbone: expected one of Backbone, as {Name: {option: …}}, found "
            "3",
        ),
    ],
)
def test_options_of_a_model_and_its_parts_are_checked_at_their_place(
    model: dict[str, Any], line: str
) -> None:
    assert problems(model=model) == [f"model.{line}"]


@pytest.mark.parametrize(
    ("model", "places"),
    [
        ("MCLSR", ["model.MCLSR", "model.MCLSR"]),
        ("CoSeRec", ["model.CoSeRec.augmentation"]),
        (
            {"SASRec": {"backbone": {"features": {"Propagated": {}}}}},
            ["model.SASRec.backbone.features.Propagated"],
        ),
        (
            {"SequenceModel": {"auxiliaries": [{"FeatureContrast": {"kind": "user"}}]}},
            ["model.SequenceModel.auxiliaries[0].FeatureContrast"],
        ),
        (
            {"S3Rec": {"objective": {"variant": "full", "num_attributes": 3}}},
            ["model.S3Rec.objective"],
        ),
    ],
)
def test_a_relation_that_no_graph_step_adds_is_reported(
    model: Any, places: list[str]
) -> None:
    experiment = {**OPTIONS, "graph": [], "model": model}
    with pytest.raises(
        OptionError, match=r"reads the relation .*; add to graph: "
    ) as e:
        check(experiment)
    assert [problem.name for problem in e.value.invalid] == places


def test_a_file_of_version_0_1_is_refused_with_the_new_places_of_its_options() -> None:
    old = {"encoder": {"GRU": {}}, "crop_keep": 0.5, "preset": "s3", "temprature": 1}
    [line] = problems(model={"CL4SRec": old})
    assert line == (
        "model.CL4SRec: options of graphseq 0.1, whose models had no parts; write "
        "encoder as backbone.encoder, crop_keep as "
        "augmentation.CropMaskReorder.crop_keep, preset as base: presets/NAME.yaml "
        "(see 'Migrate from 0.1' in the documentation)"
    )


@pytest.mark.parametrize("content", [None, [], "user,item,time " * 1000, 3])
def test_something_that_is_not_an_experiment_is_refused_briefly(content: Any) -> None:
    with pytest.raises(
        ConfigError, match="expected the sections data, split, model"
    ) as e:
        check(content)
    assert len(str(e.value)) < 200


def test_nothing_is_read_while_a_file_is_checked() -> None:
    check({**OPTIONS, "data": {"path": "no such file"}})


def test_two_widths_contradict_each_other() -> None:
    parts = {"dim": 16, "features": {"Propagated": {"dim": 8}}}
    [line] = problems(model={"CL4SRec": {"backbone": parts}})
    assert line.startswith("model.CL4SRec.backbone.dim: expected one width, found dim ")


@pytest.mark.parametrize(
    ("name", "place"), [("lr", "train.lr"), ("ks", "evaluate.ks"), ("modl", "'model'")]
)
def test_an_option_without_its_section_is_advised(name: str, place: str) -> None:
    with pytest.raises(
        ConfigError, match=f"{name}.*not a section; did you mean {place}"
    ):
        check({"model": {"POP": {}}, "data": {"dataset": "beauty"}, name: 1})


def test_a_section_without_a_name_is_not_a_section() -> None:
    with pytest.raises(OptionError, match="None: not a section"):
        check({**OPTIONS, None: {}})
