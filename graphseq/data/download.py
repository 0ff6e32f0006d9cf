"""Files from the web, checked before they are in place.

pooch keeps what is there, compares checksums and renames; it starts every download
over, so that the resuming is our own.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from graphseq.data.resuming import Progress, Resuming
from graphseq.errors import DataError

__all__ = ["Progress", "download"]


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
            with part.open("ab", buffering=0) as file, _alone(file, part):
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


@contextmanager
def _alone(file: IO[bytes], part: Path) -> Iterator[None]:
    """Nobody else writes this file; the lock goes with the handle."""
    try:
        import fcntl
    except ImportError:  # where there is no flock, nothing keeps two processes apart
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DataError(
            f"another process is fetching {part}. Wait for it, or stop it"
        ) from error
    yield
