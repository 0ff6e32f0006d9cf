"""The bytes of a file, unpacked, and what can be said of them at first sight."""

import difflib
import gzip
import zlib
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
class Source:
    """What a file holds once unpacked; the file itself is only ever read."""

    path: Path
    data: bytes

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def is_parquet(self) -> bool:
        """Whether the bytes begin as those of a Parquet file."""
        return self.data.startswith(PARQUET)

    def head(self, lines: int = 50) -> list[str]:
        """Up to ``lines`` whole lines from the start that are not blank."""
        head = self.data[:HEAD]
        if len(self.data) > HEAD:
            head = head[: head.rfind(b"\n") + 1] or head
        text = head.decode("utf-8-sig", errors="replace")
        return [line for line in text.splitlines() if line.strip()][:lines]

    def line(self, number: int) -> str:
        """A line by its number, counted from 1."""
        line = self.data.split(b"\n", number)[number - 1]
        return line.decode("utf-8", errors="replace").rstrip("\r")


def open_source(path: str | Path) -> Source:
    """Read a file whole, unpacking gzip whatever the file is called.

    Raises:
        DataError: There is no such file, it is empty, a truncated or damaged gzip, or
            packed or written in a way that is not text.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(_absent(file))
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    if data.startswith(b"\x1f\x8b"):
        data = _unpack(file, data)
    if not data.strip():
        raise DataError(f"{file.name} is empty: it holds no line to read")
    _refuse_binary(file, data[:HEAD])
    return Source(file, data)


def _unpack(file: Path, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise DataError(
            f"{file.name} is a truncated gzip: it ends after {len(data):,} bytes, "
            "before its last block. Fetch it again"
        ) from error
    except (OSError, zlib.error) as error:
        raise DataError(
            f"{file.name} is a damaged gzip ({error}). Fetch it again"
        ) from error


def _refuse_binary(file: Path, head: bytes) -> None:
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


def _absent(file: Path) -> str:
    if file.is_dir():
        return f"{file} is a folder; read_log reads one file. Name a file in it"
    if not file.parent.is_dir():
        return f"there is no folder {file.parent}. Check the path"
    there = sorted(entry.name for entry in file.parent.iterdir())
    near = difflib.get_close_matches(file.name, there, n=1)
    cure = f"Did you mean {near[0]!r}?" if near else "Check the path"
    return f"there is no file {file}. {cure}"
