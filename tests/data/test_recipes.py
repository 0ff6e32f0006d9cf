"""The catalog: faulty recipes are refused and named, and ours are complete."""

import re
from pathlib import Path

import pytest

from graphseq.data import LAYOUTS, catalog
from graphseq.data.recipes import FILTERS, FaultyRecipe, find_dataset
from graphseq.errors import DataError

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
    with pytest.raises(DataError, match="elsewhere does not exist"):
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
