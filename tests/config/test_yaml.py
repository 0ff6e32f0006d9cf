"""YAML read as data only, merged over base files, and overridden key by key."""

from pathlib import Path

import pytest

from graphseq.config.yaml import override, parse, read_merged, read_yaml
from graphseq.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5e-3", 0.0015),
        ("-2E+4", -20000.0),
        ("3", 3),
        ("0.5", 0.5),
        ("null", None),
        ("[5, 10]", [5, 10]),
        ("e3", "e3"),
        ("1e-3x", "1e-3x"),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: object) -> None:
    found = parse(text, "here")
    assert found == value
    assert type(found) is type(value)


def test_a_mapping_may_be_merged_into_another() -> None:
    text = "train: {lr: &base {a: 1, b: 2}}\nmodel: {<<: *base, b: 3}\n"
    assert parse(text, "x")["model"] == {"a": 1, "b": 3}


def test_a_duplicate_key_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match="line 3: duplicate key 'dim'"):
        parse("model:\n  dim: 1\n  dim: 2\n", "f.yaml")


def test_a_broken_file_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"^f\.yaml, line 2: "):
        parse("a: 1\nb: c: d\n", "f.yaml")


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.getcwd []", "!!python/name:os.system ''"]
)
def test_nothing_but_data_is_read(text: str) -> None:
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        parse(text, "f.yaml")


def test_a_missing_file_suggests_a_similar_name(tmp_path: Path) -> None:
    (tmp_path / "sasrec-beauty.yaml").touch()
    with pytest.raises(ConfigError, match=r"did you mean .*sasrec-beauty.yaml\?"):
        read_yaml(tmp_path / "sasrec-beuty.yaml")
    with pytest.raises(ConfigError, match=r"no such file$"):
        read_yaml(tmp_path / "none" / "sasrec.yaml")


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        read_yaml(path)


def test_overrides_reach_any_depth_and_leave_the_original_alone() -> None:
    options = {
        "model": {"SASRec": {"dim": 64}},
        "graph": [{"A": None}, {"B": {"k": 1}}],
    }
    found = override(
        options,
        ["model.SASRec.dim=32", "graph[1].B.k=2", "graph.0.A.k=3", "train.lr=1e-2"],
    )
    assert found == {
        "model": {"SASRec": {"dim": 32}},
        "graph": [{"A": {"k": 3}}, {"B": {"k": 2}}],
        "train": {"lr": 0.01},
    }
    assert options["model"] == {"SASRec": {"dim": 64}}
    assert options["graph"] == [{"A": None}, {"B": {"k": 1}}]


def test_a_bare_name_is_kept_when_its_options_are_overridden() -> None:
    assert override({"model": "POP"}, ["model.POP.dim=3"]) == {
        "model": {"POP": {"dim": 3}}
    }


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("dim", "expects KEY=VALUE"),
        ("=3", "expects KEY=VALUE"),
        ("graph[5].A.k=3", "not a position in a list of 1"),
        ("seed.more=3", "below 7, a plain value"),
    ],
)
def test_an_override_that_cannot_be_is_refused(setting: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        override({"graph": [{"A": {}}], "seed": 7}, [setting])


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")


def test_a_file_is_merged_over_its_bases(tmp_path: Path) -> None:
    write(
        tmp_path,
        data="data: {dataset: amazon-beauty}\nsplit: {leave_one_out: {}}\n",
        s3="model: {SASRec: {backbone: {loss: bce, encoder: {Transformer: "
        "{layers: 1, positions: end}}}}}\ntrain: {lr: 0.1, seed: 2}\n",
        own="base: [data.yaml, s3.yaml]\nsplit: {by_user: {}}\ntrain: {seed: 3}\n"
        "model: {SASRec: {backbone: {encoder: {Transformer: {layers: 3}}}}}\n",
        other="base: own.yaml\nmodel: {CL4SRec: {}}\ndata: {path: a.csv}\n",
    )
    encoder = {"Transformer": {"layers": 3, "positions": "end"}}
    own = read_merged(tmp_path / "own.yaml")
    assert own == {
        "data": {"dataset": "amazon-beauty"},
        "split": {"by_user": {}},
        "model": {"SASRec": {"backbone": {"loss": "bce", "encoder": encoder}}},
        "train": {"lr": 0.1, "seed": 3},
    }
    other = read_merged(tmp_path / "other.yaml")
    assert other == {**own, "model": {"CL4SRec": {}}, "data": {"path": "a.csv"}}


def test_bases_are_yaml_files_and_form_no_cycle(tmp_path: Path) -> None:
    write(tmp_path, a="base: b.yaml\n", b="base: a.yaml\n", c="base: /etc/passwd\n")
    write(tmp_path, d="base: none.yaml\n", e="base: f.yaml\n", f="variants: {x: {}}\n")
    for name, why in (
        ("a", r"base files form a cycle: a.yaml → b.yaml → a.yaml"),
        ("c", r"expected a YAML file .*; found '/etc/passwd'"),
        ("d", r"none.yaml: no such file"),
        ("e", r"f.yaml must contain sections, without variants"),
    ):
        with pytest.raises(ConfigError, match=why):
            read_merged(tmp_path / f"{name}.yaml")
