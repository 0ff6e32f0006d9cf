"""Objects remember what they were built with, and say it as plain data."""

import copy
from typing import Any

from graphseq.options import Recorded, describe


class Part(Recorded):
    def __init__(self, size: int, *, scale: float = 1.5) -> None:
        self.size = size


class Whole(Recorded):
    def __init__(
        self, name: str, *, part: Part | None = None, ks: Any = (1, 2)
    ) -> None:
        self.name = name


def test_options_hold_the_defaults_too() -> None:
    assert Part(3).options == {"size": 3, "scale": 1.5}
    assert Part(size=3, scale=2.0).options == {"size": 3, "scale": 2.0}


def test_a_description_is_plain_data_all_the_way_down() -> None:
    assert describe(Whole("w", part=Part(3))) == {
        "Whole": {
            "name": "w",
            "part": {"Part": {"size": 3, "scale": 1.5}},
            "ks": [1, 2],
        }
    }
    assert describe([Part(1), {"a": (Part(2),)}]) == [
        {"Part": {"size": 1, "scale": 1.5}},
        {"a": [{"Part": {"size": 2, "scale": 1.5}}]},
    ]


def test_copies_keep_the_options() -> None:
    for twin in (copy.copy(Part(3)), copy.deepcopy(Part(3))):
        assert twin.options == {"size": 3, "scale": 1.5}
        assert twin.size == 3
