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

CURE = "Check the address, or pass another one with --url"
BY_HAND = (
    "Download the file by hand, since the page may ask you to accept terms, or pass "
    "another address with --url"
)
EDITION = (
    "Repeat the command, or pass another address with --url; for a new edition of the "
    "data, update its YAML file"
)

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
        try:
            _Transfer(url, file, source, checksum, size, progress, timeout).run(
                attempts
            )
        finally:
            if not file.tell():
                part.unlink()
    source.unlink(missing_ok=True)
    if found := mismatch(part, checksum):
        part.unlink()
        raise Unreachable(url, f"the file has the wrong checksum: {found}", EDITION)
    os.replace(part, path)


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
    """Refuse to write more bytes than the disk has left.

    Raises:
        DataError: The disk is too small.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
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
                return "" if self._receive(reply) else "the connection ended early"
        except (TooManyRedirects, ValueError) as error:
            problem = "the address, or one that it redirects to, is invalid or not "
            problem += f"encrypted ({error!s:.200})"
            raise Unreachable(self.url, problem) from error
        except (RequestException, HTTPError) as error:
            text = repr(error)
            return next((REASONS[word] for word in REASONS if word in text), text)

    def _headers(self) -> dict[str, str]:
        """Headers that request the rest, if it must belong to the same file."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "graphseq"}
        validator = ""
        if self.source.exists():
            text = self.source.read_text("utf-8", "replace")
            url, _, found = text.partition("\n")
            if url == self.url and found.isascii() and found.isprintable():
                validator = found.strip()
        if (size := self.file.tell()) and (validator or self.checksum):
            headers["Range"] = f"bytes={size}-"
            if validator:
                headers["If-Range"] = validator
        return headers

    def _receive(self, reply: "Response") -> bool:
        """Append the content of an answer; True if the file is complete."""
        status, headers, size = reply.status_code, reply.headers, self.file.tell()
        received = headers.get("Content-Range", "")
        if status == 416 and size:  # complete, or part of another file
            if received != f"bytes */{size}":
                self._clear()
            return self.file.tell() > 0
        if status not in (200, 206):
            raise Unreachable(self.url, f"the server answers {status} {reply.reason}")
        is_page = file_name(self.url).endswith((".html", ".htm"))
        if headers.get("Content-Type", "").startswith("text/html") and not is_page:
            raise Unreachable(self.url, "it is a web page, not a file", BY_HAND)
        if status == 200 or not received.startswith(f"bytes {size}-"):
            self._clear()
            if status == 206:  # another part than requested
                return False
        total = self._total(reply)
        tag = headers.get("ETag", "W/")  # weak ones do not identify bytes
        validator = headers.get("Last-Modified", "") if tag.startswith("W/") else tag
        self.source.write_text(f"{self.url}\n{validator}", "utf-8")
        for block in reply.iter_content(BLOCK):
            self._check_size(self.file.tell() + len(block))
            left = memoryview(block)
            while left:  # a nearly full disk takes a part of it
                left = left[self.file.write(left) :]
            if self.progress is not None:
                self.progress(self.file.tell(), total)
        return total in (None, self.file.tell())

    def _total(self, reply: "Response") -> int | None:
        """Bytes of the complete file, if the server reports them; they must fit."""
        length = reply.headers.get("Content-Length")
        if length is None or "Content-Encoding" in reply.headers:
            return None
        if not re.fullmatch("[0-9]{1,18}", length):
            raise Unreachable(self.url, f"the server reports a size of {length!r:.40}")
        total = self.file.tell() + int(length)
        self._check_size(total)
        check_free_space(int(length), self.source.parent, file_name(self.url))
        return total

    def _check_size(self, size: int) -> None:
        if self.limit is not None and size > self.limit:
            self._clear()
            problem = f"it has at least {size:,} bytes, more than {self.limit:,}"
            raise Unreachable(self.url, problem, EDITION)

    def _clear(self) -> None:
        self.file.seek(0)
        self.file.truncate()
