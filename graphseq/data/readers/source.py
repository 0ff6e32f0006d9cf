"""Source files: opened, decompressed, and cut into blocks of whole lines."""

import difflib
import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from graphseq.errors import DataError

BLOCK = 1 << 25  # bytes that are read at a time
HEAD = 1 << 16  # bytes that are read to detect the format
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
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
class Block:
    """Consecutive whole lines of a file.

    Attributes:
        data: Their bytes.
        first: Number of the first line, counted from 1.
    """

    data: bytes
    first: int

    @property
    def height(self) -> int:
        """Number of lines."""
        return self.data.count(b"\n") + (not self.data.endswith(b"\n"))

    def line(self, number: int) -> str:
        """The line with this number in the file."""
        index = number - self.first
        line = self.data.split(b"\n", index + 1)[index]
        return line.decode("utf-8", errors="replace").rstrip("\r")


@dataclass(frozen=True)
class Source:
    """A plain or gzip file of which only the start has been read.

    Attributes:
        path: Its path.
        start: Its first bytes, decompressed, that are not all blank.
    """

    path: Path
    start: bytes

    @property
    def name(self) -> str:
        """The file name, for messages."""
        return self.path.name

    @property
    def is_parquet(self) -> bool:
        """Whether the bytes begin like a Parquet file."""
        return self.start.startswith(PARQUET)

    def head(self, lines: int = 50) -> list[str]:
        """Up to ``lines`` whole lines from the start that are not blank."""
        head = self.start
        if len(head) == HEAD:
            head = head[: head.rfind(b"\n") + 1] or head
        text = head.decode("utf-8-sig", errors="replace")
        return [line for line in text.splitlines() if line.strip()][:lines]

    def blocks(self, *, quotes: bool = False, parts: int = 1) -> Iterator[Block]:
        """The file in blocks of whole lines, without a byte-order mark.

        Args:
            quotes: Do not end a block at a line break inside quotation marks.
            parts: Divisor of the block size, for text with many events per byte.

        Raises:
            DataError: The file cannot be read to its end.
        """
        size = max(1, BLOCK // parts)
        for block in cut(decompressed(self.path, size), size, quotes):
            data = block.data.removeprefix(BOM_UTF8) if block.first == 1 else block.data
            yield Block(data, block.first)

    def read(self) -> bytes:
        """The whole file, decompressed.

        Raises:
            DataError: The file cannot be read to its end.
        """
        return b"".join(decompressed(self.path, BLOCK))


def open_source(path: str | Path) -> Source:
    """Read the start of a file; gzip is detected by its content, not its name.

    Raises:
        DataError: The file does not exist, is empty, is a truncated or damaged gzip, or
            is neither text nor Parquet.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(missing_file(file))
    pieces = decompressed(file, HEAD)
    start = next((p for p in pieces if p.removeprefix(BOM_UTF8).strip()), None)
    if start is None:
        raise DataError(f"{file.name} is empty: it has no lines. Check the path")
    check_text(file, start)
    return Source(file, start)


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
        return f"{file} is a folder, but read_log reads one file. Name a file in it"
    if not file.parent.is_dir():
        return f"there is no folder {file.parent}. Check the path"
    names = sorted(entry.name for entry in file.parent.iterdir())
    near = difflib.get_close_matches(file.name, names, n=1)
    cure = f"Did you mean {near[0]!r}?" if near else "Check the path"
    return f"there is no file {file}. {cure}"


def is_gzip(file: Path) -> bool:
    """Whether a file begins like a gzip, whatever its name."""
    with file.open("rb") as raw:
        return raw.read(len(GZIP)) == GZIP


def decompressed(file: Path, size: int) -> Iterator[bytes]:
    """The bytes of a plain or gzip file, ``size`` at a time.

    Raises:
        DataError: The file cannot be read, or is a truncated or damaged gzip.
    """
    try:
        with gzip.open(file) if is_gzip(file) else file.open("rb") as stream:
            while piece := stream.read(size):
                yield piece
    except EOFError as error:
        raise DataError(
            f"{file.name} is a truncated gzip: it ends after "
            f"{file.stat().st_size:,} bytes, before its last block. Download it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{file.name} is a damaged gzip ({error}). Download it again"
        ) from error
    except OSError as error:
        raise DataError(
            f"{file} cannot be read: {error.strerror or error}. Check its permissions"
        ) from error


def cut(pieces: Iterable[bytes], size: int, quotes: bool) -> Iterator[Block]:
    """Cut bytes into blocks that end at line ends.

    Args:
        pieces: The file's bytes, ``size`` at a time.
        size: Length of each piece but the last.
        quotes: Do not end a block at a line break inside quotation marks.
    """
    held: list[bytes | memoryview] = []
    first, inside = 1, False
    for piece in pieces:
        end = _last_line_end(piece, inside) if quotes else piece.rfind(b"\n") + 1
        if len(piece) < size:
            end = len(piece)  # of the file
        inside ^= bool(piece.count(b'"') % 2)
        if not end:
            held.append(piece)
            continue
        whole = not held and end == len(piece)
        data = piece if whole else b"".join([*held, memoryview(piece)[:end]])
        held = [piece[end:]] if end < len(piece) else []
        yield Block(data, first)
        first += data.count(b"\n")
    if held:
        yield Block(b"".join(held), first)


def _last_line_end(piece: bytes, inside: bool) -> int:
    """Index after the last line break outside quotation marks; 0 if there is none.

    Args:
        piece: Bytes.
        inside: Whether they begin inside quotation marks.
    """
    inside ^= bool(piece.count(b'"') % 2)
    end = len(piece)
    while True:
        newline, quote = piece.rfind(b"\n", 0, end), piece.rfind(b'"', 0, end)
        if not inside and newline > quote:
            return newline + 1
        if quote < 0:
            return 0
        inside, end = not inside, quote
