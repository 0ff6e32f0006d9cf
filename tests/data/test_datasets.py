import gzip
import hashlib
import re
from pathlib import Path

import pytest

from graphseq.data import LAYOUTS, catalog, load_dataset, read_log
from graphseq.data.datasets import (
    CATALOG,
    FILTERS,
    FaultyRecipe,
    data_folders,
    find_dataset,
    find_file,
)
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


SHOP = """
source: a shop
file: shop.csv
format: csv
users: 2
items: 2
interactions: 2
licence: free
"""


def test_an_entry_is_read_and_unknown_fields_are_none(tmp_path: Path) -> None:
    download = "downloads: [{file: shop.csv, urls: [https://a.shop/log], sha256: null}]"
    (tmp_path / "shop.yaml").write_text(SHOP + download)
    facts = catalog(tmp_path)["shop"]
    assert (facts.name, facts.sizes, facts.counted) == ("shop", (2, 2, 2), False)
    assert facts.sha256 is None
    assert facts.downloads[0].checksum is None


def test_incomplete_entries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder of data set descriptions"):
        catalog(tmp_path / "elsewhere")
    (tmp_path / "bad.yaml").write_text("source: x\n")
    with pytest.raises(DataError, match=r"bad.yaml does not describe a data set"):
        find_dataset("bad", tmp_path)


@pytest.mark.parametrize("file", ["../shop.csv", "/etc/shop.csv", "a/../../shop.csv"])
def test_an_entry_cannot_lead_out_of_the_data_folder(file: str, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(f"{SHOP}downloads: [{{file: {file}}}]\n")
    with pytest.raises(DataError, match="cannot name a file of the data folder"):
        find_dataset("shop", tmp_path)


FAULTS = [
    ("", "expected keys"),
    ("a: 1", "missing"),
    ("- a list", "expected keys"),
    (f"{SHOP}users: two", "duplicate key"),
    (SHOP.replace("users: 2", "users: two"), "users *expected|users: expected"),
    (f"{SHOP}note: 2024-13-45", "not a valid timestamp"),
    (f"{SHOP}note: 2024-01-01", "note: expected a text"),
    (f"{SHOP}mirror: x", "mirror: not an option"),
    (f"{SHOP}1: x", "1: not an option"),
    (f"{SHOP}downloads: 3", "downloads: expected a list"),
    (f"{SHOP}downloads: [3]", "downloads: expected a list"),
    (f"{SHOP}downloads: [{{urls: []}}]", "file: missing"),
    (f"{SHOP}downloads: [{{file: a, bytes: many}}]", "bytes: expected"),
    (f"{SHOP}downloads: [{{file: a, bytes: -1}}]", "bytes: expected a size"),
    (f"{SHOP}downloads: [{{file: a, archive: ../b}}]", "cannot name"),
    (f"{SHOP}downloads: [{{file: a, urls: [ftp://a]}}]", "https://"),
    (f"{SHOP}downloads: [{{file: a, urls: [http://a.shop/a]}}]", "not encrypted"),
    (f"{SHOP}sha256: abc", "sha256: expected 64"),
    (f"{SHOP}filters: [{{k_cor: {{}}}}]", "did you mean 'k_core'"),
    (f"{SHOP}filters: [{{k_core: {{user: 1, itme: 2}}}}]", "itme: not an option"),
    (f"{SHOP}times: {'n' * 300}", "cannot name"),
    (f"{SHOP}note: {'[' * 3000}", "more than 50 nested"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_faulty_entry_is_refused_and_hides_no_other(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    (tmp_path / "shop.yaml").write_text(SHOP)
    with pytest.raises(DataError, match=rf"(?s)bad.yaml does not .*({message})"):
        find_dataset("bad", tmp_path)
    with pytest.warns(FaultyRecipe, match="bad.yaml"):
        assert [*catalog(tmp_path)] == ["shop"]
    assert find_dataset("shop", tmp_path).name == "shop"


def test_an_address_without_encryption_needs_a_checksum(tmp_path: Path) -> None:
    download = "{file: a, urls: [http://a.shop/a], md5: " + "a" * 32 + "}"
    (tmp_path / "shop.yaml").write_text(f"{SHOP}downloads: [{download}]")
    assert find_dataset("shop", tmp_path).downloads[0].urls == ["http://a.shop/a"]


def test_a_misspelt_name_gets_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    with pytest.raises(DataError, match="did you mean 'shop'"):
        find_dataset("shp", tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("movielens", "did you mean ml-100k, ml-1m, ml-1m-cbit, ml-20m?"),
        ("MovieLens-1M", "did you mean ml-1m, ml-1m-cbit?"),
        ("beauty", "did you mean amazon-beauty, amazon-beauty-reviews?"),
        ("yelp2018", "did you mean 'yelp-2019'?"),
        ("%%", "there are amazon-beauty, "),
    ],
)
def test_a_name_in_other_words_gets_all_that_it_may_mean(name: str, words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        find_dataset(name)


def test_data_are_searched_in_root_or_the_environment_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GRAPHSEQ_DATA", "mine")
    assert data_folders("here") == [Path("here")]
    assert data_folders() == [Path("mine"), tmp_path / "graphseq"]
    monkeypatch.delenv("GRAPHSEQ_DATA")
    assert data_folders() == [tmp_path / "graphseq"]


ALL = catalog()


def test_the_catalog_has_the_common_benchmarks() -> None:
    amazon = {f"amazon-{c}" for c in ("beauty", "sports", "toys", "clothing", "cds")}
    others = {"ml-100k", "ml-1m", "ml-20m", "gowalla", "yelp", "steam", "diginetica"}
    assert amazon | others | {"amazon-books"} <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_an_entry_is_complete_and_its_checksums_are_well_formed(name: str) -> None:
    facts = ALL[name]
    assert facts.format in LAYOUTS
    assert {step for each in facts.filters for step in each} <= set(FILTERS)
    assert facts.licence and facts.source and min(facts.sizes) > 0
    for each in facts.downloads:
        assert each.urls or each.page, "an address, or where people get it"
        assert all(re.match(r"https?://[\w.-]+/\S+$", url) for url in each.urls)
        assert (each.archive is None) == (each.member is None)
    assert not facts.downloads or facts.downloads[0].file == facts.file
    for holder in (facts, *facts.downloads):
        assert holder.sha256 is None or re.fullmatch("[0-9a-f]{64}", holder.sha256)
        assert holder.md5 is None or re.fullmatch("[0-9a-f]{32}", holder.md5)


def test_a_file_that_is_its_own_download_has_one_digest() -> None:
    for facts in ALL.values():
        for each in facts.downloads[:1]:
            if each.archive is None and not each.file.endswith(".gz") and facts.sha256:
                assert each.sha256 == facts.sha256
