"""Files decompressed and cut into blocks of whole lines."""

import gzip
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from graphseq.errors import DataError

BLOCK = 1 << 24  # bytes that are read at a time; malloc reuses up to 2**25
LONGEST = 1 << 28  # bytes of a field whose quotation marks can be in place
HEAD = 1 << 16  # bytes that are read to detect the format
NOT_UTF8 = "\ufffd"  # replaces bytes that are not UTF-8
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Block:
    """Consecutive whole lines of a file.

    Attributes:
        data: Their bytes.
        first: Number of the first line, counted from 1.
    """

    data: bytes
    first: int

    @cached_property
    def line_ends(self) -> int:
        """Number of line ends."""
        return self.data.count(b"\n")

    @property
    def height(self) -> int:
        """Number of lines."""
        return self.line_ends + (not self.data.endswith(b"\n"))

    def line(self, number: int) -> str:
        """The line with this number in the file."""
        index = number - self.first
        return decode(self.data.split(b"\n", index + 1)[index]).rstrip("\r")


def is_gzip(file: Path) -> bool:
    """Whether a file begins like a gzip, whatever its name."""
    with file.open("rb") as raw:
        return raw.read(len(GZIP)) == GZIP


def decompressed(file: Path, size: int) -> Iterator[bytes]:
    """The bytes of a plain or gzip file, ``size`` at a time.

    UTF-16 with a byte-order mark becomes UTF-8; the line ends of a file whose only
    line ends are carriage returns become line feeds.

    Raises:
        DataError: The file cannot be read, or is a truncated or damaged gzip.
    """
    try:
        with gzip.open(file) if is_gzip(file) else file.open("rb") as stream:
            first = stream.read(max(size, HEAD))
            rest = iter(lambda: stream.read(size), b"")
            pieces: Iterable[bytes] = chain([first], rest)
            if first.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                pieces = _from_utf16(pieces)
            elif b"\r" in first[:HEAD] and b"\n" not in first[:HEAD]:
                pieces = (piece.replace(b"\r", b"\n") for piece in pieces)
            yield from _resized(pieces, size)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.name} begins like UTF-16 and is not ({error.reason}). Save it as "
            "UTF-8"
        ) from error
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


def _from_utf16(pieces: Iterable[bytes]) -> Iterator[bytes]:
    decoder = getincrementaldecoder("utf-16")()
    for piece in pieces:
        yield decoder.decode(piece).encode()
    yield decoder.decode(b"", final=True).encode()


def _resized(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes, ``size`` at a time."""
    held = b""
    for piece in pieces:
        held = held + piece if held else piece
        whole = len(held) - len(held) % size
        for begin in range(0, whole, size):
            yield held if size == len(held) else held[begin : begin + size]
        held = held[whole:]
    if held:
        yield held


def decode(data: bytes) -> str:
    """Bytes as text, with ``NOT_UTF8`` for those that are not UTF-8."""
    return data.decode("utf-8", errors="replace")


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def cut(pieces: Iterable[bytes], size: int, quotes: bool) -> Iterator[Block]:
    """Cut bytes into blocks that end at line ends.

    Args:
        pieces: The file's bytes, ``size`` at a time.
        size: Length of each piece but the last.
        quotes: Do not end a block at a line break inside quotation marks, unless it
            becomes so long that a mark must be misplaced.
    """
    held: list[bytes | memoryview] = []
    first, inside = 1, False
    for piece in pieces:
        marked = quotes and b'"' in piece  # a search is ten times faster than a count
        inside ^= marked and bool(piece.count(b'"') % 2)
        end = _last_line_end(piece, inside) if quotes else piece.rfind(b"\n") + 1
        if len(piece) < size:
            end = len(piece)  # of the file
        if not end and sum(map(len, held)) + len(piece) > LONGEST:
            end = piece.rfind(b"\n") + 1
            inside = bool(piece.count(b'"', end) % 2)
        if not end:
            held.append(piece)
            continue
        whole = not held and end == len(piece)
        data = piece if whole else b"".join([*held, memoryview(piece)[:end]])
        held = [piece[end:]] if end < len(piece) else []
        block = Block(data, first)
        yield block
        first += block.line_ends
    if held:
        yield Block(b"".join(held), first)


def _last_line_end(piece: bytes, inside: bool) -> int:
    """Index after the last line break outside quotation marks; 0 if there is none.

    Args:
        piece: Bytes.
        inside: Whether they end inside quotation marks.
    """
    end = len(piece)
    while True:
        newline, quote = piece.rfind(b"\n", 0, end), piece.rfind(b'"', 0, end)
        if not inside and newline > quote:
            return newline + 1
        if quote < 0:
            return 0
        inside, end = not inside, quote
