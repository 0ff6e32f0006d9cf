"""The blocks of a file, put together as interactions."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from graphseq.data.columns import Growing, Int64s
from graphseq.data.interactions import Interactions
from graphseq.data.numbering import Numbering
from graphseq.data.readers.faults import Faults
from graphseq.data.readers.table import Table
from graphseq.data.readers.timestamps import count_units, other_units, usual_unit

Tables = Callable[[], Iterable[Table]]
UNKNOWN = -1


def gather(tables: Tables, name: str, unit: str, text_ids: bool) -> "Gathered":
    """Everything that a reader finds.

    Times of another unit than most are faults. The first block tells which unit that
    is; should the whole file tell otherwise, it is read again.

    Args:
        tables: Begins to read the file.
        name: Of the file, for messages.
        unit: What its lines are called.
        text_ids: Leave ids strings even if all of them are spelt as integers.
    """
    usual: int | None = UNKNOWN
    while True:
        found = Gathered(Faults(name, unit), usual, text_ids)
        for table in tables():
            found.add(table)
        if found.is_settled:
            return found
        usual = usual_unit(found.units)


class Gathered:
    """Rows without a fault, numbered as they come, and the faults of the others.

    Args:
        faults: Collects the faults.
        usual: Unit of most times, as far as it is known.
        text_ids: Leave ids strings even if all of them are spelt as integers.
    """

    def __init__(self, faults: Faults, usual: int | None, text_ids: bool) -> None:
        self.faults, self._usual = faults, usual
        self.units: Int64s = np.zeros(5, dtype=np.int64)
        self._users, self._items = Numbering(text_ids), Numbering(text_ids)
        self._times: Growing | None = None

    @property
    def is_settled(self) -> bool:
        """Whether all times were judged as the whole file asks for."""
        return self._times is None or self._usual == usual_unit(self.units)

    def add(self, table: Table) -> None:
        """Take the rows of the next block."""
        if not len(table.lines):
            return
        frame, checks = table.frame, list(table.checks)
        if "time" in frame.columns:
            self._times = self._times or Growing()
            self.units = self.units + count_units(frame["time"])
            if self._usual == UNKNOWN:
                self._usual = usual_unit(self.units)
            checks.append(other_units(frame["raw_time"], frame["time"], self._usual))
        sound = self.faults.sift(checks, table.lines)
        if not sound.all():
            frame = frame.filter(sound)
        self._users.add(frame["user"])
        self._items.add(frame["item"])
        if self._times is not None:
            self._times.add(frame["time"].to_numpy())

    def interactions(self, skipped: Mapping[str, int]) -> Interactions:
        """All sound rows; they are handed over, so ask once."""
        return Interactions.from_arrays(
            self._users.column(),
            self._items.column(),
            None if self._times is None else self._times.take(),
            users=self._users.vocabulary(),
            items=self._items.vocabulary(),
            skipped=skipped,
        )
