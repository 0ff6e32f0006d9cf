"""The bytes of a file, unpacked and cut into blocks of whole lines."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from graphseq.errors import DataError

BLOCK = 1 << 25  # bytes that are read at a time
GZIP = b"\x1f\x8b"


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
