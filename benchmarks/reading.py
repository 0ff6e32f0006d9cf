"""Reading a CSV of any size: in blocks, and all at once with polars.

    python -m benchmarks.reading

All at once is ``pl.read_csv`` and then ``Interactions.from_frame``, without checks of
its lines. Users and items are as many as in Amazon Books, heavy-tailed; text ids have
ten characters. Files are written to a temporary folder (1.7 GB for the largest).
"""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.cases import Case, main
from graphseq.data import Interactions, read_log

USERS, ITEMS, STEP = 459_133, 313_966, 1_000_000


def write(path: Path, events: int, text: bool) -> None:
    """Write unordered events in blocks."""
    chance = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(b"user,item,time\n")
        for begin in range(0, events, STEP):
            size = min(STEP, events - begin)
            frame = pl.DataFrame(
                {
                    "user": (USERS * chance.random(size) ** 2).astype(np.int64),
                    "item": (ITEMS * chance.random(size) ** 3).astype(np.int64),
                    "time": chance.integers(1_300_000_000, 1_600_000_000, size),
                }
            )
            if text:
                ids = [pl.col(name).cast(pl.String) for name in ("user", "item")]
                padded = [pl.concat_str(pl.lit("A"), i.str.zfill(9)) for i in ids]
                frame = frame.with_columns(user=padded[0], item=padded[1])
            frame.write_csv(file, include_header=False)


def reading(events: int, text: bool, read: Callable[[Path], object]) -> Case:
    def prepare() -> tuple[Callable[[], object], int]:
        folder = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, folder)
        write(folder / "log.csv", events, text)
        return lambda: read(folder / "log.csv"), 3 if events <= STEP else 1

    return prepare


def at_once(path: Path) -> Interactions:
    return Interactions.from_frame(pl.read_csv(path))


WAYS: dict[str, Callable[[Path], object]] = {
    "graphseq": read_log,
    "polars, all at once": at_once,
}
CASES: dict[str, Case] = {
    f"{events // STEP}M events, {'text' if text else 'integer'} ids: {way}": reading(
        events, text, read
    )
    for events in (STEP, 10 * STEP, 50 * STEP)
    for text in (False, True)
    for way, read in WAYS.items()
}

if __name__ == "__main__":
    main("benchmarks.reading", CASES, "Reading a CSV (one thread)")
