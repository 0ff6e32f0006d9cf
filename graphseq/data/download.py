"""Resumable downloads over HTTP, verified before they are renamed into place."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graphseq.errors import DataError
from graphseq.locks import lock_file

if TYPE_CHECKING:
    from requests import Response, Session

BLOCK = 1 << 14  # bytes per write: the most that a lost connection costs
PAUSE = 1.0  # seconds before the second attempt; the third waits twice as long
REASONS = {
    "timed out": "the server stopped responding",
    "NameResolution": "the server name cannot be resolved, or the network is down",
    "refused": "the server refuses connections",
    "Connection aborted": "the connection was lost",
    "Connection broken": "the connection was lost",
    "reset": "the connection was lost",
    "SSL": "the certificate of the server is invalid",
}

OTHER = "or pass another address with --url"
CURE = f"Check the address, {OTHER}"
BY_HAND = f"Download the file by hand, since the page may require consent, {OTHER}"
EDITION = f"Repeat the command, {OTHER}; for a new edition, update the YAML file"

Progress = Callable[[int, int | None], None]
"""Called with the bytes received, and the total if the server reports it."""


class Unreachable(DataError):
    """This address does not deliver the file; another one might."""

    def __init__(self, url: str, problem: str, cure: str = CURE) -> None:
        super().__init__(f"could not download {url}: {problem}. {cure}")


def download(
    url: str,
    path: Path,
    checksum: str | None = None,
    *,
    size: int | None = None,
    progress: Progress | None = None,
    attempts: int = 3,
    timeout: float = 30.0,
) -> None:
    """Download a file, unless it exists already.

    An interrupted download stays in ``PATH.part``; the next attempt, or the next call,
    requests only the rest. It starts over if the server cannot resume, or if the file
    on the server has changed.

    Args:
        url: http:// or https://; redirects are followed, from https:// only to
            https://.
        path: Target; its folder is created. The file appears once it is complete.
        checksum: ``sha256:…`` or ``md5:…``; ``None`` accepts any content.
        size: Bytes that the file has at most.
        progress: Called after each block.
        attempts: Consecutive connections that may fail without receiving any data.
        timeout: Seconds without data after which a connection counts as lost.

    Raises:
        Unreachable: The network is down, the server reports an error or delivers
            nothing, the file is too large, or the checksum differs.
        DataError: The disk is too small, or another process downloads the same file.
        OSError: The folder is not writable, or the disk is full.
    """
    if not url.startswith(("http://", "https://")):
        raise Unreachable(url, "an address begins with http:// or https://")
    if path.exists() and not mismatch(path, checksum):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    check_free_space(size or 0, path.parent, "the download")
    part, source = (path.with_name(path.name + end) for end in (".part", ".part.from"))
    with part.open("ab", buffering=0) as file:
        if not lock_file(file):
            raise DataError(
                f"another process is downloading {part}. Wait for it, or stop it"
            )
        if not _is_at(file, part):  # another process has just completed it
            raise DataError(f"another process has downloaded {path}. Try again")
        transfer = _Transfer(url, file, source, checksum, size, progress, timeout)
        try:
            transfer.run(attempts)
        finally:
            if not file.tell():
                part.unlink()
        source.unlink(missing_ok=True)
        if found := mismatch(part, checksum):
            part.unlink()
            raise Unreachable(url, f"the file has the wrong checksum: {found}", EDITION)
        if os.name != "nt":  # while it is locked
            os.replace(part, path)
    if os.name == "nt":  # which renames no open file
        os.replace(part, path)


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def mismatch(path: Path, checksum: str | None) -> str:
    """How a file differs from a checksum ``KIND:DIGITS``; empty if it does not."""
    kind, _, expected = (checksum or "").partition(":")
    found = digest(path, kind) if kind else ""
    return "" if found == expected else f"its {kind} is {found}, expected {expected}"


def digest(path: Path, kind: str = "sha256") -> str:
    """The checksum of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def file_name(url: str) -> str:
    """The last part of the path of an address."""
    return url.partition("?")[0].rstrip("/").rpartition("/")[2]


def check_free_space(size: int, folder: Path, name: str) -> None:
    """Raise a :class:`DataError` if a file has more bytes than its disk has left."""
    if size > (free := shutil.disk_usage(folder).free):
        raise DataError(
            f"{name} needs {size:,} bytes, but {folder} has {free:,} free. Free some "
            "space, or choose another folder with --root"
        )


@dataclass
class _Transfer:
    """One file on its way.

    The file ``source`` records where the partial file came from: the address and the
    server's validator (ETag or Last-Modified). Without a validator and without a
    checksum that would detect a mixture of two versions, the transfer starts over.
    """

    url: str
    file: IO[bytes]
    source: Path
    checksum: str | None
    limit: int | None
    progress: Progress | None
    timeout: float

    def run(self, attempts: int) -> None:
        """Connect until the file is complete."""
        import requests

        failures, before = 0, self.file.tell()
        with requests.Session() as session:
            if self.url.startswith("https://"):
                del session.adapters["http://"]  # redirects remain encrypted
            while problem := self._connect(session):
                size = self.file.tell()
                failures, before = (0 if size > before else failures + 1), size
                if failures == attempts:
                    kept = f"{size:,} bytes are kept: repeat the command to resume"
                    cure = kept if size else "Check the network and the address"
                    raise Unreachable(self.url, problem, cure)
                time.sleep(failures * PAUSE)
        if not self.file.tell():
            raise Unreachable(self.url, "the server delivers an empty file")

    def _connect(self, session: "Session") -> str:
        """Receive what one connection delivers.

        Returns:
            Why the file is not complete yet; empty if it is.
        """
        from requests import RequestException, TooManyRedirects
        from urllib3.exceptions import HTTPError

        headers = self._headers()
        try:
            with session.get(
                self.url, headers=headers, stream=True, timeout=self.timeout
            ) as reply:
                return self._receive(reply)
        except (TooManyRedirects, ValueError) as error:
            problem = "the address, or one that it redirects to, is invalid or not "
            problem += f"encrypted ({error!s:.200})"
            raise Unreachable(self.url, problem) from error
        except (RequestException, HTTPError) as error:
            text = repr(error)
            return next((REASONS[word] for word in REASONS if word in text), text)

    def _headers(self) -> dict[str, str]:
        """Headers that request the rest, if it must belong to the same file."""
        text = self.source.read_text("utf-8", "replace") if self.source.exists() else ""
        url, _, found = text.partition("\n")
        same = url == self.url and found.isascii() and found.isprintable()
        validator = found.strip() if same else ""
        headers = {"Accept-Encoding": "identity", "User-Agent": "graphseq"}
        if (size := self.file.tell()) and (validator or self.checksum):
            headers["Range"] = f"bytes={size}-"
            headers |= {"If-Range": validator} if validator else {}
        return headers

    def _receive(self, reply: "Response") -> str:
        """Append the content of an answer; the result is that of :meth:`_connect`."""
        status, headers, size = reply.status_code, reply.headers, self.file.tell()
        received = headers.get("Content-Range", "")
        if status == 416 and size:
            if received == f"bytes */{size}":
                return ""
            self._clear()
            return "the partial file belongs to another file"
        if status not in (200, 206):
            raise Unreachable(self.url, f"the server answers {status} {reply.reason}")
        is_page = file_name(self.url).endswith((".html", ".htm"))
        if headers.get("Content-Type", "").startswith("text/html") and not is_page:
            raise Unreachable(self.url, "it is a web page, not a file", BY_HAND)
        if status == 200 or not received.startswith(f"bytes {size}-"):
            self._clear()
            if status == 206:
                return "the server sends a part that was not requested"
        tag = headers.get("ETag", "W/")  # weak ones do not identify bytes
        validator = headers.get("Last-Modified", "") if tag.startswith("W/") else tag
        if not re.fullmatch("[0-9]{1,18}", said := headers.get("Content-Length", "0")):
            raise Unreachable(self.url, f"the server reports a size of {said!r:.40}")
        length = getattr(reply.raw, "length_remaining", None)  # None if not reported
        check_free_space(length or 0, self.source.parent, file_name(self.url))
        self.source.write_text(f"{self.url}\n{validator}", "utf-8")
        unknown = length is None or "Content-Encoding" in headers
        total = None if unknown else self.file.tell() + int(length or 0)
        for block in reply.iter_content(BLOCK):
            self._append(block, total)
        return "" if total in (None, self.file.tell()) else REASONS["reset"]

    def _append(self, block: bytes, total: int | None) -> None:
        """Write a block of a file, unless the file is larger than its limit."""
        size = max(total or 0, self.file.tell() + len(block))
        if self.limit is not None and size > self.limit:
            self._clear()
            problem = f"it has at least {size:,} bytes, more than {self.limit:,}"
            raise Unreachable(self.url, problem, EDITION)
        rest = memoryview(block)
        while rest:  # a nearly full disk takes a part of it
            rest = rest[self.file.write(rest) :]
        if self.progress is not None:
            self.progress(self.file.tell(), total)

    def _clear(self) -> None:
        self.file.seek(0)
        self.file.truncate()
