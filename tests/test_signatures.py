"""Signatures: the options of a class or function, and values that do not fit them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge

from graphseq.signatures import invalid_names, parameters


class Part:
    def __init__(
        self,
        size: Annotated[int, Ge(1)],
        *others: int,
        kind: Literal["mean", "last"] = "mean",
        pair: "tuple[int, float] | None" = None,
        ks: Sequence[int] = (),
        **rest: Any,
    ) -> None: ...


def test_options_have_resolved_annotations_and_no_stars() -> None:
    found = parameters(Part)
    assert [*found] == ["size", "kind", "pair", "ks"]
    assert found["size"].annotation == Annotated[int, Ge(1)]
    assert found["pair"].annotation == tuple[int, float] | None
    assert found["kind"].default == "mean"
    assert parameters(Part.__init__) == found


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, set()),
        ({"size": 1, "kind": "last", "pair": [1, 2.0], "ks": [1]}, set()),
        (
            {"size": 0, "kind": "first", "pair": [1], "ks": ["1"]},
            {"size", "kind", "pair", "ks"},
        ),
        ({"size": "1", "pair": None}, {"size"}),
        ({"size": 1.0, "ks": 3}, {"size", "ks"}),
    ],
)
def test_values_are_checked_without_conversion(
    options: dict[str, Any], wrong: set[str]
) -> None:
    assert invalid_names(Part, options) == wrong
