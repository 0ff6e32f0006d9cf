"""The lines of a Spark task, by the file and the place in it that they come from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Run:
    """How far the lines are read that Spark reads from one place of a file on.

    Attributes:
        file: The file.
        start: The place.
        line: Lines read.
        row: Rows that they gave.
        headed: Whether the line that names the columns is behind.
        held: Lines of a quotation that is open.
    """

    file: str
    start: int
    line: int = 0
    row: int = 0
    held: bytes = b""
    headed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.headed = self.start > 0


def runs(batch: "pa.RecordBatch") -> Iterator[tuple[str, int, bytes]]:
    """The lines of a batch, by file and place in it where Spark began to read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    value, file, start = (batch.column(place) for place in range(3))
    changes = np.zeros(batch.num_rows, np.bool_)
    if batch.num_rows:
        changes[0] = True
        for column in (file, start):
            other = pc.not_equal(column[1:], column[:-1])
            changes[1:] |= other.to_numpy(zero_copy_only=False)
    edges = np.append(np.flatnonzero(changes), batch.num_rows).tolist()
    for begin, end in pairwise(edges):
        some = pa.array([begin, end], pa.int32())
        lines = pc.binary_join(pa.ListArray.from_arrays(some, value), b"\n")
        yield plain_path(file[begin].as_py()), start[begin].as_py(), lines[0].as_py()


def plain_path(file: str) -> str:
    """A file's path, which Spark spells in several ways, without its scheme."""
    return unquote(file.partition(":")[2].lstrip("/"))


def parted(data: bytes) -> tuple[bytes, bytes]:
    """Lines up to where a quotation opens that does not end, and the rest."""
    end = data.rfind(b"\n", 0, data.rfind(b'"')) + 1
    while end and data[:end].count(b'"') % 2:
        end = data.rfind(b"\n", 0, end - 1) + 1
    return data[:end], data[end:]
