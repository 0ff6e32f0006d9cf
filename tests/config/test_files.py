"""YAML read as data only, and overridden key by key."""

from pathlib import Path

import pytest

from graphseq.config.files import override, parse, read_yaml
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


def test_a_key_given_twice_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError, match="line 3: 'dim' is given twice"):
        parse("model:\n  dim: 1\n  dim: 2\n", "f.yaml")


def test_a_broken_file_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"^f\.yaml, line 2: "):
        parse("a: 1\nb: c: d\n", "f.yaml")


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.getcwd []", "!!python/name:os.system ''"]
)
def test_nothing_but_data_is_read(text: str) -> None:
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        parse(text, "f.yaml")


def test_a_missing_file_suggests_the_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "sasrec-beauty.yaml").touch()
    with pytest.raises(ConfigError, match=r"did you mean .*sasrec-beauty.yaml\?"):
        read_yaml(tmp_path / "sasrec-beuty.yaml")
    with pytest.raises(ConfigError, match=r"there is no such file$"):
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
        ("dim", "takes KEY=VALUE"),
        ("=3", "takes KEY=VALUE"),
        ("graph[5].A.k=3", "no place in a list of 1"),
        ("seed.more=3", "below 7, a plain value"),
    ],
)
def test_an_override_that_cannot_be_is_refused(setting: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        override({"graph": [{"A": {}}], "seed": 7}, [setting])
