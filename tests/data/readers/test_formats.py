"""Each format, written here as its publishers write it, plain and gzip."""

import gzip
import json
from pathlib import Path

import pytest

from graphseq.data import LAYOUTS, load_dataset, read_log
from graphseq.data.readers.detection import detect_format
from graphseq.data.readers.source import open_source
from graphseq.errors import DataError

Rows = list[tuple[object, object, int]]

AMAZON = [
    {"reviewerID": "A2", "asin": "0000013714", "helpful": [2, 3], "overall": 5.0,
     "reviewText": 'It\'s "good",\nreally', "unixReviewTime": 1252800000,
     "reviewTime": "09 13, 2009"},
    {"reviewerID": "A1", "asin": "0000013714", "helpful": [0, 0], "overall": 1.0,
     "reviewText": "no", "unixReviewTime": 1252800001, "reviewTime": "09 13, 2009"},
    {"reviewerID": "A2", "asin": "B00007", "helpful": [0, 0], "overall": 2.0,
     "reviewText": "", "unixReviewTime": 1252713600, "reviewTime": "09 12, 2009"},
]  # fmt: skip
AMAZON_ROWS: Rows = [
    ("A2", "B00007", 1252713600),
    ("A2", "0000013714", 1252800000),
    ("A1", "0000013714", 1252800001),
]
AMAZON_2023 = [
    {"rating": 5.0, "title": "t", "text": "x", "images": [], "asin": "B1",
     "parent_asin": "B0", "user_id": "AE", "timestamp": 1602133857705,
     "helpful_vote": 0, "verified_purchase": True},
]  # fmt: skip
YELP = [
    {"review_id": "r", "user_id": "u-1", "business_id": "b-1", "stars": 4.0,
     "useful": 0, "text": "é", "date": "2019-01-01 10:00:01"},
    {"review_id": "s", "user_id": "u-1", "business_id": "b-2", "stars": 4,
     "useful": 0, "text": "", "date": "2019-01-01"},
]  # fmt: skip


def lines(records: list[dict[str, object]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


CASES: dict[str, tuple[str, Rows]] = {
    "sequences": ("7 3 1 3\n2 1\n", [(7, 3, 0), (7, 1, 1), (7, 3, 2), (2, 1, 0)]),
    "pairs": ("7 3\n7 1\n2 1\n", [(7, 3, 0), (7, 1, 1), (2, 1, 0)]),
    "csv": ("item,user,time\nx,b,2\ny,a,1\nz,b,1\n",
            [("b", "z", 1), ("b", "x", 2), ("a", "y", 1)]),
    "tsv": ("user_id\titem_id\tts\n7\t1\t5\n", [(7, 1, 5)]),
    "movielens": ("userId,movieId,rating,timestamp\n"
                  "1,296,5.0,1147880044\n1,306,3.5,1147868817\n",
                  [(1, 306, 1147868817), (1, 296, 1147880044)]),
    "movielens-1m": ("1::1193::5::978300760\n"
                     "1::661::3::978302109\n1::914::3::978301968\n",
                     [(1, 1193, 978300760), (1, 914, 978301968), (1, 661, 978302109)]),
    "movielens-100k": ("196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
                       [(196, 242, 881250949), (186, 302, 891717742)]),
    "gowalla": ("0\t2010-10-19T23:55:27Z\t30.2359\t-97.7951\t22847\n"
                "0\t2010-10-18T22:17:43Z\t30.2691\t-97.7493\t420315\n",
                [(0, 420315, 1287440263), (0, 22847, 1287532527)]),
    "diginetica": ("sessionId;userId;itemId;timeframe;eventdate\n"
                   "1;NA;81766;526309;2016-05-09\n1;NA;31331;1031018;2016-05-09\n"
                   "2;7;32118;243569;2016-05-10\n",
                   [(1, 81766, 1462752526309), (1, 31331, 1462753031018),
                    (2, 32118, 1462838643569)]),
    "recbole": ("user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
                "196\t242\t3\t881250949\n", [(196, 242, 881250949)]),
    "amazon": (lines(AMAZON), AMAZON_ROWS),
    "amazon-2023": (lines(AMAZON_2023), [("AE", "B0", 1602133857705)]),
    "yelp": (lines(YELP), [("u-1", "b-2", 1546300800), ("u-1", "b-1", 1546336801)]),
    "jsonl": ('{"user": 5, "item": "x", "time": 1}\n', [(5, "x", 1)]),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("recognised", [False, True], ids=["named", "recognised"])
@pytest.mark.parametrize("name", CASES)
def test_a_format_is_read_as_its_publishers_write_it(
    name: str, recognised: bool, packed: bool, tmp_path: Path
) -> None:
    text, rows = CASES[name]
    path = tmp_path / "log.dat"
    data = gzip.compress(text.encode()) if packed else text.encode()
    path.write_bytes(data)
    log = read_log(path, format=None if recognised else name)
    assert log.frame().rows() == rows
    assert detect_format(open_source(path)) == name
    assert log.has_time == (name not in ("sequences", "pairs"))
    assert path.read_bytes() == data, "the input is not changed"


def test_every_format_has_a_case() -> None:
    assert set(CASES) | {"parquet"} == set(LAYOUTS)


def test_windows_line_ends_byte_order_mark_and_blank_lines_change_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.csv"
    for text, rows in (CASES["csv"], CASES["sequences"], CASES["gowalla"]):
        odd = "\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n"
        path.write_bytes(odd.encode())
        assert read_log(path).frame().rows() == rows


def test_columns_assign_the_names_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("when;who;what\n2;a;x\n1;a;y\n")
    columns = {"user": "who", "item": "what", "time": "when"}
    log = read_log(path, separator=";", columns=columns)
    assert log.frame().rows() == [("a", "y", 1), ("a", "x", 2)]


def test_both_files_of_ml_100k_hold_the_same_log(shared: Path) -> None:
    log = load_dataset("ml-100k", shared / "data")
    other = read_log(shared / "data" / "ml-100k" / "ml-100k.inter.gz")
    assert log == other
    assert (log.num_users, log.num_items, len(log)) == (943, 1682, 100_000)


def write(folder: Path, data: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_unknown_columns_come_with_a_suggestion(tmp_path: Path) -> None:
    path = write(tmp_path, "buyer,product,when\na,x,1\n")
    columns = {"user": "buyr", "item": "product", "time": "xyz"}
    with pytest.raises(DataError) as caught:
        read_log(path, columns=columns)
    assert str(caught.value) == (
        "log.csv: no column 'buyr' for the user (did you mean 'buyer'?); no column "
        "'xyz' for the time. The columns are buyer, product, when"
    )


def test_columns_that_cannot_be_detected_must_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,price\na,x,1\n")
    with pytest.raises(DataError, match=r"no column looks like the time.*time order"):
        read_log(path)
    path = write(tmp_path, "user,item,asin,time\na,x,y,1\n")
    with pytest.raises(DataError, match="several columns could be the item"):
        read_log(path)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"user": 0}, "must name the user, the item"),
        ({"user": 0, "item": 1, "when": 2}, "must name the user, the item"),
        ({"user": 0, "item": "x"}, "not both"),
        ({"user": 0, "item": 9}, "has 3 columns, 0 … 2"),
    ],
)
def test_invalid_columns_are_reported(
    tmp_path: Path, columns: dict[str, str | int], match: str
) -> None:
    with pytest.raises(DataError, match=match):
        read_log(write(tmp_path, "a,x,1\n"), columns=columns)


def test_a_column_named_twice_is_refused_if_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,time,user,note,note\na,b,1,z,x,y\n")
    columns = {"user": "user", "item": "item", "time": "time"}
    with pytest.raises(DataError, match="2 columns are named 'user'"):
        read_log(path, columns=columns)
    with pytest.raises(DataError, match="several columns could be the user"):
        read_log(path)
    path = write(tmp_path, "user,item,time,note,note\na,b,1,x,y\n")
    assert read_log(path, columns=columns).frame().rows() == [("a", "b", 1)]
