"""Seeded odd answers of a server: an error of graphseq or the file, never half a file.

Before each download there may be a partial file and its source, damaged or not. After
it, an honest server delivers the file: at once, or after one call that deletes a
partial file with the wrong checksum.
"""

import gzip
import hashlib
import random
import time
from contextlib import suppress
from pathlib import Path

import pytest

from graphseq.data.download import Unreachable, download
from graphseq.errors import GraphSeqError

LIMIT = 10.0  # seconds that a download may take
FEW, MANY = 120, 1_200
DATA = b"user,item,time\n" + b"1,2,3\n" * 200
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"

STATUS = [*[200] * 8, *[206] * 6, 204, 205, 300, 301, 302, 304, 307, 308]
STATUS += [400, 403, 404, 416, 416, 429, 500, 503, 599, 700, 999]
SIZES = ["abc", "-5", "0", "3", "9" * 30, "", "1e3", "+5", "0x10", "1, 2", "1216"]
RANGES = ["bytes 0-1214/1215", "bytes 5-9/10", "bytes */0", "bytes */1215", "bytes"]
RANGES += ["bytes 600-1214/1215", "x", "bytes 600-599/*", "bytes -1-/-", ""]
PLACES = ["/log", "//", "http://[::1/", "ftp://a/b", "http://127.0.0.1:1/x", "?" * 9000]
PLACES += ["", "http://", "log:8", "http://a b/", "http://user@/", "/../../x", "#"]
HEADERS = {
    "Content-Length": SIZES,
    "Content-Range": RANGES,
    "Location": PLACES,
    "Content-Encoding": ["gzip", "deflate", "br", "identity", "x", "gzip, gzip"],
    "Transfer-Encoding": ["chunked", "identity", "gzip, chunked"],
    "Content-Type": ["text/html", "application/gzip", "", "multipart/byteranges; x"],
    "ETag": ['"a"', 'W/"a"', "a\tb", "", '"' * 500],
    "Last-Modified": ["yesterday", "", "Thu, 01 Jan 1970 00:00:00 GMT"],
    "Set-Cookie": ["a" * 70_000, "=", "a=b; Domain=.com"],
}


def answer(chance: random.Random) -> tuple[int, dict[str, str], bytes]:
    """A status, headers and a body that need not go together."""
    names = chance.sample([*HEADERS], chance.randint(0, 3))
    cut = chance.randint(0, len(DATA))
    bodies = [DATA, DATA[:cut], DATA[cut:], DATA + b"more", b"", b"<html></html>"]
    bodies += [gzip.compress(DATA)[: cut // 8], b"5\r\nuser,\r\nzz\r\n", b"\0" * 5000]
    headers = {name: chance.choice(HEADERS[name]) for name in names}
    return chance.choice(STATUS), headers, chance.choice(bodies)


def leave_part(path: Path, url: str, chance: random.Random) -> None:
    """A partial file as an earlier download, or something else, left it."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(chance.choice([b"", b"x" * 700, DATA, DATA[:600], DATA + b"x"]))
    mark = chance.choice([b'"a"', b"a\r\nb: c", b"\xff", b""])
    source = chance.choice(
        [b"", b"\xff\xfe", b"x\n" * 5000, url.encode() + b"\n" + mark]
    )
    path.with_name(f"{path.name}.part.from").write_bytes(source)


@pytest.mark.parametrize(
    "seeds", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_odd_answers_are_refused_or_give_the_file(seeds, web, tmp_path) -> None:
    path, url = tmp_path / "log", web.url("log")
    web.files["log"] = DATA
    for seed in range(seeds):
        chance = random.Random(seed)
        checksum = chance.choice([SHA256, None])
        if chance.random() < 0.5:
            leave_part(path, url, chance)
        web.odd = [answer(chance) for _ in range(chance.randint(1, 3))]
        begin = time.monotonic()
        try:
            download(url, path, checksum, size=4000, attempts=2, timeout=0.5)
            assert checksum is None or path.read_bytes() == DATA, seed
        except GraphSeqError as error:
            assert len(str(error)) < 2000, seed
            assert not path.exists(), seed
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        assert time.monotonic() - begin < LIMIT, seed
        path.unlink(missing_ok=True)
        web.odd = []
        with suppress(Unreachable):
            download(url, path, SHA256)
        download(url, path, SHA256)
        assert path.read_bytes() == DATA, seed
        assert [p.name for p in tmp_path.iterdir()] == ["log"], seed
        path.unlink()
