"""Resumable downloads over HTTP, checked before they are renamed into place."""

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graphseq.atomic import lock_file
from graphseq.errors import DataError

if TYPE_CHECKING:
    from requests import RequestException, Response

REASONS = {
    "timed out": "the server fell silent",
    "NameResolution": "there is no such server, or no network",
    "refused": "the server refuses connections",
    "Connection aborted": "the connection broke",
    "Connection broken": "the connection broke",
    "reset": "the connection broke",
    "SSL": "the server is not the one that it says it is (its certificate fails)",
}


class Unreachable(DataError):
    """This address does not give the file; another might."""


def url_name(url: str) -> str:
    """The file's name in an address."""
    return url.partition("?")[0].rstrip("/").rpartition("/")[2]


def refuse(url: str, reply: "Response") -> None:
    """Raise for what is no file.

    Raises:
        Unreachable: The server reports an error, or shows a page for people.
    """
    if reply.status_code >= 400:
        raise Unreachable(
            f"{url} is not to be had: the server answers {reply.status_code} "
            f"{reply.reason}. The file may have moved: look at its source, and give "
            "its new address by --url"
        )
    kind = reply.headers.get("Content-Type", "")
    if kind.startswith("text/html") and not url_name(url).endswith((".html", ".htm")):
        raise Unreachable(
            f"{url} gives a web page, not a file: perhaps one must agree to terms "
            "there. Fetch it by hand, or give another address by --url"
        )


def reason(error: "RequestException") -> str:
    """Why a connection failed, in few words."""
    said = str(error)
    return next((plain for sign, plain in REASONS.items() if sign in said), said)


BLOCK = 1 << 14  # bytes that are written at a time; so many a break may cost
PAUSE = 1.0  # seconds before a fruitless connection is tried again, then twice that
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress = Callable[[int, int | None], None]
"""Told the bytes that are there and the bytes in all, if the server says."""


class Resuming:
    """Brings a partial file further, connection by connection.

    Beside it, ``….json`` keeps the address and the server's mark of this state of the
    file. Without a mark, and without a checksum that would tell, it starts over.

    Args:
        part: The partial file.
        checksum: ``sha256:…`` or ``md5:…`` of the whole, if it is known.
        progress: Called as it grows.
        attempts: Connections in a row that may break without bringing it further.
        timeout: Seconds of silence after which a connection counts as broken.
    """

    def __init__(
        self,
        part: Path,
        checksum: str | None,
        progress: Progress | None,
        attempts: int,
        timeout: float,
    ) -> None:
        self.part, self.checksum = part, checksum
        self.note = part.with_name(f"{part.name}.json")
        self.progress = progress or (lambda done, total: None)
        self.attempts, self.timeout = attempts, timeout

    def fetch(self, url: str, file: IO[bytes]) -> None:
        """Go on until ``file``, the partial one open for appending, is whole.

        Raises:
            Unreachable: The connections bring it no further.
            DataError: The disk is full.
        """
        import requests

        fruitless = 0
        while True:
            before = file.tell()
            try:
                if self._connect(url, file):
                    return
                trouble = "the connection ended early"
            except requests.RequestException as error:
                trouble = reason(error)
            fruitless = fruitless + 1 if file.tell() <= before else 0
            if fruitless == self.attempts:
                raise Unreachable(
                    f"{url} could not be fetched: {trouble}. {_kept(file.tell())}"
                )
            time.sleep(fruitless * PAUSE)

    def check(self, url: str) -> None:
        """Compare the checksum of the whole file; another file is thrown away.

        Raises:
            Unreachable: It is another file.
        """
        import pooch

        self.note.unlink(missing_ok=True)
        if self.checksum is None:
            return
        kind, _, expected = self.checksum.partition(":")
        found = pooch.file_hash(str(self.part), alg=kind)
        if found != expected:
            self.part.unlink()
            raise Unreachable(
                f"{url} is not the file that is meant: its {kind} is {found}, expected "
                f"{expected}. It was thrown away. Try again, or another address by "
                "--url; if there is a new edition, its YAML file needs new facts"
            )

    def _connect(self, url: str, file: IO[bytes]) -> bool:
        """One connection; whether the file is whole after it."""
        import requests

        have = file.tell()
        headers = {"Accept-Encoding": "identity", "User-Agent": "graphseq"}
        headers |= self._rest(url, have) if have else {}
        with requests.get(
            url, headers=headers, stream=True, timeout=self.timeout
        ) as reply:
            place = reply.headers.get("Content-Range", "")
            if reply.status_code == 416:  # nothing is left, or it is another file
                whole = place == f"bytes */{have}"
                if not whole:
                    _empty(file)
                return whole
            refuse(url, reply)
            if reply.status_code != 206 or not place.startswith(f"bytes {have}-"):
                _empty(file)
            total = self._total(reply, file.tell())
            self._remember(url, reply.headers)
            for block in reply.iter_content(BLOCK):
                self._write(file, block)
                self.progress(file.tell(), total)
        return total is None or file.tell() == total

    def _rest(self, url: str, have: int) -> dict[str, str]:
        """Ask for the rest, if it is sure to be the rest of the same file."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            note = {}
        mark = note.get("mark") if note.get("url") == url else None
        if mark is None and self.checksum is None:
            return {}
        condition = {} if mark is None else {"If-Range": mark}
        return {"Range": f"bytes={have}-", **condition}

    def _remember(self, url: str, headers: Mapping[str, str]) -> None:
        """Keep what tells this state of the file from a later one."""
        tag = headers.get("ETag", "W/")
        mark = headers.get("Last-Modified") if tag.startswith("W/") else tag
        text = json.dumps({"url": url, "mark": mark})
        self.note.write_text(text, encoding="utf-8")

    def _total(self, reply: "Response", have: int) -> int | None:
        """Bytes of the whole file, for which there is room; None if nobody says."""
        length = reply.headers.get("Content-Length")
        if length is None or "Content-Encoding" in reply.headers:
            return None
        rest, free = int(length), shutil.disk_usage(self.part.parent).free
        if rest > free:
            raise DataError(
                f"{url_name(reply.url)} takes {rest:,} bytes more, and "
                f"{self.part.parent} has {free:,} free. Make room, or choose another "
                "folder by --root"
            )
        return have + rest

    def _write(self, file: IO[bytes], block: bytes) -> None:
        left = memoryview(block)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise DataError(
                f"the disk is full: {file.tell():,} bytes are in {self.part}. Make "
                "room and give the same command, which goes on from there, or choose "
                "another folder by --root"
            ) from error


def _empty(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def _kept(size: int) -> str:
    if not size:
        return "Check the network and the address"
    return (
        f"{size:,} bytes are kept: give the same command again, which goes on from "
        "there if the server allows it"
    )


def download(
    url: str,
    path: Path,
    checksum: str | None = None,
    *,
    progress: Progress | None = None,
    attempts: int = 3,
    timeout: float = 30.0,
) -> None:
    """Fetch a file, unless it is there already.

    What came before a connection broke stays in ``PATH.part``; the next attempt, or the
    next call, asks the server for the rest only. It starts over where the server does
    not resume, or where the file there is a new one.

    Args:
        url: http:// or https://.
        path: Where it goes; the folder is made. Nothing is there before it is whole.
        checksum: ``sha256:…`` or ``md5:…``; ``None`` takes what comes.
        progress: Called as it grows.
        attempts: Connections in a row that may break without bringing it further.
        timeout: Seconds of silence after which a connection counts as broken.

    Raises:
        Unreachable: No network, an error of the server, or another file than expected.
        DataError: The disk is full, or another process fetches the same file.
        OSError: The folder cannot be written.
    """
    import pooch

    if not url.startswith(("http://", "https://")):
        raise DataError(f"{url!r} is no address: it begins with http:// or https://")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    resuming = Resuming(part, checksum, progress, attempts, timeout)

    def fetch(url: str, output_file: str, _: object) -> None:
        try:
            with part.open("ab", buffering=0) as file:
                if not lock_file(file):
                    raise DataError(
                        f"another process is fetching {part}. Wait for it, or stop it"
                    )
                resuming.fetch(url, file)
        finally:
            if not part.stat().st_size:
                part.unlink()
        resuming.check(url)
        os.replace(part, output_file)

    with _quiet():
        pooch.retrieve(url, checksum, path.name, path.parent, downloader=fetch)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of pooch's log but warnings: we tell it in our own words."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
