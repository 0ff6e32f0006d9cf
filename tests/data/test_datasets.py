import gzip
import hashlib
from pathlib import Path

import pytest

from graphseq.data import catalog, load_dataset, read_log
from graphseq.data.datasets import data_folders, find_file
from graphseq.data.recipes import CATALOG
from graphseq.errors import DataError

FACTS = """
source: a shop
file: {file}
format: csv
users: {users}
items: 2
interactions: 2
counted: true
sha256: {sha256}
licence: free
"""
LOG = "user,item,time\na,x,1\nb,y,2\n"


def place(tmp_path: Path, *, users: int = 2, sha256: str | None = None) -> Path:
    (tmp_path / "shop.csv").write_text(LOG)
    digest = sha256 or hashlib.sha256(LOG.encode()).hexdigest()
    facts = FACTS.format(file="shop.csv", users=users, sha256=digest)
    (tmp_path / "shop.yaml").write_text(facts)
    return tmp_path


def test_a_data_set_is_read_and_checked(tmp_path: Path) -> None:
    root = place(tmp_path)
    log = load_dataset("shop", root, folder=root)
    assert log.frame().rows() == [("a", "x", 1), ("b", "y", 2)]


def test_a_gzip_of_the_file_is_as_good(tmp_path: Path) -> None:
    root = place(tmp_path)
    (tmp_path / "shop.csv").unlink()
    packed = gzip.compress(LOG.encode())
    (tmp_path / "shop.csv.gz").write_bytes(packed)
    assert len(load_dataset("shop", root, folder=root)) == 2
    (tmp_path / "shop.csv.gz").write_bytes(packed[:-9])
    with pytest.raises(DataError, match="truncated or damaged gzip"):
        load_dataset("shop", root, folder=root)


def test_environment_variables_name_the_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = place(tmp_path)
    monkeypatch.setenv("GRAPHSEQ_DATASETS", str(root))
    monkeypatch.setenv("GRAPHSEQ_DATA", str(root))
    assert len(load_dataset("shop")) == 2


def test_another_file_or_other_counts_are_refused(tmp_path: Path) -> None:
    root = place(tmp_path, sha256="f" * 64)
    with pytest.raises(DataError, match="not the file of 'shop'"):
        load_dataset("shop", root, folder=root)
    root = place(tmp_path, users=3)
    with pytest.raises(
        DataError, match=r"should have \(3, 2, 2\)[^;]*; found \(2, 2, 2\)"
    ):
        load_dataset("shop", root, folder=root)


def test_missing_data_are_reported_with_the_command_that_downloads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = place(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GRAPHSEQ_DATA", str(tmp_path / "mine"))
    tried = r"mine/shop.csv nor at .*cache/graphseq/shop.csv. Run: graphseq get shop; "
    tried += r"or name the folder that holds shop.csv: --data FOLDER \(in Python, root="
    with pytest.raises(DataError, match=tried):
        load_dataset("shop", folder=root)
    with pytest.raises(DataError, match="Get it from a shop"):
        load_dataset("shop", root / "elsewhere", folder=root)


@pytest.mark.parametrize("name", sorted(catalog()))
def test_data_on_this_machine_match_their_entry(name: str, shared) -> None:
    facts = catalog()[name]
    path = find_file(facts.file, [shared / "data"])
    if path is None:
        pytest.skip(f"{facts.file} is not among the shared data")
    log = load_dataset(name, shared / "data")
    assert (log.num_users, log.num_items, len(log)) == facts.sizes
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    assert hashlib.md5(text).hexdigest() == facts.md5


def test_the_tiny_log_is_readable() -> None:
    log = read_log(CATALOG / "tiny.csv")
    assert (log.num_users, log.num_items, len(log)) == (12, 14, 55)


def test_the_separate_times_of_beauty_change_no_sequence(shared) -> None:
    log = load_dataset("amazon-beauty", shared / "data")
    timed = load_dataset("amazon-beauty", shared / "data", with_times=True)
    assert timed.has_time and not log.has_time
    assert (timed.user == log.user).all() and (timed.item == log.item).all()
    assert (timed.time % 86_400 == 0).all(), "Amazon's times are days"


def test_data_are_searched_in_root_or_the_environment_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GRAPHSEQ_DATA", "mine")
    assert data_folders("here") == [Path("here")]
    assert data_folders() == [Path("mine"), tmp_path / "graphseq"]
    monkeypatch.delenv("GRAPHSEQ_DATA")
    assert data_folders() == [tmp_path / "graphseq"]
