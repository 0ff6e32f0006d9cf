import json
from pathlib import Path

import pytest

from graphseq.data import SkippedLines, read_log
from graphseq.errors import DataError

AMAZON = [
    {"reviewerID": "A2", "asin": "0000013714", "helpful": [2, 3], "overall": 5.0,
     "reviewText": 'It\'s "good",\nreally', "unixReviewTime": 1252800000,
     "reviewTime": "09 13, 2009"},
    {"reviewerID": "A1", "asin": "0000013714", "helpful": [0, 0], "overall": 1.0,
     "reviewText": "no", "unixReviewTime": 1252800001, "reviewTime": "09 13, 2009"},
    {"reviewerID": "A2", "asin": "B00007", "helpful": [0, 0], "overall": 2.0,
     "reviewText": "", "unixReviewTime": 1252713600, "reviewTime": "09 12, 2009"},
]  # fmt: skip
AMAZON_ROWS = [
    ("A2", "B00007", 1252713600),
    ("A2", "0000013714", 1252800000),
    ("A1", "0000013714", 1252800001),
]


def lines(records: list[dict[str, object]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


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


def test_amazon_reviews_are_numbered_and_sorted_stably(tmp_path: Path) -> None:
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


def write(folder: Path, data: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_malformed_json_lines_are_found(tmp_path: Path) -> None:
    good = '{"user_id": "u", "business_id": "b", "date": "2019-01-01"}\n'
    bad = '{"user_id": "u", \n{"user_id": "u", "date": "2019-01-01"}\n[1]\n'
    path = write(tmp_path, good + bad + good, "yelp.json")
    with pytest.raises(DataError) as caught:
        read_log(path)
    assert str(caught.value).splitlines()[:-1] == [
        "yelp.json: 3 malformed lines of 5",
        '  line 2: not a JSON object; found \'{"user_id": "u", \'',
        "  line 3: no item; found an empty column",
        "  line 4: not a JSON object; found '[1]'",
    ]
    with pytest.warns(SkippedLines, match="skipped 3 of 5 lines"):
        assert len(read_log(path, on_error="skip")) == 2


ID_FAULT = "an id is neither a string nor a number"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("[2, 3]", ID_FAULT),
        ('{"id": 4}', ID_FAULT),
        ("true", ID_FAULT),
        ("NaN", ID_FAULT),
        ("1e999", ID_FAULT),
        ("null", "no item"),
        ('"\\ud800"', "bytes that are not UTF-8"),
        ('"\\udc00x"', "bytes that are not UTF-8"),
        ('"caf\\ud83d"', "bytes that are not UTF-8"),
        ("[" * 900 + "]" * 900, ID_FAULT),
        ("[" * 100_000, "not a JSON object"),
        ("{[]: 1}", "not a JSON object"),
    ],
)
@pytest.mark.parametrize("rest", ["", "{'user': 'b', 'item': 5, 'time': 1}\n", "\n"])
def test_an_odd_id_is_a_fault_of_its_line(
    tmp_path: Path, item: str, reason: str, rest: str
) -> None:
    good = '{"user": "a", "item": "x", "time": 5}\n'
    text = f'{good}{{"user": "b", "item": {item}, "time": 5}}\n{good}{rest}'
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=f"line 2: {reason}"):
        read_log(path)
    with pytest.warns(SkippedLines):
        log = read_log(path, on_error="skip")
    assert log.skipped == {reason: 1}
    assert len(log) == 2 + rest.count("user")


def test_text_that_looks_like_json_is_an_id(tmp_path: Path) -> None:
    items = ["[2, 3]", "{}", "true", "1.0", "\u0000", "😀"]
    rows = [{"user": "a", "item": item, "time": n} for n, item in enumerate(items)]
    log = read_log(write(tmp_path, "".join(json.dumps(row) + "\n" for row in rows)))
    assert log.items.ids.to_list() == items


@pytest.mark.parametrize("slow", ["", "\n"])
def test_a_number_is_the_id_of_its_value(tmp_path: Path, slow: str) -> None:
    """1.0 and 1 are one number; in quotes they are two texts."""
    items = ["1", "1.0", '"1"', "1.5", "1e3", "12345678901234567890", '"1.0"']
    text = "".join(f'{{"user": 1, "item": {i}, "time": 1}}\n' for i in items) + slow
    found = read_log(write(tmp_path, text)).frame()["item"].to_list()
    assert found == ["1"] * 3 + ["1.5", "1000", "12345678901234567890", "1.0"]


def test_latin_1_counts_only_in_the_fields_that_are_read(tmp_path: Path) -> None:
    good = b'{"user":"b","item":"\xc3\xa9","time":1,"note":"\xe9"}\n'
    path = write(tmp_path, b'{"user":"\xe9","item":"b","time":1}\n' + good)
    with pytest.raises(DataError, match="line 1: bytes that are not UTF-8"):
        read_log(path)
    assert read_log(write(tmp_path, good)).frame().rows() == [("b", "é", 1)]


def test_a_field_that_occurs_twice_has_its_first_value(tmp_path: Path) -> None:
    line = '{"user": "a", "user": "b", "item": 1, "time": 1}\n'
    for text in (line, line + "\n"):
        assert read_log(write(tmp_path, text)).users.ids.to_list() == ["a"]
