"""YAML is data only, within limits, and every fault of a file has its line."""

import time
from pathlib import Path

import pytest

from graphseq.errors import ConfigError
from graphseq.plain_yaml import MAX_CHARACTERS, dump, parse, read_text


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


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
    for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
)
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(999))
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]}}\n"
    for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize("text", [ALIASES, CHAIN, MERGES], ids=["lists", "deep", "<<"])
def test_aliases_that_expand_beyond_the_limit_are_refused(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(ConfigError, match=r"line \d+: more than .* aliases"):
        parse(text, "f.yaml")
    assert time.process_time() - begin < 5


def test_an_alias_to_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"line 1: an alias to the list .* holds it"):
        parse("a: &a [*a]", "f.yaml")
    assert parse("a: &a [1]\nb: [*a, *a]", "f.yaml")["b"] == [[1], [1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2024-13-45", "line 2: '2024-13-45' is not a valid timestamp"),
        ("a: 0000-01-01", "line 1: '0000-01-01' is not a valid timestamp"),
        ("a: !!int x", "line 1: 'x' is not a valid int"),
        ("a: !!float x", "line 1: 'x' is not a valid float"),
        ("a: !!bool x", "line 1: 'x' is not a valid bool"),
        ("a: !!timestamp x", "line 1: 'x' is not a valid timestamp"),
        ("a: !!int [x]", "line 1: "),
        ("a: !!map x", "line 1: expected a mapping"),
        ("a: !!seq x", "line 1: expected a sequence"),
        ("a: !!binary x", "line 1: could not determine a constructor"),
        ("a: !!set {x}", "line 1: could not determine a constructor"),
        (f"a: {'9' * 5000}", "line 1: '9+.* is not a valid int"),
        (f"a: 0x{'f' * 5000}", "line 1: '0xf+.* is not a valid int"),
        ("a: " + "[" * 3000, "line 1: more than 50 nested"),
        ("{a: " * 3000, "line 1: more than 50 nested"),
        ("- " * 3000 + "a", "line 1: more than 50 nested"),
        ('a: "\\ud800"', "line 1: .* is not a valid str"),
        ('a: "\\UFFFFFFFF"', ""),
        ("? [1]\n: 2", "line 1: a key must be a text or a number; found a sequence"),
        ("a: =", "line 1: could not determine a constructor"),
        ("a: \x00", "not a YAML file"),
        ("--- a\n--- b", "line 2: but found another document"),
        ("x" * (MAX_CHARACTERS + 1), "characters, more than"),
    ],
)
def test_what_python_cannot_hold_is_a_fault_of_the_file(
    text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^f\.yaml.*{message}"):
        parse(text, "f.yaml")


def test_many_keys_are_read_in_linear_time() -> None:
    text = "\n".join(f"k{i}: 1" for i in range(2_000))
    begin = time.process_time()
    assert len(parse(text, "f.yaml")) == 2_000
    assert time.process_time() - begin < 5


def test_a_text_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_text("x" * (2 * MAX_CHARACTERS), encoding="utf-8")
    assert len(read_text(path)) == MAX_CHARACTERS + 1
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_text(tmp_path / ("n" * 5000))


def test_the_cases_are_refused(shared: Path) -> None:
    with pytest.raises(ConfigError, match="more than 10,000 values"):
        parse((shared / "cases" / "yaml_aliases.yaml").read_text("utf-8"), "f.yaml")


@pytest.mark.parametrize(
    "value", ["1e-3", "1E5", ".5e1", "0x1f", "1:30", "~", "yes", "2020-01-01", 1e-5, 3]
)
def test_what_is_written_is_read_as_the_same_value(value: object) -> None:
    found = parse(dump({"a": [value]}), "x")["a"][0]
    assert found == value
    assert type(found) is type(value)
