"""Each format, written here as its publishers write it, plain and gzip."""

import gzip
import inspect
import io
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from graphseq.data import LAYOUTS, load_dataset, read_log
from graphseq.data.readers.recognise import recognise
from graphseq.data.readers.source import open_source
from graphseq.errors import DataError
from graphseq.schema import OptionError

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
    assert recognise(open_source(path)) == name
    assert log.has_time == (name != "sequences")
    assert path.read_bytes() == data, "the input is not changed"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_parquet_keeps_its_types(packed: bool, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "user": ["007", "8"],
            "item": np.array([2**40, 1], dtype=np.uint64),
            "time": [datetime(1970, 1, 2), datetime(1970, 1, 1)],
        }
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    data = buffer.getvalue()
    path = tmp_path / "log.parquet"
    path.write_bytes(gzip.compress(data) if packed else data)
    log = read_log(path)
    assert log.frame().rows() == [("007", 2**40, 86_400), ("8", 1, 0)]


def test_every_format_has_a_case() -> None:
    assert set(CASES) | {"parquet"} == set(LAYOUTS)


def test_python_literals_are_read_like_the_json_they_should_be(tmp_path: Path) -> None:
    path = tmp_path / "reviews.json"
    path.write_text("".join(f"{record}\n" for record in AMAZON))
    assert read_log(path).frame().rows() == AMAZON_ROWS


def test_a_python_literal_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "reviews.json"
    path.write_text("{'reviewerID': open('x', 'w'), 'asin': 1, 'unixReviewTime': 1}\n")
    with pytest.raises(Exception, match="does not begin with a JSON object"):
        read_log(path, format="amazon")
    assert not (tmp_path / "x").exists()


def test_windows_line_ends_byte_order_mark_and_blank_lines_change_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.csv"
    for text, rows in (CASES["csv"], CASES["sequences"], CASES["gowalla"]):
        odd = "\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n"
        path.write_bytes(odd.encode())
        assert read_log(path).frame().rows() == rows


def test_quoted_fields_may_hold_separators_and_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('user,item,time,note\n"a,b","x ""y""",1,"two\nlines"\nc,z,2,\n')
    assert read_log(path).frame().rows() == [("a,b", 'x "y"', 1), ("c", "z", 2)]


def test_blanks_around_fields_and_names_are_no_part_of_them(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id, item_id, timestamp\n1, 5, 10\n1,6 ,11\n 1,5,12\n")
    rows = [(1, 5, 10), (1, 6, 11), (1, 5, 12)]
    assert read_log(path).frame().rows() == rows
    columns = {"user": "user_id", "item": "item_id", "time": "timestamp"}
    assert read_log(path, columns=columns).frame().rows() == rows
    path.write_text("user,item,time\n1,5,1\n1, \t,2\n")
    with pytest.raises(DataError, match="line 3: no item"):
        read_log(path)


def test_what_to_do_with_faults_is_one_of_two_words(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item\n1,5\n1,\n")
    unchecked = inspect.unwrap(read_log)  # as a user runs it, without type checks
    with pytest.raises(OptionError, match=r"on_error='error': .* 'raise' or 'skip'"):
        unchecked(path, on_error="error")


def test_columns_name_what_the_file_calls_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("when;who;what\n2;a;x\n1;a;y\n")
    columns = {"user": "who", "item": "what", "time": "when"}
    log = read_log(path, separator=";", columns=columns)
    assert log.frame().rows() == [("a", "y", 1), ("a", "x", 2)]


def test_columns_by_position_are_for_files_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("A1,0205616461,5.0,1369699200\nA1,0205616462,5.0,1369699100\n")
    log = read_log(path, columns={"user": 0, "item": 1, "time": 3})
    assert log.items.ids.to_list() == ["0205616461", "0205616462"]
    assert log.item.tolist() == [1, 0]


def test_without_a_time_column_the_rows_are_in_time_order(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("1 5\n2 5\n1 4\n")
    log = read_log(path, separator=" ", columns={"user": 0, "item": 1})
    assert not log.has_time
    assert log.frame().rows() == [(1, 5, 0), (1, 4, 1), (2, 5, 0)]


def test_ids_are_integers_only_if_all_are(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    many = "".join(f"{n},{n},{n}\n" for n in range(500))
    path.write_text(f"user,item,time\n{many}7,x,0\n")
    log = read_log(path)
    assert log.users.ids.dtype == pl.Int64
    assert log.items.ids.dtype == pl.String
    assert log.items.decode([7]) == ["7"]


def test_the_amazon_recipe_numbers_and_sorts_stably(tmp_path: Path) -> None:
    """Ties keep the order of the file; ids are by first appearance."""
    path = tmp_path / "reviews.json"
    events = [("u", "c"), ("v", "b"), ("u", "b"), ("u", "a")]
    path.write_text(
        lines(
            [{"reviewerID": u, "asin": i, "unixReviewTime": 86400} for u, i in events]
        )
    )
    log = read_log(path)
    assert log.users.ids.to_list() == ["u", "v"]
    assert log.items.ids.to_list() == ["c", "b", "a"]
    assert log.item.tolist() == [0, 1, 2, 1]


def test_both_files_of_ml_100k_hold_the_same_log(shared: Path) -> None:
    log = load_dataset("ml-100k", shared / "data")
    other = read_log(shared / "data" / "ml-100k" / "ml-100k.inter.gz")
    assert log == other
    assert (log.num_users, log.num_items, len(log)) == (943, 1682, 100_000)


def test_sequences_may_have_their_times_in_a_second_file(tmp_path: Path) -> None:
    items, times = tmp_path / "items.txt", tmp_path / "times.txt"
    items.write_text("7 3 1\n2 1\n")
    times.write_text("7 20 10\n2 5\n")
    log = read_log(items, times=times)
    assert log.frame().rows() == [(7, 1, 10), (7, 3, 20), (2, 1, 5)]
    times.write_text("7 20 10\n2 5 6\n")
    with pytest.raises(DataError, match=r"2 and 2 lines, and differ .* in 1 of them"):
        read_log(items, times=times)
    times.write_text("7 20 10\n")
    with pytest.raises(DataError, match="they have 1 and 2 lines"):
        read_log(items, times=times)
