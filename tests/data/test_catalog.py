import hashlib
from pathlib import Path

import pytest

from graphseq.data import catalog, load_dataset, read_log
from graphseq.data.catalog import FOLDER
from graphseq.errors import DataError

FACTS = """
source: a shop
file: {file}
format: csv
users: {users}
items: 2
interactions: 2
sha256: {sha256}
md5: "-"
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
    assert list(catalog(root)) == ["shop"]
    log = load_dataset("shop", root, folder=root)
    assert log.frame().rows() == [("a", "x", 1), ("b", "y", 2)]


def test_the_environment_says_where_things_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = place(tmp_path)
    monkeypatch.setenv("GRAPHSEQ_DATASETS", str(root))
    monkeypatch.setenv("GRAPHSEQ_DATA", str(root))
    assert len(load_dataset("shop")) == 2


def test_another_file_or_other_counts_are_refused(tmp_path: Path) -> None:
    root = place(tmp_path, sha256="f" * 64)
    with pytest.raises(DataError, match="not the file that 'shop' means"):
        load_dataset("shop", root, folder=root)
    root = place(tmp_path, users=3)
    with pytest.raises(
        DataError, match=r"should have \(3, 2, 2\)[^;]*; read \(2, 2, 2\)"
    ):
        load_dataset("shop", root, folder=root)


def test_absent_things_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRAPHSEQ_DATA", raising=False)
    root = place(tmp_path)
    with pytest.raises(DataError, match="did you mean 'shop'"):
        load_dataset("shp", root, folder=root)
    with pytest.raises(DataError, match="Pass root= or set GRAPHSEQ_DATA"):
        load_dataset("shop", folder=root)
    with pytest.raises(DataError, match="Get it from a shop"):
        load_dataset("shop", root / "elsewhere", folder=root)
    with pytest.raises(DataError, match="no folder of data set facts"):
        catalog(root / "elsewhere")
    (root / "bad.yaml").write_text("source: x\n")
    with pytest.raises(DataError, match=r"bad.yaml does not hold a data set"):
        catalog(root)


@pytest.mark.parametrize("name", sorted(catalog()))
def test_every_data_set_of_the_catalogue_is_as_its_facts_say(name: str, shared) -> None:
    facts = catalog()[name]
    log = load_dataset(name, shared / "data")
    assert len(log) == facts.interactions
    data = (shared / "data" / facts.file).read_bytes()
    assert hashlib.md5(data).hexdigest() == facts.md5


def test_the_tiny_log_is_readable() -> None:
    log = read_log(FOLDER / "tiny.csv")
    assert (log.num_users, log.num_items, len(log)) == (12, 14, 55)


def test_the_times_of_beauty_lie_apart_and_change_no_sequence(shared) -> None:
    log = load_dataset("amazon-beauty", shared / "data")
    timed = load_dataset("amazon-beauty", shared / "data", with_times=True)
    assert timed.has_time and not log.has_time
    assert (timed.user == log.user).all() and (timed.item == log.item).all()
    assert (timed.time % 86_400 == 0).all(), "Amazon's times are days"
