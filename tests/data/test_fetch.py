"""Each entry of the catalog, served from this machine, downloaded and read."""

import gzip
import hashlib
import io
import json
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphseq.data import CountMismatch, Dataset, catalog, fetch_dataset, load_dataset
from graphseq.errors import DataError

REVIEWS = "".join(
    json.dumps({"reviewerID": f"A{u}", "asin": f"00{i}", "unixReviewTime": 86_400 * i})
    + "\n"
    for u in range(2)
    for i in range(3)
)
STEAM = "".join(
    f"{{u'username': u'u{u}', u'product_id': u'{i}', u'date': u'2017-12-{i + 10}'}}\n"
    for u in range(2)
    for i in range(3)
)
YELP = "".join(
    json.dumps(
        {"user_id": f"u{u}", "business_id": f"b{i}", "date": f"2019-01-0{i + 1}"}
    )
    + "\n"
    for u in range(2)
    for i in range(3)
)
RATINGS = "".join(f"A{u},B00{i},5.0,{i}\n" for u in range(6) for i in range(5))
TEXTS = {
    "sequences": "1 10 11 12\n2 10 11 12\n",
    "movielens-100k": "".join(f"{u}\t{i}\t3\t88{i}\n" for u in "12" for i in range(3)),
    "movielens-1m": "".join(
        f"{u}::{i}::3::97{i}\n" for u in range(6) for i in range(5)
    ),
    "movielens": "userId,movieId,rating,timestamp\n"
    + "".join(f"{u},{i},3.5,114{i}\n" for u in "12" for i in range(3)),
    "amazon": REVIEWS,
    "csv": RATINGS + "A9,B009,1.0,7\n",
    "jsonl": STEAM,
    "yelp": YELP,
    "gowalla": "".join(
        f"{u}\t2010-10-1{9 - i}T23:55:27Z\t30.2\t-97.7\t{i}\n"
        for u in "12"
        for i in range(3)
    ),
    "diginetica": "sessionId;userId;itemId;timeframe;eventdate\n"
    + "".join(f"{u};NA;{i};{i}000;2016-05-09\n" for u in "12" for i in range(3)),
}
SIZES = {"csv": (6, 5, 30), "movielens-1m": (6, 5, 30)}  # the others are as below


def packed(text: str, file: str, archive: str | None, member: str | None) -> bytes:
    """What a server sends: the text, a gzip of it, or an archive that holds it."""
    data = text.encode()
    if archive is None:
        return gzip.compress(data, mtime=0) if file.endswith(".gz") else data
    buffer = io.BytesIO()
    if archive.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w") as made:
            made.writestr(str(member), data)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            entry = tarfile.TarInfo(str(member))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def recipe(facts: Dataset, web, folder: Path, **other: Any) -> dict[str, Any]:
    """The entry of the catalog, with other addresses, checksums and counts."""
    first, text = facts.downloads[0], TEXTS[facts.format]
    data = packed(text, first.file, first.archive, first.member)
    name = first.archive or Path(first.file).name
    web.files[name] = data
    users, items, interactions = SIZES.get(facts.format, (2, 3, 6))
    download = {
        "file": first.file,
        "urls": [web.url(name)],
        "archive": first.archive,
        "member": first.member,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    made = {
        "source": facts.source,
        "file": facts.file,
        "format": facts.format,
        "columns": facts.columns,
        "filters": facts.filters,
        "users": users,
        "items": items,
        "interactions": interactions,
        "counted": True,
        "licence": facts.licence,
        "downloads": [{**download, **other}],
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{facts.name}.yaml").write_text(yaml.safe_dump(made))
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of entries; the data of this user are not found."""
    monkeypatch.setenv("GRAPHSEQ_DATASETS", str(tmp_path / "recipes"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GRAPHSEQ_DATA", raising=False)
    return tmp_path / "recipes"


FETCHED = {name: facts for name, facts in catalog().items() if facts.downloads}


@pytest.mark.parametrize("name", FETCHED)
def test_every_entry_is_downloaded_extracted_read_and_counted(
    name: str, web, folder: Path, tmp_path: Path
) -> None:
    facts = FETCHED[name]
    made = recipe(facts, web, folder)
    root = tmp_path / "data"
    found = fetch_dataset(name, root)
    assert found.log.num_items == made["items"]
    files = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    assert files == [facts.file], "nothing else is left"
    digest = hashlib.sha256(TEXTS[facts.format].encode()).hexdigest()
    assert found.sha256 == {facts.file: digest}
    assert load_dataset(name, root) == found.log
    before = len(web.requests)
    assert fetch_dataset(name, root).log == found.log
    assert len(web.requests) == before, "an existing file is not downloaded again"


def test_the_environment_or_the_cache_is_where_it_goes_and_is_found(
    web, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe(FETCHED["amazon-toys"], web, folder)
    assert fetch_dataset("amazon-toys").root == tmp_path / "cache" / "graphseq"
    monkeypatch.setenv("GRAPHSEQ_DATA", str(tmp_path / "mine"))
    assert len(load_dataset("amazon-toys")) == 6, "the cache is looked at too"
    assert fetch_dataset("amazon-toys").root == tmp_path / "mine"
    assert (tmp_path / "mine" / "amazon-toys" / "Toys_and_Games.txt").is_file()


def test_the_next_address_is_tried_when_one_fails(
    web, folder: Path, tmp_path: Path
) -> None:
    web.files["damaged"] = b"1 2 3\n"
    addresses = [web.url("gone"), web.url("damaged"), web.url("ratings.zip")]
    facts = FETCHED["ml-1m"]
    recipe(facts, web, folder, urls=addresses)
    web.files["ratings.zip"] = web.files["ml-1m.zip"]
    assert len(fetch_dataset("ml-1m", tmp_path).log) == 30
    assert [path for path, _ in web.requests] == ["/gone", "/damaged", "/ratings.zip"]
    recipe(facts, web, folder, urls=addresses[:2])
    with pytest.raises(DataError, match=r"404 (.|\n)*wrong checksum"):
        fetch_dataset("ml-1m", tmp_path / "other")


def test_another_address_replaces_all_but_the_checksum(
    web, folder: Path, tmp_path: Path
) -> None:
    recipe(FETCHED["ml-100k"], web, folder, urls=[web.url("gone")])
    web.files["mirror"] = web.files["ml-100k.zip"]
    url = web.url("mirror")
    assert len(fetch_dataset("ml-100k", tmp_path, url=url).log) == 6
    web.files["mirror"] = b"another"
    with pytest.raises(DataError, match=r"its sha256 is \w+, expected \w+"):
        fetch_dataset("ml-100k", tmp_path / "other", url=url)


def test_an_unknown_checksum_is_reported(web, folder: Path, tmp_path: Path) -> None:
    recipe(FETCHED["steam"], web, folder, sha256=None)
    lines: list[str] = []
    fetch_dataset("steam", tmp_path, report=lines.append)
    digest = hashlib.sha256(web.files["steam_reviews.json.gz"]).hexdigest()
    assert lines[-1].endswith(f"its sha256 is {digest}")


def test_a_download_by_hand_is_explained_and_found(
    web, folder: Path, tmp_path: Path
) -> None:
    recipe(FETCHED["yelp"], web, folder, urls=[], sha256=None, page="yelp's page")
    archive = tmp_path / "yelp" / "yelp_dataset.tar"
    with pytest.raises(
        DataError, match=f"Get it from yelp's page\nSave it as {archive}"
    ):
        fetch_dataset("yelp", tmp_path)
    archive.parent.mkdir()
    archive.write_bytes(web.files["yelp_dataset.tar"])
    assert len(fetch_dataset("yelp", tmp_path).log) == 6
    assert archive.is_file(), "a file saved by hand is kept"
    archive.unlink()
    assert len(fetch_dataset("yelp", tmp_path).log) == 6
    assert web.requests == []


def test_an_existing_archive_is_compared_with_its_checksum(
    web, folder: Path, tmp_path: Path
) -> None:
    recipe(FETCHED["ml-1m"], web, folder)
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "ml-1m" / "ml-1m.zip").write_bytes(b"another")
    with pytest.raises(DataError, match="is not the expected archive"):
        fetch_dataset("ml-1m", tmp_path)


def test_an_existing_file_with_another_checksum_is_not_replaced(
    web, folder: Path, tmp_path: Path
) -> None:
    facts = FETCHED["amazon-clothing"]
    made = recipe(facts, web, folder)
    made["sha256"] = made["downloads"][0]["sha256"]
    (folder / "amazon-clothing.yaml").write_text(yaml.safe_dump(made))
    path = tmp_path / facts.file
    path.parent.mkdir()
    path.write_text("1 2\n")
    with pytest.raises(DataError, match="Move it away and run: graphseq get"):
        fetch_dataset("amazon-clothing", tmp_path)
    assert path.read_text() == "1 2\n"


def test_related_files_are_downloaded_with_the_log(
    web, folder: Path, tmp_path: Path
) -> None:
    facts = FETCHED["amazon-beauty"]
    made = recipe(facts, web, folder)
    web.files["attributes"] = b"{}"
    related = {"file": facts.downloads[1].file, "urls": [web.url("attributes")]}
    made["downloads"].append(related)
    (folder / "amazon-beauty.yaml").write_text(yaml.safe_dump(made))
    assert list(fetch_dataset("amazon-beauty", tmp_path).sha256) == [
        "amazon-beauty/Beauty.txt",
        "amazon-beauty/Beauty_item2attributes.json",
    ]


@pytest.mark.parametrize("counted", [True, False])
def test_other_counts_are_an_error_where_they_were_counted_else_a_warning(
    counted: bool, web, folder: Path, tmp_path: Path
) -> None:
    made = recipe(FETCHED["gowalla"], web, folder)
    made |= {"users": 3, "counted": counted}
    (folder / "gowalla.yaml").write_text(yaml.safe_dump(made))
    message = (
        r"should have \(3, 3, 6\) users, items and interactions; found \(2, 3, 6\)"
    )
    if counted:
        with pytest.raises(DataError, match=message):
            fetch_dataset("gowalla", tmp_path)
        return
    with pytest.warns(CountMismatch, match=message):
        fetch_dataset("gowalla", tmp_path)
    with warnings.catch_warnings(), pytest.raises(CountMismatch):
        warnings.simplefilter("error")
        load_dataset("gowalla", tmp_path)


def test_a_folder_that_is_not_writable_is_reported(
    web, folder: Path, tmp_path: Path
) -> None:
    recipe(FETCHED["ml-100k"], web, folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*another folder with --root"):
        fetch_dataset("ml-100k", tmp_path / "file" / "data")
    assert web.requests == []


def test_a_disk_too_small_is_reported_before_any_request(
    web, folder: Path, tmp_path: Path
) -> None:
    recipe(FETCHED["ml-100k"], web, folder, bytes=10**18)
    with pytest.raises(DataError, match=r"needs 1,000,000,000,000,000,000 bytes"):
        fetch_dataset("ml-100k", tmp_path)
    assert web.requests == []
