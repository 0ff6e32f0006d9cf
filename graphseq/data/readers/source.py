"""A file that holds a log, and what can be said of it at first sight."""

import difflib
import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from graphseq.errors import DataError

HEAD = 1 << 16  # bytes looked at to tell what a file is
PARQUET = b"PAR1"
PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
}


@dataclass(frozen=True)
class Block:
    """Some lines of a file, whole.

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
        """A line by its number in the file."""
        place = number - self.first
        line = self.data.split(b"\n", place + 1)[place]
        return line.decode("utf-8", errors="replace").rstrip("\r")


@dataclass(frozen=True)
class Source:
    """A file, plain or gzip, of which only the start is known; it is only ever read.

    Attributes:
        path: Where it lies.
        start: Its first bytes, unpacked; they are not all blank.
    """

    path: Path
    start: bytes

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def is_parquet(self) -> bool:
        """Whether the bytes begin as those of a Parquet file."""
        return self.start.startswith(PARQUET)

    @property
    def is_plain(self) -> bool:
        """Whether the file is not packed with gzip."""
        return not is_packed(self.path)

    def head(self, lines: int = 50) -> list[str]:
        """Up to ``lines`` whole lines from the start that are not blank."""
        head = self.start
        if len(head) == HEAD:
            head = head[: head.rfind(b"\n") + 1] or head
        text = head.decode("utf-8-sig", errors="replace")
        return [line for line in text.splitlines() if line.strip()][:lines]

    def blocks(self, *, quotes: bool = False, parts: int = 1) -> Iterator[Block]:
        """All of the file in blocks of whole lines, without a byte-order mark.

        Args:
            quotes: Let a line break between quotation marks end no block.
            parts: Into which to cut a block of the usual size, where a little text
                holds many events.

        Raises:
            DataError: The file cannot be read to its end.
        """
        size = max(1, BLOCK // parts)
        for block in cut(unpacked(self.path, size), size, quotes):
            marked = block.first == 1 and block.data.startswith(BOM_UTF8)
            data = block.data[len(BOM_UTF8) :] if marked else block.data
            yield Block(data, block.first)

    def read(self) -> bytes:
        """All of the file at once.

        Raises:
            DataError: The file cannot be read to its end.
        """
        return b"".join(unpacked(self.path, BLOCK))


def open_source(path: str | Path) -> Source:
    """Look at the start of a file, unpacking gzip whatever the file is called.

    Raises:
        DataError: There is no such file, it is empty, a truncated or damaged gzip, or
            packed or written in a way that is not text.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(absent(file))
    pieces = unpacked(file, HEAD)
    start = next((p for p in pieces if p.removeprefix(BOM_UTF8).strip()), None)
    if start is None:
        raise DataError(f"{file.name} is empty: it holds no line to read")
    refuse_binary(file, start)
    return Source(file, start)


def refuse_binary(file: Path, head: bytes) -> None:
    """Refuse a file that begins as no text does; Parquet is known by its beginning."""
    if head.startswith(PARQUET):
        return
    for magic, what in PACKED.items():
        if head.startswith(magic):
            raise DataError(
                f"{file.name} is {what}, which read_log does not open. Unpack or "
                "export it first; plain text, gzip and Parquet are read"
            )
    if b"\0" in head:
        raise DataError(
            f"{file.name} is binary: byte {head.index(0):,} is 0, which no text holds. "
            "Plain text in UTF-8, gzip and Parquet are read"
        )


def absent(file: Path) -> str:
    """What to say of a file that cannot be opened as one."""
    if file.is_dir():
        return f"{file} is a folder; read_log reads one file. Name a file in it"
    if not file.parent.is_dir():
        return f"there is no folder {file.parent}. Check the path"
    there = sorted(entry.name for entry in file.parent.iterdir())
    near = difflib.get_close_matches(file.name, there, n=1)
    cure = f"Did you mean {near[0]!r}?" if near else "Check the path"
    return f"there is no file {file}. {cure}"


BLOCK = 1 << 25  # bytes that are read at a time
GZIP = b"\x1f\x8b"


def is_packed(file: Path) -> bool:
    """Whether a file is gzip, whatever it is called."""
    with file.open("rb") as raw:
        return raw.read(len(GZIP)) == GZIP


def unpacked(file: Path, size: int) -> Iterator[bytes]:
    """The bytes of a file, ``size`` at a time; gzip unpacked.

    Raises:
        DataError: The file cannot be read, or is a truncated or damaged gzip.
    """
    try:
        with gzip.open(file) if is_packed(file) else file.open("rb") as stream:
            while piece := stream.read(size):
                yield piece
    except EOFError as error:
        raise DataError(
            f"{file.name} is a truncated gzip: it ends after "
            f"{file.stat().st_size:,} bytes, before its last block. Fetch it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{file.name} is a damaged gzip ({error}). Fetch it again"
        ) from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error


def cut(pieces: Iterable[bytes], size: int, quotes: bool) -> Iterator[Block]:
    """Blocks that end where a line ends.

    Args:
        pieces: The file's bytes, ``size`` at a time.
        size: Bytes of every piece but the last.
        quotes: Let a line break between quotation marks end no block.
    """
    held: list[bytes | memoryview] = []
    first, inside = 1, False
    for piece in pieces:
        end = _last_end(piece, inside) if quotes else piece.rfind(b"\n") + 1
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


def _last_end(piece: bytes, inside: bool) -> int:
    """Where the last line ends that does not end in a quotation; 0 if none does.

    Args:
        piece: Bytes.
        inside: Whether they begin in a quotation.
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
