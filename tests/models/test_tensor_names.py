"""Parts of tensors are what their index says; patterns find the names they fit."""

import pytest
import torch

from graphseq.models.tensor_names import fill, matches, parse_part

SIZES = {"V": 5, "D": 4}
X = torch.arange(7 * 4 * 2).view(7, 4, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", X),
        ("x[0]", X[0]),
        ("x[1:V+1]", X[1:6]),
        ("x[ 1 : V + 1 ]", X[1:6]),
        ("x[-V:]", X[2:]),
        ("x[:2V-D]", X[:6]),
        ("x[D-1, 2*D-7:3, -1]", X[3, 1:3, -1]),
        ("x[:, :, 0].T", X[:, :, 0].T),
        ("x[2].T", X[2].T),
    ],
)
def test_parts_are_those_of_the_index(text: str, expected: torch.Tensor) -> None:
    part = parse_part(text, SIZES)
    assert part.name == "x"
    assert torch.equal(part.of(X), expected)


def test_a_part_is_a_view_that_can_be_written() -> None:
    x = X.clone()
    parse_part("x[0].T", {}).of(x).zero_()
    assert not x[0].any()
    assert torch.equal(x[1:], X[1:])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x[", "expected NAME"),
        ("x[]", "expected NAME"),
        ("", "expected NAME"),
        ("x[0][1]", "expected NAME"),
        ("x[::2]", "has a step"),
        ("x[1:H]", "H is not a size of the model; it has V = 5, D = 4"),
        ("x[1.5]", "'1.5' is not a sum"),
        ("x[V**2]", "not a sum"),
        ("x[,0]", "not a sum"),
        ("x[__import__('os')]", "not a sum"),
    ],
)
def test_other_forms_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("*", r"\*")):
        parse_part(text, SIZES)


@pytest.mark.parametrize("text", ["x[9]", "x[0, 0, 0, 0]", "x.T", "x[0, 0].T"])
def test_parts_that_a_tensor_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(IndexError):
        parse_part(text, {}).of(X)


NAMES = dict.fromkeys(
    ["a.0.up.weight", "a.0.up.bias", "a.10.up.weight", "a.0.1.up.bias", "axup", "b.b"]
)


def found(pattern: str) -> list[str]:
    return [fields[""] for fields in matches(pattern, NAMES)]


def test_a_field_is_a_text_without_a_dot_and_a_star_any_text() -> None:
    assert [*matches("a.{i}.up.{k}", NAMES)] == [
        {"": "a.0.up.weight", "i": "0", "k": "weight"},
        {"": "a.0.up.bias", "i": "0", "k": "bias"},
        {"": "a.10.up.weight", "i": "10", "k": "weight"},
    ]
    assert found("*.bias") == ["a.0.up.bias", "a.0.1.up.bias"]
    assert found("{k}.{k}") == ["b.b"]
    assert found("a.up") == []  # a dot is a dot
    assert found("axup") == ["axup"]


def test_fields_are_filled_in_names_and_indices() -> None:
    assert fill("{i}.x.{k}[2*D:]", {"i": "3", "k": "b"}) == "3.x.b[2*D:]"
    with pytest.raises(ValueError, match=r"\{j\} is not in the name on the left"):
        fill("{j}.x", {"i": "3"})
