"""YAML read as data only, merged over base files, and overridden key by key."""

from pathlib import Path

import pytest

from graphseq.config.yaml import override, read_merged, read_yaml
from graphseq.errors import ConfigError


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


@pytest.mark.parametrize(
    "setting",
    [
        "a[²]=1",
        f"a[{'9' * 5000}]=1",
        ".".join("a" * 3000) + "=1",
        "a=2024-13-45",
        "a=[[",
    ],
)
def test_hostile_settings_are_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        override({"a": [1]}, [setting])


def test_hostile_bases_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for text in ('base: "a\\0b.yaml"', f"base: {'n' * 5000}.yaml", "base: [[1]]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError):
            read_merged(path)
    for number in range(20):
        text = f"base: {number + 1}.yaml"
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="base of a base"):
        read_merged(tmp_path / "0.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="cannot be read as text"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match=r"characters|cannot be read"):
        read_yaml("/dev/zero")
