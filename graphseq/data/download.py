"""Resumable downloads over HTTP, verified before they are renamed into place."""

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graphseq.errors import DataError
from graphseq.locks import lock_file

if TYPE_CHECKING:
    from requests import Response, Session

BLOCK = 1 << 14  # bytes per write: the most that a lost connection costs
PAUSE = 1.0  # seconds before the second attempt; the third waits twice as long
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REASONS = {
    "timed out": "the server stopped responding",
    "NameResolution": "the server name cannot be resolved, or the network is down",
    "refused": "the server refuses connections",
    "Connection aborted": "the connection was lost",
    "Connection broken": "the connection was lost",
    "reset": "the connection was lost",
    "SSL": "the certificate of the server is invalid",
}

Progress = Callable[[int, int | None], None]
"""Called with the bytes received, and the total if the server reports it."""


class Unreachable(DataError):
    """This address does not deliver the file; another one might."""


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
        DataError: The disk is full, or another process downloads the same file.
        OSError: The folder is not writable.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(
            f"cannot download {url!r}: an address begins with http:// or https://. "
            "Check it"
        )
    if path.exists() and not mismatch(path, checksum):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    state = path.with_name(f"{path.name}.part.json")
    with part.open("ab", buffering=0) as file:
        if not lock_file(file):
            raise DataError(
                f"another process is downloading {part}. Wait for it, or stop it"
            )
        try:
            _Transfer(url, file, state, checksum, size, progress, timeout).run(attempts)
        finally:
            if not file.tell():
                part.unlink()
    state.unlink(missing_ok=True)
    if found := mismatch(part, checksum):
        part.unlink()
        raise Unreachable(
            f"{url} has the wrong checksum: {found}. The file was deleted. Repeat the "
            "command, or pass another address with --url; for a new edition, update "
            "its YAML file"
        )
    os.replace(part, path)


def mismatch(path: Path, checksum: str | None) -> str:
    """How a file differs from a checksum ``KIND:DIGITS``; empty if it does not."""
    if checksum is None:
        return ""
    kind, _, expected = checksum.partition(":")
    found = digest(path, kind)
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

    The JSON file ``state`` records the address and the server's validator (ETag or
    Last-Modified) of the partial file. Without a validator and without a checksum that
    would detect a mixture of two versions, the transfer starts over.
    """

    url: str
    file: IO[bytes]
    state: Path
    checksum: str | None
    limit: int | None
    progress: Progress | None
    timeout: float

    def run(self, attempts: int) -> None:
        """Connect until the file is complete."""
        import requests
        from urllib3.exceptions import HTTPError

        failures = 0
        with requests.Session() as session:
            if self.url.startswith("https://"):
                del session.adapters["http://"]  # redirects remain encrypted
            while True:
                before = self.file.tell()
                try:
                    if self._connect(session):
                        break
                    problem = "the connection ended early"
                except (requests.TooManyRedirects, ValueError) as error:
                    raise self._refused(
                        "it is not a valid address, or redirects to such, or to an "
                        f"address that is not encrypted ({error!s:.200}). Check it"
                    ) from error
                except (requests.RequestException, HTTPError) as error:
                    text = str(error)
                    problem = next((REASONS[w] for w in REASONS if w in text), text)
                failures = failures + 1 if self.file.tell() <= before else 0
                if failures == attempts:
                    size = self.file.tell()
                    kept = f"{size:,} bytes are kept: repeat the command to resume"
                    cure = kept if size else "Check the network and the address"
                    raise self._refused(f"{problem}. {cure}")
                time.sleep(failures * PAUSE)
        if not self.file.tell():
            raise self._refused("the server delivers an empty file. Check the address")

    def _refused(self, problem: str) -> Unreachable:
        return Unreachable(f"could not download {self.url}: {problem}")

    def _connect(self, session: "Session") -> bool:
        """Receive what one connection delivers; True if the file is complete."""
        size, headers = self.file.tell(), self._headers()
        with session.get(
            self.url, headers=headers, stream=True, timeout=self.timeout
        ) as reply:
            received = reply.headers.get("Content-Range", "")
            if reply.status_code == 416 and size:  # complete, or part of another file
                if received != f"bytes */{size}":
                    self._clear()
                return self.file.tell() > 0
            self._check(reply)
            if reply.status_code != 206 or not received.startswith(f"bytes {size}-"):
                self._clear()
                if reply.status_code == 206:  # another part than requested
                    return False
            total = self._total(reply.headers)
            self._remember(reply.headers)
            for block in reply.iter_content(BLOCK):
                self._write(block)
                if self.progress is not None:
                    self.progress(self.file.tell(), total)
        return total in (None, self.file.tell())

    def _headers(self) -> dict[str, str]:
        """Headers that request the rest, if it must belong to the same file."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "graphseq"}
        try:
            url, validator = json.loads(self.state.read_text("utf-8"))
            known = url == self.url and validator.isascii() and validator.isprintable()
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            known = False
        if (size := self.file.tell()) and (known or self.checksum is not None):
            headers["Range"] = f"bytes={size}-"
            if known:
                headers["If-Range"] = validator.strip()
        return headers

    def _remember(self, headers: Mapping[str, str]) -> None:
        tag = headers.get("ETag", "W/")
        validator = headers.get("Last-Modified") if tag.startswith("W/") else tag
        self.state.write_text(json.dumps([self.url, validator]), "utf-8")

    def _check(self, reply: "Response") -> None:
        """Refuse HTTP errors, answers without a file, and web pages in its place."""
        if reply.status_code not in (200, 206):
            raise self._refused(
                f"the server answers {reply.status_code} {reply.reason}. The file may "
                "have moved: look it up at its source, and pass the new address with "
                "--url"
            )
        kind = reply.headers.get("Content-Type", "")
        is_page = file_name(self.url).endswith((".html", ".htm"))
        if kind.startswith("text/html") and not is_page:
            raise self._refused(
                "it is a web page, not a file, and may ask you to accept terms. "
                "Download the file by hand, or pass another address with --url"
            )

    def _total(self, headers: Mapping[str, str]) -> int | None:
        """Bytes of the complete file, if the server reports them; they must fit."""
        length = headers.get("Content-Length")
        if length is None or "Content-Encoding" in headers:
            return None
        if not re.fullmatch("[0-9]{1,18}", length):
            raise self._refused(
                f"the server reports a size of {length!r:.40}. Pass another address "
                "with --url"
            )
        total = self.file.tell() + int(length)
        self._check_size(total)
        check_free_space(int(length), self.state.parent, file_name(self.url))
        return total

    def _check_size(self, size: int) -> None:
        if self.limit is not None and size > self.limit:
            self._clear()
            raise self._refused(
                f"it has at least {size:,} bytes, but the file has {self.limit:,}. "
                "Pass another address with --url; for a new edition, update its YAML "
                "file"
            )

    def _write(self, block: bytes) -> None:
        self._check_size(self.file.tell() + len(block))
        left = memoryview(block)
        try:
            while left:
                left = left[self.file.write(left) :]
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise DataError(
                f"the disk is full: {self.file.tell():,} bytes are kept in "
                f"{self.state.parent}. Free some space and repeat the command to "
                "resume, or choose another folder with --root"
            ) from error

    def _clear(self) -> None:
        self.file.seek(0)
        self.file.truncate()
