"""Source files: found and opened, and refused if they are not logs."""

import difflib
import glob
import re
import shlex
import shutil
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from graphseq.data.readers.blocks import BLOCK, HEAD, Block, cut, decompressed
from graphseq.drafts import temporary_file
from graphseq.errors import DataError

BLANK = " \t\r\v\f"  # characters of a blank line
PARQUET = b"PAR1"
LONGEST_HEAD = 1 << 24  # bytes that are read to find the end of the first line
UNSUPPORTED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
}


@dataclass(frozen=True)
class Source:
    """A plain or gzip file, read only at its start.

    Attributes:
        path: Its path.
        start: Its first bytes, decompressed, that are not all blank.
        parts: Files of a folder or pattern of Parquet files, in their order.
        copy: Temporary file that holds what a pipe held; deleted with the source.
    """

    path: Path
    start: bytes
    parts: tuple[Path, ...] = ()
    copy: IO[bytes] | None = None

    @property
    def name(self) -> str:
        """The file name, for messages."""
        return self.path.name if self.copy is None else "the standard input or pipe"

    @property
    def file(self) -> Path:
        """The file that holds the bytes."""
        return self.path if self.copy is None else Path(self.copy.name)

    @property
    def is_parquet(self) -> bool:
        """Whether the bytes begin like a Parquet file."""
        return self.start.startswith(PARQUET)

    def head(self, lines: int = 50) -> list[str]:
        """Up to ``lines`` whole lines from the start that are not blank."""
        head = self.start
        if len(head) >= HEAD:
            head = head[: head.rfind(b"\n") + 1] or head
        text = head.removeprefix(BOM_UTF8).decode("utf-8", errors="replace")
        found = (line.rstrip("\r") for line in text.split("\n"))
        return [line for line in found if line.strip(BLANK)][:lines]

    def blocks(self, *, quotes: bool = False, parts: int = 1) -> Iterator[Block]:
        """The file in blocks of whole lines, without a byte-order mark.

        Args:
            quotes: Do not end a block at a line break inside quotation marks.
            parts: Divisor of the block size, for text with many events per byte.

        Raises:
            DataError: The file cannot be read to its end.
        """
        size = max(1, BLOCK // parts)
        for block in cut(decompressed(self.file, size), size, quotes):
            if block.first == 1 and block.data.startswith(BOM_UTF8):
                block = Block(block.data.removeprefix(BOM_UTF8), 1)
            if b"\0" in block.data:
                line = block.first + block.data.count(b"\n", 0, block.data.index(b"\0"))
                raise DataError(
                    f"{self.name} is binary: line {line:,} contains a byte 0, which "
                    "text never contains. Save it as UTF-8 text, gzip or Parquet"
                )
            yield block

    def read(self) -> bytes:
        """The whole file, decompressed, without a byte-order mark.

        Raises:
            DataError: The file cannot be read to its end.
        """
        return b"".join(decompressed(self.file, BLOCK)).removeprefix(BOM_UTF8)


def open_source(path: str | Path) -> Source:
    """Read the start of a file; gzip is detected by its content, not its name.

    Args:
        path: A file; ``-`` or a pipe, which is copied to a temporary file; or a folder
            or a pattern, such as ``parts/*.parquet``, of Parquet files.

    Raises:
        DataError: The file does not exist, is empty, is a truncated or damaged gzip, or
            is neither text nor Parquet.
    """
    file = Path("/dev/stdin" if str(path) == "-" else path)
    try:
        is_file = file.is_file()
    except OSError as error:
        raise DataError(
            f"{str(file)!r:.200} cannot be read: {error.strerror}. Check the path"
        ) from error
    if is_file:
        return _started(Source(file, b""))
    if file.exists() and not file.is_dir():
        return _started(Source(file, b"", copy=_copied(file)))
    parts = _parquet_parts(file)
    if not parts:
        raise DataError(missing_file(file))
    return Source(file, PARQUET, parts)


def _started(source: Source) -> Source:
    """The source with its first bytes."""
    pieces = decompressed(source.file, HEAD)
    start = next((p for p in pieces if p.removeprefix(BOM_UTF8).strip()), None)
    if start is None:
        raise DataError(f"{source.name} is empty: it has no lines. Check the path")
    while b"\n" not in start.lstrip() and len(start) < LONGEST_HEAD:
        more = next(pieces, b"")  # a first line longer than HEAD
        if not more or start.startswith(PARQUET):
            break
        start += more
    check_text(Path(source.name), start)
    source = replace(source, start=start)
    first = "" if source.is_parquet else next(iter(source.head(1)), "")
    if re.fullmatch(r'"?sep=.?"?', first.strip()):
        raise DataError(
            f"the first line of {source.name} is {first.strip()!r}, which Excel adds. "
            f"Remove it: tail -n +2 {shlex.quote(source.name)} > log.csv"
        )
    if not (source.is_parquet or source.head(1)):
        raise DataError(f"{source.name} does not begin with a line of text")
    return source


def _copied(pipe: Path) -> IO[bytes]:
    """The bytes of a pipe, in a temporary file that is deleted when it is closed."""
    copy = temporary_file()
    try:
        with pipe.open("rb") as stream:
            shutil.copyfileobj(stream, copy, BLOCK)
    except OSError as error:
        raise DataError(
            f"{pipe} cannot be read: {error.strerror or error}. Name a file"
        ) from error
    copy.flush()
    return copy


def _parquet_parts(path: Path) -> tuple[Path, ...]:
    """The Parquet files of a folder, or those that match a pattern, by name.

    Hidden folders, and those that begin with ``_``, are left out, as in Spark. Numbers
    in names are compared as numbers: part-2 comes before part-10.
    """
    if path.is_dir():
        if (path / "_delta_log").is_dir():
            raise DataError(
                f"{path} is a Delta table, whose folder also holds rows that were "
                "deleted. Export its present rows as Parquet"
            )
        found = [
            file
            for file in path.rglob("*.parquet")
            if not any(part[0] in "._" for part in file.relative_to(path).parts)
        ]
    elif set(path.name) & set("*?["):
        found = [Path(name) for name in glob.glob(str(path), recursive=True)]
    else:
        return ()
    seen = (file for file in found if file.is_file() and file.name[0] not in "._")
    files = sorted(seen, key=_natural)
    for file in files:
        with file.open("rb") as stream:
            if stream.read(len(PARQUET)) != PARQUET:
                raise DataError(
                    f"{path} contains {file.name}, which is not Parquet. Only Parquet "
                    "files can be read together: name one file"
                )
    return tuple(files)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts paths by name, and numbers in them by value."""
    pieces = re.split(r"([0-9]+)", str(path))
    return [
        (int(piece), piece) if piece.isdecimal() else (-1, piece) for piece in pieces
    ]


def check_text(file: Path, start: bytes) -> None:
    """Refuse a file that is neither text nor Parquet, by its first bytes.

    Raises:
        DataError: It is an archive or another binary file.
    """
    if start.startswith(PARQUET):
        return
    for magic, kind in UNSUPPORTED.items():
        if start.startswith(magic):
            raise DataError(
                f"{file.name} is {kind}, which read_log does not support. Extract or "
                "export it first, as plain text, gzip or Parquet"
            )
    if b"\0" in start:
        raise DataError(
            f"{file.name} is binary: byte {start.index(0):,} is 0, which text never "
            "contains. Save it as UTF-8 text, gzip or Parquet"
        )


def missing_file(file: Path) -> str:
    """The message for a path that is not a file."""
    if file.is_dir():
        return (
            f"{file} is a folder without Parquet files (*.parquet); it is a folder, of "
            "which only those are read together. Name a file in it"
        )
    if not file.parent.is_dir():
        return f"the folder {file.parent} does not exist. Check the path"
    try:
        names = sorted(entry.name for entry in file.parent.iterdir())
    except OSError:
        names = []
    near = difflib.get_close_matches(file.name, names, n=1)
    cure = f"Did you mean {near[0]!r}?" if near else "Check the path"
    return f"the file {file} does not exist. {cure}"
