"""Variants of a file: selected by name, merged, and found for the command line."""

from pathlib import Path

import pytest

from graphseq.config import experiment_names, experiments_of, load, load_all
from graphseq.errors import ConfigError

FILE = """\
data: {cycle: {num_users: 12, num_items: 8, length: 6}}
split: {leave_one_out: {}}
model: {SASRec: {backbone: {dim: 8, loss: ce}}}
train: {max_epochs: 1}
variants:
  ce:
  bce:
    model.SASRec.backbone: {loss: bce}
    train: {lr: 0.01}
    claim: {HR@10 kept: ">= 0.05", source: Table 1}
  contrast:
    model: {CL4SRec: {backbone: {dim: 8}}}
"""
PLAIN = "data: cycle\nsplit: leave_one_out\nmodel: POP\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "beauty" / "presets").mkdir(parents=True)
    (tmp_path / "beauty" / "sasrec.yaml").write_text(FILE)
    (tmp_path / "beauty" / "pop.yaml").write_text(PLAIN.replace("cycle", "{cycle: {}}"))
    (tmp_path / "beauty" / "presets" / "part.yaml").write_text("train: {lr: 0.1}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_variant_is_the_file_with_its_changes(folder: Path) -> None:
    experiment = load("beauty/sasrec.yaml:bce", ["train.lr=0.5"])
    assert experiment.options == {
        "data": {"cycle": {"num_users": 12, "num_items": 8, "length": 6}},
        "split": {"leave_one_out": {}},
        "model": {"SASRec": {"backbone": {"dim": 8, "loss": "bce"}}},
        "train": {"max_epochs": 1, "lr": 0.5},
    }
    assert experiment.name == "beauty/sasrec.yaml:bce"
    assert experiment.claim == {"HR@10 kept": ">= 0.05", "source": "Table 1"}
    found = [next(iter(e.options["model"])) for e in load_all("beauty/sasrec.yaml")]
    assert found == ["SASRec", "SASRec", "CL4SRec"]


def test_a_file_with_several_variants_needs_a_choice(folder: Path) -> None:
    for name, why in (
        ("sasrec.yaml", r"has 3 variants: ce, bce, contrast. Choose one: .*yaml:ce"),
        ("sasrec.yaml:bec", r"unknown variant 'bec'; did you mean 'bce'\?"),
        ("pop.yaml:ce", r"unknown variant 'ce'; the file has no variants"),
    ):
        with pytest.raises(ConfigError, match=why):
            load(f"beauty/{name}")
    assert load(folder / "beauty" / "pop.yaml").name == "beauty/pop.yaml"


@pytest.mark.parametrize(
    ("argument", "names"),
    [
        (
            "beauty",
            ["pop.yaml", "sasrec.yaml:ce", "sasrec.yaml:bce", "sasrec.yaml:contrast"],
        ),
        ("beauty/sasrec.yaml:*ce", ["sasrec.yaml:ce", "sasrec.yaml:bce"]),
        ("*/p*.yaml", ["pop.yaml"]),
        ("beauty/../beauty/pop.yaml", ["pop.yaml"]),
    ],
)
def test_arguments_name_experiments(
    folder: Path, argument: str, names: list[str]
) -> None:
    expected = [f"beauty/{name}" for name in names]
    assert experiment_names(argument) == expected
    assert [e.name for e in experiments_of(argument)] == expected


@pytest.mark.parametrize("argument", ["none.yaml", "beauty/presets/x*", "x.yaml:y"])
def test_an_argument_that_names_nothing_is_refused(folder: Path, argument: str) -> None:
    with pytest.raises(ConfigError, match="names no experiment"):
        experiment_names(argument)


def test_an_unknown_variant_is_named_with_the_nearest(folder: Path) -> None:
    message = r"sasrec.yaml has no variant 'contrst'; did you mean 'contrast'\?"
    with pytest.raises(ConfigError, match=message):
        experiment_names("beauty/sasrec.yaml:contrst")
    with pytest.raises(
        ConfigError, match=r"pop.yaml has no variant 'a'; there are none"
    ):
        experiment_names("beauty/pop.yaml:a")


def test_a_broken_file_is_named_so_that_loading_it_gives_the_reason(
    folder: Path,
) -> None:
    (folder / "broken.yaml").write_text("a: b: c")
    assert experiment_names("broken.yaml") == ["broken.yaml"]
    with pytest.raises(ConfigError, match=r"broken.yaml, line 1"):
        load("broken.yaml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("variants: [a, b]", "expected changes by name"),
        ("variants: {a/b: {}}", "expected names of letters"),
        ("variants: {a: 3}", "variants.a: expected options to change"),
        ("variants: {a: {}}\nclaim: {HR@5 kept: '>= 1'}", "write one for each"),
        ("variants: {a: {claim: {HR@5: '>= 1'}}}", "expected a metric and a protocol"),
        ("variants: {a: {model.POP.dim: 1}}", "model.POP.dim: not an option"),
        ("variants: {a: {'filters[0].k_core': {}}}", "'0' is not a position|plain"),
    ],
)
def test_variants_that_cannot_be_are_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(PLAIN.replace("cycle", "{cycle: {}}") + "filters: []\n" + text)
    with pytest.raises(ConfigError, match=why):
        load(path)
