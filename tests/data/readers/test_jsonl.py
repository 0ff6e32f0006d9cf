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
