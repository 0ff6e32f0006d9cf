import re
from pathlib import Path

import pytest

from graphseq.data import LAYOUTS, catalog
from graphseq.data.catalog import data_folders, known
from graphseq.data.datasets import FILTERS
from graphseq.errors import DataError

FACTS = """
source: a shop
file: shop.csv
format: csv
users: 2
items: 2
interactions: 2
licence: free
"""


def test_facts_are_read_and_what_is_not_known_is_none(tmp_path: Path) -> None:
    download = "downloads: [{file: shop.csv, urls: [http://a.shop/log], sha256: null}]"
    (tmp_path / "shop.yaml").write_text(FACTS + download)
    facts = catalog(tmp_path)["shop"]
    assert (facts.name, facts.sizes, facts.counted) == ("shop", (2, 2, 2), False)
    assert facts.sha256 is None
    assert facts.downloads[0].checksum is None


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder of data set facts"):
        catalog(tmp_path / "elsewhere")
    (tmp_path / "bad.yaml").write_text("source: x\n")
    with pytest.raises(DataError, match=r"bad.yaml does not hold a data set"):
        catalog(tmp_path)


@pytest.mark.parametrize("file", ["../shop.csv", "/etc/shop.csv", "a/../../shop.csv"])
def test_a_recipe_does_not_lead_out_of_the_folder_of_the_data(
    file: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text(f"{FACTS}downloads: [{{file: {file}}}]\n")
    with pytest.raises(DataError, match="leads out of the folder"):
        catalog(tmp_path)


def test_a_misspelt_name_gets_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(FACTS)
    with pytest.raises(DataError, match="did you mean 'shop'"):
        known("shp", tmp_path)


def test_data_lie_where_asked_else_in_the_environments_folder_then_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GRAPHSEQ_DATA", "mine")
    assert data_folders("here") == [Path("here")]
    assert data_folders() == [Path("mine"), tmp_path / "graphseq"]
    monkeypatch.delenv("GRAPHSEQ_DATA")
    assert data_folders() == [tmp_path / "graphseq"]


ALL = catalog()


def test_the_catalogue_has_what_people_ask_for() -> None:
    amazon = {f"amazon-{c}" for c in ("beauty", "sports", "toys", "clothing", "cds")}
    others = {"ml-100k", "ml-1m", "ml-20m", "gowalla", "yelp", "steam", "diginetica"}
    assert amazon | others | {"amazon-books"} <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_recipe_is_whole_and_its_digests_look_like_digests(name: str) -> None:
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
