"""The file of measurements, from which the pictures are drawn."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from experiments.studies.study import Point
from graphseq.atomic import atomic_file

FILE = Path(__file__).parent / "measurements.csv"


def read(path: Path = FILE) -> dict[str, list[Point]]:
    """Study -> its measurements; empty without the file."""
    found: dict[str, list[Point]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for study, panel, series, place, *numbers in [*csv.reader(file)][1:]:
                point = Point(panel, series, place, *map(float, numbers))
                found.setdefault(study, []).append(point)
    return found


def write(
    measured: Mapping[str, Sequence[Point]], order: Iterable[str], path: Path = FILE
) -> None:
    """Replace the file; studies are written in an order, numbers with six digits."""
    with (
        atomic_file(path) as draft,
        draft.open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("study", *Point._fields))
        for name in order:
            for point in measured.get(name, ()):
                numbers = (f"{number:.6g}" for number in point[3:])
                rows.writerow((name, *point[:3], *numbers))
