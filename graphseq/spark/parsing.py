"""Lines of a log parsed where they are, by the readers of ``graphseq.data``."""

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s
from graphseq.data.readers.delimited import read_delimited
from graphseq.data.readers.formats import Columns, Layout
from graphseq.data.readers.jsonl import read_records
from graphseq.data.readers.sequences import read_sequences
from graphseq.data.readers.source import Block, Source
from graphseq.data.readers.table import Table, make_table, other_units
from graphseq.data.timestamps import UNITS, units_of
from graphseq.errors import DataError
from graphseq.spark.errors import AGAIN, note

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = (
    "user string, item string, time bigint, unit int, row bigint, line bigint, "
    "fault string"
)
FILE = 44  # bits of a row's number below those of its file's: 17 TB a file


@dataclass(frozen=True)
class Lines(Source):
    """Some lines of a file, of which the start is known too."""

    block: Block = field(default_factory=lambda: Block(b"", 1))

    def blocks(self, *, quotes: bool = False, parts: int = 1) -> Iterator[Block]:
        """The lines, as one block."""
        yield self.block


@dataclass(frozen=True)
class Reading:
    """How the lines of all files are to be read.

    Attributes:
        name: Of the log, for messages.
        start: First lines of the first file that are not blank.
        layout: Its format.
        columns: Where user, item and time are; ``None``: as the format has it.
        files: Number of each file by its path, in the order of the log.
        usual: Unit of most times, as far as it is known.
    """

    name: str
    start: bytes
    layout: Layout
    columns: Columns | None
    files: Mapping[str, int]
    usual: int | None = None

    def peek(self) -> Table | None:
        """The first lines, parsed; ``None`` if there is but a heading."""
        data = self.start
        if data.count(b'"') % 2:
            data, _ = parted(data)
        lines = Lines(Path(self.name), self.start, Block(data, 1))
        return next(iter(self._tables(lines)), None)

    @property
    def heading(self) -> bytes:
        """The line that names the columns, if the files have one."""
        asked = self.columns or self.layout.columns
        if self.layout.kind != "delimited" or (
            asked and isinstance(asked["user"], int)
        ):
            return b""
        return Source(Path(self.name), self.start).head(1)[0].strip("\r").encode()

    def text(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        """Rows of the lines of a partition: columns value, file and start."""
        run = Run("", -1)
        for batch in batches:
            for file, start, lines in runs(batch):
                if (run.file, run.start) != (file, start):
                    yield from self._rows(run, run.held)
                    run = Run(file, start)
                data = run.held + lines + b"\n"
                run.held = b""
                if self.layout.kind == "delimited" and data.count(b'"') % 2:
                    data, run.held = parted(data)
                yield from self._rows(run, data)
        yield from self._rows(run, run.held)

    def _rows(self, run: "Run", data: bytes) -> "Iterator[pa.RecordBatch]":
        """Rows of the next lines of a run."""
        height = data.count(b"\n")
        begin = 1 if self.layout.kind == "sequences" else run.line + 1
        if data.strip():
            if self.heading and not run.headed:
                self._check_heading(data, run.file)
                run.headed = True
            elif self.heading:
                data, begin = self.heading + b"\n" + data, begin - 1
            block = Block(data.removeprefix(BOM_UTF8), begin)
            above = run.line if self.layout.kind == "sequences" else 0
            base = (self.files[run.file] << FILE) + run.start
            for table in self._tables(Lines(Path(self.name), self.start, block)):
                numbers = base + run.row + np.arange(len(table.lines))
                yield from self.spelt(table, numbers, base + above + table.lines - 1)
                run.row += len(table.lines)
        run.line += height

    def _tables(self, lines: Lines) -> Iterator[Table]:
        if self.layout.kind == "delimited":
            try:
                yield from read_delimited(lines, self.layout, self.columns)
            except DataError as error:
                if "no line below it" not in str(error):
                    raise
        elif self.layout.kind == "records":
            yield from read_records(lines, self.layout, self.columns)
        else:
            yield from read_sequences(lines)

    def _check_heading(self, data: bytes, file: str) -> None:
        lines = (line for line in data.split(b"\n") if line.strip())
        first = next(lines).removeprefix(BOM_UTF8).rstrip(b"\r")
        if first != self.heading:
            found = first.decode(errors="replace")
            raise DataError(
                f"the files of {self.name} begin with different lines: "
                f"{self.heading.decode()!r:.120}, and {found!r:.120} in "
                f"{file.rsplit('/', 1)[-1]}. Read them apart"
            )

    def typed(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        """Rows of Parquet files: columns of the roles, file and row."""
        for batch in batches:
            frame = cast(pl.DataFrame, pl.from_arrow(batch))
            if not frame.height:
                continue
            files = {f: self.files[plain_path(f)] for f in frame["file"].unique()}
            paths = frame["file"].replace_strict(files, return_dtype=pl.Int64)
            numbers = (paths.to_numpy() << FILE) + frame["number"].to_numpy()
            roles = [r for r in frame.columns if r not in ("file", "number")]
            raw = {role: frame[role] for role in roles}
            yield from self.spelt(make_table(raw, numbers, []), numbers, numbers)

    def spelt(
        self, table: Table, rows: Int64s, lines: Int64s
    ) -> "list[pa.RecordBatch]":
        """A table as Spark takes it: ids as text, one fault a row at most."""
        frame, checks, units = (
            table.frame,
            list(table.checks),
            np.zeros(len(rows), np.int8),
        )
        if "time" in frame.columns:
            time = frame["time"]
            units = units_of(time) % (len(UNITS) + 1)
            checks.append(other_units(frame["raw_time"], time, self.usual))
        else:
            time = pl.Series(rows)
        checks = [check for check in checks if check.reason != AGAIN]
        made = pl.DataFrame(
            {
                "user": frame["user"].cast(pl.String),
                "item": frame["item"].cast(pl.String),
                "time": time,
                "unit": pl.Series(units, dtype=pl.Int32),
                "row": pl.Series(rows),
                "line": pl.Series(lines),
                "fault": note(checks, lines),
            }
        )
        return _plain(made)


def _plain(frame: pl.DataFrame) -> "list[pa.RecordBatch]":
    """Batches with strings of the kind that Spark takes."""
    import pyarrow as pa

    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    kinds = dict.fromkeys(("user", "item", "fault"), pa.string())
    fields = [(each.name, kinds.get(each.name, each.type)) for each in table.schema]
    return list(table.cast(pa.schema(fields)).to_batches())


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
