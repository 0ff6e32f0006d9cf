"""Parse the lines of a log on the cluster, with the readers of ``graphseq.data``."""

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
from graphseq.data.readers.blocks import Block
from graphseq.data.readers.delimited import read_delimited
from graphseq.data.readers.formats import Columns, Layout
from graphseq.data.readers.jsonl import read_jsonl
from graphseq.data.readers.sequences import REPEATED_USER, read_sequences
from graphseq.data.readers.source import Source
from graphseq.data.readers.table import Table, make_table, other_units
from graphseq.data.timestamps import UNITS, rescale, thousands, units_of
from graphseq.errors import DataError
from graphseq.spark.errors import encode_faults

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = (
    "user string, item string, time bigint, unit int, row bigint, line bigint, "
    "fault string"
)
KINDS = len(UNITS) + 1  # units of a time, and none of them
FILE_BITS = 44  # of a row number, below the number of its file: 17 TB per file


@dataclass(frozen=True)
class PartialSource(Source):
    """Consecutive lines of a file, as a source."""

    block: Block = field(default_factory=lambda: Block(b"", 1))

    def blocks(self, *, quotes: bool = False, parts: int = 1) -> Iterator[Block]:
        """The lines, as one block."""
        yield self.block


@dataclass(frozen=True)
class Parser:
    """How the lines of all files are parsed.

    Attributes:
        name: Name of the log, for messages.
        start: First lines of the first file that are not blank.
        layout: Its format.
        columns: Columns of user, item and time; ``None``: those of the format.
        files: Number of each file by its path, in the order of the log.
        usual: Index of the usual unit of times, if it is known.
        steps: Times are written in a unit that is 1000 ** steps times finer.
    """

    name: str
    start: bytes
    layout: Layout
    columns: Columns | None
    files: Mapping[str, int]
    usual: int | None = None
    steps: int = 0

    def peek(self) -> Table | None:
        """The first lines, parsed; ``None`` if there is only a header."""
        data = self.start
        if self.layout.quotes and data.count(b'"') % 2:
            data, _ = split_at_open_quote(data)
        lines = PartialSource(Path(self.name), self.start, block=Block(data, 1))
        return next(iter(self._tables(lines)), None)

    @property
    def header(self) -> bytes:
        """The header line, or empty if the files have none."""
        columns = self.columns or self.layout.columns
        if self.layout.kind != "delimited" or (
            columns and isinstance(columns["user"], int)
        ):
            return b""
        return Source(Path(self.name), self.start).head(1)[0].strip("\r").encode()

    def text(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        """Parse a partition of text files: columns value, file and start."""
        run = Run("", -1)
        for batch in batches:
            for file, start, lines in runs(batch):
                if (run.file, run.start) != (file, start):
                    yield from self._rows(run, run.held)
                    run = Run(file, start)
                data = run.held + lines + b"\n"
                run.held = b""
                if self.layout.quotes and data.count(b'"') % 2:
                    data, run.held = split_at_open_quote(data)
                yield from self._rows(run, data)
        yield from self._rows(run, run.held)

    def _rows(self, run: "Run", data: bytes) -> "Iterator[pa.RecordBatch]":
        """Parse the next lines of a run."""
        height = data.count(b"\n")
        if b"\0" in data:
            raise DataError(
                f"{self.name} is binary: it contains a byte 0, which text never "
                "contains. Save it as UTF-8 text, gzip or Parquet"
            )
        begin = 1 if self.layout.kind == "sequences" else run.line + 1
        if data.strip():
            if self.header and not run.past_header:
                self._check_header(data, run.file)
                run.past_header = True
            elif self.header:
                data, begin = self.header + b"\n" + data, begin - 1
            block = Block(data.removeprefix(BOM_UTF8), begin)
            above = run.line if self.layout.kind == "sequences" else 0
            base = (self.files[run.file] << FILE_BITS) + run.start
            source = PartialSource(Path(self.name), self.start, block=block)
            for table in self._tables(source):
                numbers = base + run.row + np.arange(len(table.lines))
                lines = base + above + table.lines - 1
                yield from self.to_batches(table, numbers, lines)
                run.row += len(table.lines)
        run.line += height

    def _tables(self, lines: PartialSource) -> Iterator[Table]:
        if self.layout.kind == "delimited":
            try:
                yield from read_delimited(lines, self.layout, self.columns)
            except DataError as error:
                if "no line below it" not in str(error):
                    raise
        elif self.layout.kind == "jsonl":
            yield from read_jsonl(lines, self.layout, self.columns)
        else:
            yield from read_sequences(lines)

    def _check_header(self, data: bytes, file: str) -> None:
        lines = (line for line in data.split(b"\n") if line.strip())
        first = next(lines).removeprefix(BOM_UTF8).rstrip(b"\r")
        if first != self.header:
            found = first.decode(errors="replace")
            raise DataError(
                f"the files of {self.name} have different first lines: "
                f"{self.header.decode()!r:.120}, and {found!r:.120} in "
                f"{file.rsplit('/', 1)[-1]}. Read them separately"
            )

    def typed(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        """Parse a partition of Parquet files: columns of the roles, file and number."""
        for batch in batches:
            frame = cast(pl.DataFrame, pl.from_arrow(batch))
            if not frame.height:
                continue
            files = {f: self.files[plain_path(f)] for f in frame["file"].unique()}
            paths = frame["file"].replace_strict(files, return_dtype=pl.Int64)
            numbers = (paths.to_numpy() << FILE_BITS) + frame["number"].to_numpy()
            roles = [r for r in frame.columns if r not in ("file", "number")]
            raw = {role: frame[role] for role in roles}
            yield from self.to_batches(make_table(raw, numbers, []), numbers, numbers)

    def to_batches(
        self, table: Table, rows: Int64s, lines: Int64s
    ) -> "list[pa.RecordBatch]":
        """A table as Arrow batches: ids as text, and at most one fault per row."""
        frame, checks = table.frame, list(table.checks)
        units = np.zeros(len(rows), np.int8)
        if "time" in frame.columns:
            time = frame["time"]
            units = units_of(time) % KINDS
            checks.append(other_units(frame["raw_time"], time, self.usual))
            fraction = np.zeros(len(rows), np.int64)
            if "fraction" in frame.columns:
                fraction = frame["fraction"].to_numpy()
                units = units + KINDS * thousands(fraction)
            if self.steps:
                whole = time.fill_null(0).to_numpy()
                time = pl.Series(rescale(whole, fraction, self.steps))
        else:
            time = pl.Series(rows)
        checks = [check for check in checks if check.reason != REPEATED_USER]
        made = pl.DataFrame(
            {
                "user": frame["user"].cast(pl.String),
                "item": frame["item"].cast(pl.String),
                "time": time,
                "unit": pl.Series(units, dtype=pl.Int32),
                "row": pl.Series(rows),
                "line": pl.Series(lines),
                "fault": encode_faults(checks, lines),
            }
        )
        return _with_plain_strings(made)


def _with_plain_strings(frame: pl.DataFrame) -> "list[pa.RecordBatch]":
    """Batches with the string type that Spark supports."""
    import pyarrow as pa

    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    kinds = dict.fromkeys(("user", "item", "fault"), pa.string())
    fields = [(each.name, kinds.get(each.name, each.type)) for each in table.schema]
    return list(table.cast(pa.schema(fields)).to_batches())


@dataclass
class Run:
    """Progress in the lines that Spark reads from one offset of a file on.

    Attributes:
        file: Path of the file.
        start: Offset in bytes.
        line: Number of lines read.
        row: Number of rows in them.
        past_header: Whether the header has been read.
        held: Lines since an open quotation mark.
    """

    file: str
    start: int
    line: int = 0
    row: int = 0
    held: bytes = b""
    past_header: bool = field(init=False)

    def __post_init__(self) -> None:
        self.past_header = self.start > 0


def runs(batch: "pa.RecordBatch") -> Iterator[tuple[str, int, bytes]]:
    """The lines of a batch, by file and offset from which Spark reads it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    value, file, start = (batch.column(n) for n in range(3))
    changes = np.zeros(batch.num_rows, np.bool_)
    if batch.num_rows:
        changes[0] = True
        for column in (file, start):
            other = pc.not_equal(column[1:], column[:-1])
            changes[1:] |= other.to_numpy(zero_copy_only=False)
    edges = np.append(np.flatnonzero(changes), batch.num_rows).tolist()
    for begin, end in pairwise(edges):
        bounds = pa.array([begin, end], pa.int32())
        lines = pc.binary_join(pa.ListArray.from_arrays(bounds, value), b"\n")
        yield plain_path(file[begin].as_py()), start[begin].as_py(), lines[0].as_py()


def plain_path(file: str) -> str:
    """A file's path without its scheme, in one of the several forms of Spark."""
    return unquote(file.partition(":")[2].lstrip("/"))


def split_at_open_quote(data: bytes) -> tuple[bytes, bytes]:
    """The lines before an unclosed quotation mark, and the rest."""
    end = data.rfind(b"\n", 0, data.rfind(b'"')) + 1
    while end and data[:end].count(b'"') % 2:
        end = data.rfind(b"\n", 0, end - 1) + 1
    return data[:end], data[end:]
