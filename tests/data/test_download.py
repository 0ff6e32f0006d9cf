"""Downloads over unreliable connections, from servers that misbehave."""

import fcntl
import hashlib
import io
import os
import resource
import socket
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from graphseq.data.download import Unreachable, download
from graphseq.errors import DataError

DATA = bytes(range(256)) * 4096  # 1 MiB
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
CUT = 25 * 16_384


def leftovers(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir() if other != path)


def test_a_file_is_downloaded_once_and_no_other_file_remains(web, tmp_path) -> None:
    web.files["log.gz"] = DATA
    path, seen = tmp_path / "deep" / "log.gz", []
    download(
        web.url("log.gz"), path, SHA256, progress=lambda *sizes: seen.append(sizes)
    )
    assert path.read_bytes() == DATA
    assert leftovers(path) == []
    assert seen[-1] == (len(DATA), len(DATA))
    download(web.url("log.gz"), path, SHA256)
    assert len(web.requests) == 1, "an existing file is not downloaded again"


def test_a_lost_connection_is_resumed(web, tmp_path) -> None:
    web.files["log"], web.cuts = DATA, [CUT, CUT]
    download(web.url("log"), tmp_path / "log", SHA256)
    assert (tmp_path / "log").read_bytes() == DATA
    assert web.ranges == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]


def test_a_later_call_resumes_an_earlier_one(web, tmp_path) -> None:
    path = tmp_path / "log"
    web.files["log"], web.cuts = DATA, [CUT, 0]
    with pytest.raises(Unreachable, match="409,600 bytes are kept"):
        download(web.url("log"), path, SHA256, attempts=1)
    assert not path.exists()
    assert (tmp_path / "log.part").stat().st_size == CUT
    web.cuts = []
    download(web.url("log"), path, SHA256)
    assert path.read_bytes() == DATA
    assert web.ranges[-1] == f"bytes={CUT}-"
    assert leftovers(path) == []


def test_a_server_that_cannot_resume_sends_the_whole_file_again(web, tmp_path) -> None:
    web.files["log"], web.cuts, web.resumes = DATA, [CUT], False
    download(web.url("log"), tmp_path / "log", SHA256)
    assert (tmp_path / "log").read_bytes() == DATA
    assert web.ranges == [None, f"bytes={CUT}-"]


def test_a_server_that_always_fails_is_given_up(web, tmp_path) -> None:
    web.files["log"], web.cuts, web.resumes = DATA, [CUT] * 20, False
    with pytest.raises(Unreachable, match="the connection was lost"):
        download(web.url("log"), tmp_path / "log", SHA256)
    assert len(web.requests) == 4, "one with data, three without"


def test_two_versions_of_a_file_are_never_mixed(web, tmp_path) -> None:
    """Without a checksum, only the server's ETag shows that the file has changed."""
    path = tmp_path / "log"
    web.files["log"], web.cuts = DATA, [CUT, 0]
    with pytest.raises(Unreachable):
        download(web.url("log"), path, attempts=1)
    web.files["log"], web.cuts = DATA[::-1], []
    download(web.url("log"), path)
    assert path.read_bytes() == DATA[::-1]


@pytest.mark.parametrize("change", ["no etag", "another address"])
def test_without_an_etag_or_a_checksum_a_download_starts_over(
    change: str, web, tmp_path
) -> None:
    path = tmp_path / "log"
    web.files |= {"log": DATA, "mirror": DATA}
    web.cuts, web.etag = [CUT, 0], change != "no etag"
    with pytest.raises(Unreachable):
        download(web.url("log"), path, attempts=1)
    web.cuts = []
    download(web.url("log" if change == "no etag" else "mirror"), path)
    assert path.read_bytes() == DATA
    assert web.ranges[-1] is None


def test_a_complete_part_is_not_downloaded_again(web, tmp_path) -> None:
    (tmp_path / "log.part").write_bytes(DATA)
    web.files["log"] = DATA
    download(web.url("log"), tmp_path / "log", SHA256)
    assert (tmp_path / "log").read_bytes() == DATA


def test_a_part_longer_than_the_file_is_discarded(web, tmp_path) -> None:
    (tmp_path / "log.part").write_bytes(DATA + b"more")
    web.files["log"] = DATA
    download(web.url("log"), tmp_path / "log", SHA256)
    assert (tmp_path / "log").read_bytes() == DATA


def test_a_part_of_another_file_fails_the_checksum(web, tmp_path) -> None:
    (tmp_path / "log.part").write_bytes(b"x" * 1000)
    web.files["log"] = DATA
    with pytest.raises(Unreachable, match="the wrong checksum"):
        download(web.url("log"), tmp_path / "log", SHA256)
    download(web.url("log"), tmp_path / "log", SHA256)
    assert (tmp_path / "log").read_bytes() == DATA


def test_a_silent_server_counts_as_a_lost_connection(web, tmp_path) -> None:
    web.files["log"], web.cuts, web.hangs = DATA, [CUT, CUT, 0], True
    with pytest.raises(
        Unreachable, match=r"stopped responding\. 819,200 bytes are kept"
    ):
        download(web.url("log"), tmp_path / "log", SHA256, timeout=0.2, attempts=1)
    assert (tmp_path / "log.part").stat().st_size == 2 * CUT


def test_a_file_without_a_content_length_is_downloaded(web, tmp_path) -> None:
    web.files["log"], web.measured = DATA, False
    download(web.url("log"), tmp_path / "log", SHA256)
    assert (tmp_path / "log").read_bytes() == DATA


def test_a_wrong_checksum_is_reported_and_the_file_deleted(web, tmp_path) -> None:
    web.files["log"] = b"another"
    other = hashlib.md5(b"another").hexdigest()
    with pytest.raises(Unreachable, match=f"md5 is {other}, expected {'0' * 32}"):
        download(web.url("log"), tmp_path / "log", f"md5:{'0' * 32}")
    assert list(tmp_path.iterdir()) == []


def test_an_http_error_is_not_retried(web, tmp_path) -> None:
    with pytest.raises(
        Unreachable, match=r"answers 404 Not Found\. Check the address.*with --url"
    ):
        download(web.url("log"), tmp_path / "log")
    assert len(web.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_web_page_is_refused(web, tmp_path) -> None:
    web.files["log"], web.page = b"<html>agree?</html>", True
    with pytest.raises(Unreachable, match="a web page, not a file"):
        download(web.url("log"), tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_server_is_reported_in_plain_words(web, tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/log"
        with pytest.raises(
            Unreachable, match=r"refuses connections\. Check the network"
        ):
            download(url, tmp_path / "log")
    with pytest.raises(DataError, match="begins with http"):
        download("ftp://127.0.0.1/log", tmp_path / "log")


def test_a_full_disk_keeps_the_received_bytes(web, tmp_path) -> None:
    web.files["log"], path = DATA, tmp_path / "log"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CUT, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            download(web.url("log"), path, SHA256)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not path.exists()
    assert path.with_name("log.part").stat().st_size == CUT
    download(web.url("log"), path, SHA256)
    assert path.read_bytes() == DATA
    assert web.ranges[-1] == f"bytes={CUT}-"


def test_a_file_larger_than_the_free_space_is_not_started(
    web, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(9, 9, 1000))
    web.files["log"] = DATA
    with pytest.raises(DataError, match=r"needs 1,048,576 bytes.* has 1,000 free"):
        download(web.url("log"), tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_the_same_file(web, tmp_path) -> None:
    web.files["log"] = DATA
    with (tmp_path / "log.part").open("ab") as other:
        other.write(b"x")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process is downloading"):
            download(web.url("log"), tmp_path / "log")
    assert (tmp_path / "log.part").read_bytes() == b"x"


def test_a_part_that_another_process_completed_is_not_written(
    web, tmp_path, monkeypatch
) -> None:
    """It was opened before the other process renamed it, and locked afterwards."""
    web.files["log"] = DATA

    def lock(file) -> bool:
        os.replace(tmp_path / "log.part", tmp_path / "log")
        (tmp_path / "log").write_bytes(DATA)
        return True

    monkeypatch.setattr("graphseq.data.download.lock_file", lock)
    with pytest.raises(DataError, match="another process has downloaded"):
        download(web.url("log"), tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == DATA


def test_the_lock_is_held_until_the_file_has_its_name(
    web, tmp_path, monkeypatch
) -> None:
    web.files["log"] = DATA
    replace = os.replace

    def refused(part: Path, path: Path) -> None:
        with part.open("ab") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        replace(part, path)

    monkeypatch.setattr("graphseq.data.download.os.replace", refused)
    download(web.url("log"), tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == DATA


EMPTY = {"Content-Length": "0"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, {"Content-Length": "9" * 18}, b"x"), "but .* free"),
        ((200, {"Content-Length": "9" * 30}, b"x"), "reports a size"),
        ((200, {"Content-Length": "abc"}, b"x"), "reports a size of 'abc'"),
        ((200, {"Content-Length": "-5"}, b"x"), "size of|connection|empty"),
        ((200, {"Content-Length": ""}, b"x"), "reports a size of ''"),
        ((200, {"Content-Length": "5"}, b"x"), "the connection was lost"),
        ((200, EMPTY, b""), "delivers an empty file"),
        ((204, {}, b""), "the server answers 204"),
        ((206, EMPTY, b""), "a part that was not requested"),
        ((206, {"Content-Range": "bytes 5-9/10"}, b"56789"), "not requested"),
        ((304, {}, b""), "the server answers 304"),
        ((416, {"Content-Range": "bytes */0"}, b""), "the server answers 416"),
        ((416, {}, b""), "the server answers 416"),
        ((302, {"Location": "http://[::1/"}, b""), "invalid or not encrypted"),
        ((302, {"Location": "ftp://a/b"}, b""), "invalid or not encrypted"),
        ((302, {"Location": "http://" + "a" * 300}, b""), "could not download"),
        ((302, {"Location": "//"}, b""), "could not download"),
        ((302, {}, b""), "the server answers 302"),
        ((200, {"Content-Encoding": "gzip"}, b"not gzip"), "could not download"),
        ((200, {"Transfer-Encoding": "chunked"}, b"zz\r\n"), "could not download"),
        ((200, {"ETag": "\udcff".encode(errors="replace").decode()}, b""), "empty"),
    ],
)
def test_odd_answers_are_named_errors_and_leave_nothing(
    answer: tuple[int, dict[str, str], bytes], message: str, web, tmp_path
) -> None:
    web.odd = [answer] * 9
    with pytest.raises(DataError, match=message):
        download(web.url("log"), tmp_path / "log", attempts=1)
    assert not (tmp_path / "log").exists()
    web.odd, web.files["log"] = [], DATA
    download(web.url("log"), tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == DATA
    assert leftovers(tmp_path / "log") == []


def test_a_loop_of_redirects_ends(web, tmp_path) -> None:
    web.odd = [(302, {"Location": "/log"}, b"")] * 99
    with pytest.raises(Unreachable, match="invalid or not encrypted"):
        download(web.url("log"), tmp_path / "log")


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_redirect_keeps_the_encryption(
    encrypted: bool, web, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are dummies, since a local server has no certificate."""
    requested: list[str] = []

    def send(adapter: HTTPAdapter, request: PreparedRequest, **_: Any) -> Response:
        requested.append(str(request.url))
        answer, target = Response(), {True: "https://b/log", False: "http://b/log"}
        answer.url, answer.request, answer.status_code = requested[-1], request, 200
        answer.raw = io.BytesIO(DATA)
        if len(requested) == 1:
            answer.status_code = 302
            answer.headers["Location"] = target[encrypted]
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", send)
    if encrypted:
        download("https://a/log", tmp_path / "log", SHA256)
        assert requested == ["https://a/log", "https://b/log"]
        return
    with pytest.raises(Unreachable, match=r"not encrypted .*http://b/log"):
        download("https://a/log", tmp_path / "log", SHA256)
    assert requested == ["https://a/log"], "nothing is requested without encryption"


@pytest.mark.parametrize("measured", [True, False])
def test_a_file_larger_than_its_size_is_refused(measured, web, tmp_path) -> None:
    web.files["log"], web.measured = DATA, measured
    with pytest.raises(Unreachable, match="bytes, more than 1,000,000"):
        download(web.url("log"), tmp_path / "log", size=1_000_000)
    assert not list(tmp_path.glob("log.part")) and not (tmp_path / "log").exists()
    download(web.url("log"), tmp_path / "log", size=len(DATA))
    assert leftovers(tmp_path / "log") == []


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\udcff",
        "URL",
        "URL\n",
        'URL\n"a"\r\nX: y\u0100',
        'other\n"a"',
        "x" * 100_000,
    ],
)
def test_a_damaged_source_of_a_part_is_ignored(source: str, web, tmp_path) -> None:
    web.files["log"] = DATA
    (tmp_path / "log.part").write_bytes(DATA[:1000])
    text = source.replace("URL", web.url("log")).encode("utf-8", "surrogateescape")
    (tmp_path / "log.part.from").write_bytes(text)
    download(web.url("log"), tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == DATA
    assert web.ranges == [None]


def test_an_undamaged_source_resumes_without_a_checksum(web, tmp_path) -> None:
    web.files["log"] = DATA
    (tmp_path / "log.part").write_bytes(DATA[:1000])
    mark = hashlib.md5(DATA).hexdigest()
    (tmp_path / "log.part.from").write_text(f'{web.url("log")}\n"{mark}"')
    download(web.url("log"), tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == DATA
    assert web.ranges == ["bytes=1000-"]
