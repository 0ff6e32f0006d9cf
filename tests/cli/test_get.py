"""``graphseq get`` as people type it, against a server on this machine."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from graphseq.cli import main
from graphseq.config import load

LOG = "user,item,time\n" + "".join(f"{u},{i},{i}\n" for u in "abc" for i in range(4))
RECIPE = """
source: a shop
file: shop/log.csv
format: csv
users: {users}
items: 4
interactions: 12
licence: free for all
note: "A note."
downloads:
  - {{file: shop/log.csv, urls: ["{url}"], sha256: {sha256}, bytes: {bytes}}}
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a log, and a catalogue that has its recipe."""
    for folder in ("served", "recipes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "served" / "log.csv").write_text(LOG)
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("GRAPHSEQ_DATASETS", str(tmp_path / "recipes"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("GRAPHSEQ_DATA", raising=False)
    url = f"http://127.0.0.1:{server.server_port}/log.csv"
    write(tmp_path, url)
    yield url
    server.shutdown()
    server.server_close()
    thread.join()


def write(
    tmp_path: Path,
    url: str,
    users: int = 3,
    sha256: str | None = None,
    size: int = len(LOG),
) -> None:
    digest = sha256 or hashlib.sha256(LOG.encode()).hexdigest()
    text = RECIPE.format(url=url, users=users, sha256=digest, bytes=size)
    (tmp_path / "recipes" / "shop.yaml").write_text(text)


def test_a_data_set_is_fetched_and_an_experiment_finds_it(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", "shop"]) == 0
    path = tmp_path / "cache" / "graphseq" / "shop" / "log.csv"
    assert path.read_text() == LOG
    captured = capsys.readouterr()
    assert captured.err == ""
    assert f"downloading {shop}" in captured.out
    assert "terms: free for all" in captured.out
    assert "3 users, 4 items, 12 events, as expected" in captured.out
    experiment = tmp_path / "shop-experiment.yaml"
    experiment.write_text(
        "data: {dataset: shop}\nsplit: {leave_one_out: {}}\nmodel: {POP: {}}\n"
        "train: {max_epochs: 0}\n"
    )
    assert load(str(experiment)).graph()["user"].num_nodes == 3


def test_the_list_shows_sizes_effort_and_what_is_here(
    shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", "--list"]) == 0
    [row] = [r for r in capsys.readouterr().out.splitlines() if "shop" in r]
    assert row.split() == ["shop", "3", "4", "12", "0.0", "MB"]
    main(["get", "shop"])
    capsys.readouterr()
    assert main(["get", "--list"]) == 0
    [row] = [r for r in capsys.readouterr().out.splitlines() if "shop" in r]
    assert row.split()[-1] == "yes"


def test_every_row_of_the_real_list_is_shown_whole_on_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRAPHSEQ_DATASETS", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["get", "--list"]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "amazon-clothing-reviews" in shown and "20,000,263" in shown


def test_other_counts_than_published_are_a_warning_in_one_line(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, shop, users=4)
    assert main(["get", "shop", "--root", str(tmp_path / "data")]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("warning: 'shop' should have (4, 4, 12)")
    assert captured.err.count("\n") == 1
    assert "as expected" not in captured.out
    assert "export GRAPHSEQ_DATA=" in captured.out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "takes the NAME of a data set, or --list"),
        (["shop", "--list"], "takes the NAME of a data set, or --list"),
        (["shpo"], "did you mean 'shop'"),
        (["shop", "--url", "http://127.0.0.1:9/log.csv"], "refuses connections"),
        (["shop", "--url", "log.csv"], "begins with http:// or https://"),
        (["shop", "--root", "/dev/null/data"], "another folder with --root"),
        (["shop", "--url", "SHOP.gz"], "answers 404"),
        (["shop", "--url", "SHOP/other.csv"], "its sha256 is"),
    ],
)
def test_mistakes_exit_with_2_and_say_what_to_do(
    arguments: list[str],
    complaint: str,
    shop: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("graphseq.data.download.PAUSE", 0.0)
    (tmp_path / "served" / "other.csv").write_text("another")
    places = {"SHOP.gz": f"{shop}.gz", "SHOP/other.csv": shop.replace("log", "other")}
    assert main(["get", *(places.get(a, a) for a in arguments)]) == 2
    message = capsys.readouterr().err
    assert complaint in message
    assert "Traceback" not in message


def test_a_long_download_prints_its_progress(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = LOG + "c,3,9\n" * 100_000
    (tmp_path / "served" / "log.csv").write_text(more)
    digest = hashlib.sha256(more.encode()).hexdigest()
    write(tmp_path, shop, sha256=digest, size=len(more))
    assert main(["get", "shop"]) == 0
    lines = [x for x in capsys.readouterr().out.splitlines() if " of " in x]
    assert len(lines) == 10
    assert lines[-1] == f"log.csv: {len(more):,} of {len(more):,} bytes"
