"""What a study is: measurements of finished runs, and a picture of them."""

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import graphseq as gs
from graphseq.constants import Protocol
from graphseq.training import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


KNOWN = ("SASRec", "CL4SRec", "DuoRec", "ICLRec", "MCLRec (no cl1)", "EC4SRec (SSL)")
"""Models that have the same colour in all pictures."""


class Point(NamedTuple):
    """One measurement.

    Attributes:
        panel: Name of the panel of the picture.
        series: Name in its legend.
        place: Where it stands on the horizontal axis: a number or a name.
        value: The metric, or the vertical coordinate.
        low: Lower bound, of the value itself or of what it would be with the reference
            plus the difference; ``nan`` without one.
        high: Upper bound.
    """

    panel: str
    series: str
    place: str
    value: float
    low: float = math.nan
    high: float = math.nan


class Runs:
    """The finished runs of variants.

    Args:
        found: Variant -> its runs, one for each seed.
    """

    def __init__(self, found: Mapping[str, Sequence[Run]]) -> None:
        self.found = found

    def __call__(self, variant: str) -> Sequence[Run]:
        """The runs of a variant."""
        return self.found[variant]

    def values(self, variant: str, history: str, metric: str) -> list[float]:
        """A metric on the test part, of each seed."""
        return [run.report[history][metric] for run in self(variant)]

    def mean(self, variant: str, history: str, metric: str) -> float:
        """The mean of :meth:`values`."""
        return statistics.mean(self.values(variant, history, metric))

    def compared(
        self, variant: str, reference: str, history: Protocol, metric: str
    ) -> tuple[float, float, float]:
        """The mean, and the reference plus the bounds of the paired difference."""
        if variant == reference:
            return self.mean(variant, history, metric), math.nan, math.nan
        runs = [*self(variant)], [*self(reference)]
        found = gs.compare(*runs, metric, history=history)
        assert found.interval is not None
        low, high = found.interval
        return found.a, found.b + low, found.b + high


@dataclass(frozen=True)
class Study(ABC):
    """A study of a paper.

    Attributes:
        source: The paper, and its figure or table.
    """

    source: str

    @property
    @abstractmethod
    def variants(self) -> Iterable[str]:
        """The experiments that it needs."""

    @abstractmethod
    def measure(self, runs: Runs) -> Iterator[Point]:
        """All measurements, from finished runs."""

    @abstractmethod
    def draw(self, points: Sequence[Point]) -> "Figure":
        """The picture of the measurements."""


@dataclass(frozen=True)
class OfModels(Study):
    """A study that compares models.

    Attributes:
        models: Name -> variant.
    """

    models: Mapping[str, str]

    @property
    def variants(self) -> Iterable[str]:
        return self.models.values()


def by_panel(points: Iterable[Point]) -> dict[str, list[Point]]:
    """The points of each panel, in their order."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.panel, []).append(point)
    return found


def colours(points: Iterable[Point]) -> dict[str, int]:
    """The number of the colour of each series: its own, or the place in the legend."""
    names = [*dict.fromkeys(point.series for point in points)]
    own = all(name in KNOWN for name in names)
    return {name: (KNOWN if own else names).index(name) for name in names}
