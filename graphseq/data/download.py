"""Resumable downloads over HTTP, verified before they are renamed into place.

requests keeps the connections, pooch computes the checksums; neither of them resumes.
"""

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graphseq.atomic import lock_file
from graphseq.errors import DataError

if TYPE_CHECKING:
    from requests import Response

BLOCK = 1 << 14  # bytes per write: the most that a lost connection costs
PAUSE = 1.0  # seconds before the second attempt; the third waits twice as long
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REASONS = {
    "timed out": "the server stopped responding",
    "NameResolution": "the server name cannot be resolved, or there is no network",
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
        Unreachable: There is no network, the server reports an error or delivers
            nothing, the file is too large, or the checksum differs.
        DataError: The disk is full, or another process downloads the same file.
        OSError: The folder is not writable.
    """
    import pooch

    if not url.startswith(("http://", "https://")):
        raise DataError(
            f"cannot download {url!r}: an address begins with http:// or https://. "
            "Check it"
        )
    if path.exists() and pooch.hashes.hash_matches(path, checksum):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    transfer = _Transfer(url, path, checksum, size, progress, timeout)
    transfer.run(attempts)
    os.replace(transfer.part, path)


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
    """One file on its way: ``….part`` and, next to it, ``….part.json``.

    The JSON file records the address and the server's validator (ETag or Last-Modified)
    of the partial file. Without a validator and without a checksum that would detect a
    mixture of two versions, the transfer starts over.
    """

    url: str
    path: Path
    checksum: str | None
    limit: int | None
    progress: Progress | None
    timeout: float

    def __post_init__(self) -> None:
        self.part = self.path.with_name(f"{self.path.name}.part")
        self.state = self.path.with_name(f"{self.path.name}.part.json")

    def run(self, attempts: int) -> None:
        """Connect until the file is complete, then verify its checksum."""
        with self.part.open("ab", buffering=0) as file:
            if not lock_file(file):
                raise DataError(
                    f"another process is downloading {self.part}. Wait for it, or stop "
                    "it"
                )
            try:
                self._fetch(file, attempts)
                if not file.tell():
                    raise Unreachable(
                        f"{self.url} delivers an empty file. Check the address"
                    )
            finally:
                if not file.tell():
                    self.part.unlink()
        self.state.unlink(missing_ok=True)
        self._verify()

    def _fetch(self, file: IO[bytes], attempts: int) -> None:
        from http.client import HTTPException

        import requests
        from urllib3.exceptions import HTTPError

        failures = 0
        while True:
            before = file.tell()
            try:
                if self._connect(file):
                    return
                problem = "the connection ended early"
            except (requests.TooManyRedirects, ValueError) as error:
                raise Unreachable(
                    f"could not download {self.url}: it is not a valid address, or "
                    f"redirects to such ({error!s:.200}). Check the address"
                ) from error
            except (requests.RequestException, HTTPError, HTTPException) as error:
                problem = _reason(error)
            failures = failures + 1 if file.tell() <= before else 0
            if failures == attempts:
                break
            time.sleep(failures * PAUSE)
        cure = "Check the network and the address"
        if size := file.tell():
            cure = f"{size:,} bytes are kept: repeat the command to resume"
        raise Unreachable(f"could not download {self.url}: {problem}. {cure}")

    def _connect(self, file: IO[bytes]) -> bool:
        """Receive what one connection delivers; True if the file is complete."""
        import requests

        size = file.tell()
        headers = {"Accept-Encoding": "identity", "User-Agent": "graphseq"}
        headers |= self._range(size) if size else {}
        with requests.get(
            self.url, headers=headers, stream=True, timeout=self.timeout
        ) as reply:
            received = reply.headers.get("Content-Range", "")
            self._check_redirects(reply)
            if reply.status_code == 416 and size:  # complete, or part of another file
                complete = received == f"bytes */{size}"
                if not complete:
                    _clear(file)
                return complete
            self._check(reply)
            if reply.status_code != 206 or not received.startswith(f"bytes {size}-"):
                _clear(file)
                if reply.status_code == 206:  # another part than requested
                    return False
            total = self._total(reply, file.tell())
            self._remember(reply.headers)
            for block in reply.iter_content(BLOCK):
                self._write(file, block)
                try:
                    self._check_size(file.tell())
                except Unreachable:
                    _clear(file)
                    raise
                if self.progress is not None:
                    self.progress(file.tell(), total)
        return total is None or file.tell() == total

    def _range(self, size: int) -> dict[str, str]:
        """Headers that request the rest, if it must belong to the same file."""
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            state = None
        known = isinstance(state, dict) and state.get("url") == self.url
        validator = state.get("validator") if known else None
        if not isinstance(validator, str) or not validator.isprintable():
            validator = None
        if validator is None and self.checksum is None:
            return {}
        condition = {} if validator is None else {"If-Range": validator.strip()}
        return {"Range": f"bytes={size}-", **condition}

    def _remember(self, headers: Mapping[str, str]) -> None:
        tag = headers.get("ETag", "W/")
        validator = headers.get("Last-Modified") if tag.startswith("W/") else tag
        if validator is not None and not validator.isascii():
            validator = None
        text = json.dumps({"url": self.url, "validator": validator})
        self.state.write_text(text, encoding="utf-8")

    def _check_redirects(self, reply: "Response") -> None:
        """Refuse an answer for which an encrypted connection was left."""
        visited = [each.url for each in (*reply.history, reply)]
        if self.url.startswith("https://"):
            for url in visited:
                if not url.startswith("https://"):
                    raise Unreachable(
                        f"{self.url} redirects to {url:.200}, which is not encrypted. "
                        "Pass an https:// address with --url"
                    )

    def _check(self, reply: "Response") -> None:
        """Refuse HTTP errors, answers without a file, and web pages in its place."""
        if reply.status_code not in (200, 206):
            raise Unreachable(
                f"could not download {self.url}: the server answers "
                f"{reply.status_code} {reply.reason}. The file may have moved: look it "
                "up at its source, and pass the new address with --url"
            )
        kind = reply.headers.get("Content-Type", "")
        is_page = file_name(self.url).endswith((".html", ".htm"))
        if kind.startswith("text/html") and not is_page:
            raise Unreachable(
                f"{self.url} delivers a web page, not a file: it may ask you to accept "
                "terms. Download the file by hand, or pass another address with --url"
            )

    def _total(self, reply: "Response", size: int) -> int | None:
        """Bytes of the complete file, if the server reports them; they must fit."""
        length = reply.headers.get("Content-Length")
        if length is None or "Content-Encoding" in reply.headers:
            return None
        if not re.fullmatch("[0-9]{1,18}", length):
            if self.checksum is not None:
                return None
            raise Unreachable(
                f"{self.url} reports a size of {length!r:.40}, and no checksum is "
                "known that would detect a truncated file. Pass another address with "
                "--url"
            )
        total = size + int(length)
        self._check_size(total)
        check_free_space(int(length), self.part.parent, file_name(reply.url))
        return total

    def _check_size(self, size: int) -> None:
        if self.limit is not None and size > self.limit:
            raise Unreachable(
                f"{self.url} delivers at least {size:,} bytes, but the file has "
                f"{self.limit:,}. Pass another address with --url; for a new edition, "
                "update its YAML file"
            )

    def _write(self, file: IO[bytes], block: bytes) -> None:
        left = memoryview(block)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise DataError(
                f"the disk is full: {file.tell():,} bytes are in {self.part}. Free "
                "some space and repeat the command to resume, or choose another folder "
                "with --root"
            ) from error

    def _verify(self) -> None:
        """Compare the checksum; a file with another one is deleted."""
        import pooch

        if self.checksum is None:
            return
        kind, _, expected = self.checksum.partition(":")
        found = pooch.file_hash(str(self.part), alg=kind)
        if found != expected:
            self.part.unlink()
            raise Unreachable(
                f"{self.url} has the wrong checksum: its {kind} is {found}, expected "
                f"{expected}. The file was deleted. Repeat the command, or pass "
                "another address with --url; for a new edition, update its YAML file"
            )


def _clear(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def _reason(error: Exception) -> str:
    """Why a connection failed, in plain words where the cause is known."""
    text = str(error)
    return next((plain for sign, plain in REASONS.items() if sign in text), text)
