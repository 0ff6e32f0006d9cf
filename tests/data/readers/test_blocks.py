"""A log is the same whatever its blocks are."""

import gzip
import warnings
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphseq.data import Interactions, read_log
from graphseq.data.readers import blocks, parquet, source
from graphseq.data.readers.blocks import Block, cut
from graphseq.errors import DataError

SIZES = (1, 2, 3, 5, 8, 13, 40)
TEXTS: dict[str, list[str]] = {
    "csv": ["user,item,time\n", "a,x,1\n", "b,x,2\r\n", "a,y\n", "a,y,3,4\n", "7,8,1\n",
            '"a,b","x ""y""",1\n', '"two\nlines\r\n",é,5\n', "\n", ",,\n",
            "é,日本,-1\n", "c,z,soon\n", ",x,1\n", "c,,1\n", "u,v,1600000000\n",
            "w,v,1600000000000\n"],
    "tsv": ["user\titem\ttime\n", "1\t2\t3\n", "1\t3\t3\n", "2\t02\t1\n", "2\t2\t\n"],
    "movielens": ["userId,movieId,rating,timestamp\n", "1,2,5.0,1147880044\n",
                  "3,2,4.5,1147880043\n", "1,9,5,\n"],
    "movielens-1m": ["1::2::5::978300760\n", "2::2::4::978300759\n", "2::2::4\n"],
    "movielens-100k": ["1\t2\t5\t978300760\n", "2\t2\t4\t978300759\n", "2\t2\n"],
    "gowalla": ["0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t9\n",
                "1\t2010-10-18T23:55:27Z\t30.2\t-97.7\t8\n", "1\tnever\t1\t1\t8\n"],
    "diginetica": ["sessionId;userId;itemId;timeframe;eventdate\n",
                   "1;NA;81766;526309;2016-05-09\n", "2;NA;9;5;2016-05-10\n"],
    "recbole": ["user_id:token\titem_id:token\ttimestamp:float\n", "1\t2\t3.5\n",
                "2\t2\t2\n", "1\t4\t2e3\n"],
    "amazon": ['{"reviewerID": "A", "asin": "01", "unixReviewTime": 5}\n',
               '{"reviewerID": "B", "asin": "1", "unixReviewTime": 4}\n',
               "{'reviewerID': 'B', 'asin': 'é', 'unixReviewTime': 5.0}\n", "\n",
               "[]\n"],
    "amazon-2023": ['{"user_id": "A", "parent_asin": "x", "timestamp": 5}\n',
                    '{"user_id": "B", "parent_asin": "x", "timestamp": 4}\n'],
    "yelp": ['{"user_id": "A", "business_id": "x", "date": "2019-01-01"}\n',
             '{"user_id": "B", "business_id": "\\u00e9", "date": "2018-01-01"}\n'],
    "jsonl": ['{"user": 5, "item": "x", "time": 1}\n',
              '{"user": 5.0, "item": true, "time": 1e3}\n',
              '{"item": [1, "é"], "user": 1.5, "time": 2}\n', "no\n"],
    "sequences": ["1 5 6\n", "2 5\n", "3\t7 8\r\n", "1 9\n", "4\n", "\n", "é 5  é\n"],
}  # fmt: skip
HEADERS = {"csv", "tsv", "movielens", "diginetica", "recbole"}
FIRST = {
    "amazon",
    "amazon-2023",
    "yelp",
    "jsonl",
}  # the first record defines the fields


def outcome(path: Path, **options: object) -> tuple[object, ...]:
    """The result of reading, with and without skipping: the log or the error."""
    found: list[object] = []
    for on_error in ("raise", "skip"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                log = read_log(path, on_error=on_error, **options)  # type: ignore[arg-type]
                found.append((rows(log), dict(log.skipped), list(log.skipped)))
            except DataError as error:
                found.append(str(error))
        found.append([str(warning.message) for warning in caught])
    return tuple(found)


def rows(log: Interactions) -> tuple[object, ...]:
    columns = (log.user.tolist(), log.item.tolist(), log.time.tolist())
    return *columns, log.users.ids.to_list(), log.items.ids.to_list(), log.has_time


def check_blocks(path: Path, sizes: tuple[int, ...], **options: object) -> None:
    whole = outcome(path, **options)
    with pytest.MonkeyPatch.context() as patch:
        for size in sizes:
            patch.setattr(source, "BLOCK", size)
            assert outcome(path, **options) == whole, f"in blocks of {size} bytes"


@given(data=st.data())
@settings(max_examples=settings().max_examples // 8)  # of each of many formats
@pytest.mark.parametrize("name", TEXTS)
def test_a_log_is_the_same_in_blocks_of_any_size(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = TEXTS[name]
    first = lines[:1] if name in HEADERS | FIRST else []
    body = data.draw(st.lists(st.sampled_from(lines[len(first) :]), max_size=12))
    text = "".join([*first, *body])
    text = data.draw(st.sampled_from([text, text.removesuffix("\n"), "\ufeff" + text]))
    encoded = text.encode()
    if data.draw(st.booleans()):
        encoded += b"caf\xe9,x,1\n"  # no UTF-8
    path = tmp_path_factory.mktemp("log") / "log.txt"
    path.write_bytes(gzip.compress(encoded) if data.draw(st.booleans()) else encoded)
    sizes = tuple(data.draw(st.lists(st.sampled_from(SIZES), min_size=2, max_size=2)))
    check_blocks(path, sizes, format=name)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b'user,item,time\n"a\n,\nb",x,1\nc,"y\n",2\nd,z,3\n', {}),
        ("user,item,time\né,日本,1\nß,日本,2\n".encode(), {}),
        (b"user,item,time\r\na,x,1\r\n\r\nb,x,2\r\n", {}),
        (b'user,item,time\na,x,1\nb,"x,1\nc,x,1\n', {}),
        (b'user,item,time\na,5" disk,1\nb,x,1\nc,3" disk,1\n', {}),
        (b"user,item,time\nb,caf\xe9,2\na,\xef\xbf\xbd,1\na,x,1,2\n", {}),
        (b"a;x\nb;x\na;y\n", {"separator": ";", "columns": {"user": 0, "item": 1}}),
        (b"\n\nuser,item,time\n\na,x,1\n", {}),
        (b"user,item,time\n\n\n", {}),
        (b"7 1\n8 2\n\n7 3\n9\n9 1\n8 5 6\n", {"format": "sequences"}),
    ],
    ids=["quoted breaks", "characters of many bytes", "windows line ends",
         "open quotation", "stray quotations", "no UTF-8", "by position",
         "blank lines before the header", "header alone", "users of several lines"],
)  # fmt: skip
def test_a_block_may_end_anywhere(
    data: bytes, options: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(data)
    check_blocks(path, (*range(1, 16), len(data), len(data) + 1), **options)


def test_a_mark_that_is_never_closed_does_not_hold_the_whole_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = b'a,"b\n' + b"c,d\n" * 20
    monkeypatch.setattr(blocks, "LONGEST", 16)
    found = list(cut([data[i : i + 4] for i in range(0, len(data), 4)], 4, True))
    assert len(found) > 1
    assert b"".join(block.data for block in found) == data
    assert all(block.data.endswith(b"\n") for block in found)


def test_the_usual_unit_of_times_is_that_of_the_whole_file(tmp_path: Path) -> None:
    """Milliseconds in the first blocks, seconds in the file: it is read again."""
    path = tmp_path / "log.csv"
    times = [1_600_000_000_000] * 3 + [1_600_000_000] * 5
    path.write_text("user,item,time\n" + "".join(f"a,{n},{t}\n" for n, t in
                                                 enumerate(times)))  # fmt: skip
    check_blocks(path, SIZES)
    with pytest.raises(DataError, match=r"line 2: .*milliseconds; most are seconds"):
        read_log(path)


@pytest.mark.parametrize(
    "times",
    ["7 20 10\n\n2 5\n3 1 2\n", "7 20 10\n2 5 6\n3 1 2\n", "7 20 10\n2 5\n",
     "7 20 10\n2 5\n3 1 2\n4 1\n"],
)  # fmt: skip
def test_parallel_times_are_cut_into_other_blocks_than_the_sequences(
    times: str, tmp_path: Path
) -> None:
    items, times_file = tmp_path / "items.txt", tmp_path / "times.txt"
    items.write_text("7 3 1\n2 1\n\n3 1000000 1\n")
    times_file.write_text(times)
    check_blocks(items, tuple(range(1, 16)), times=times_file)


def test_a_truncated_gzip_is_found_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = "".join(f"{n * 7919},{n},{n}\n" for n in range(20_000))
    path.write_bytes(gzip.compress(f"user,item,time\n{rows}".encode())[:-99])
    with pytest.raises(DataError, match=r"log.csv is a truncated gzip"):
        read_log(path)


def test_blocks_hold_every_byte_once_and_end_with_lines() -> None:
    data = b'a\n"b\n\n"c\nde\n""\nf'
    for size in range(1, len(data) + 2):
        pieces = [data[n : n + size] for n in range(0, len(data), size)]
        for quotes in (False, True):
            found = list(cut(pieces, size, quotes))
            assert b"".join(block.data for block in found) == data
            assert all(block.data.endswith(b"\n") for block in found[:-1])
            before = b""
            for block in found:
                assert block.first == 1 + before.count(b"\n")
                assert not quotes or before.count(b'"') % 2 == 0
                before += block.data
    assert list(cut([data], 1000, True)) == [Block(data, 1)], "a small file is one"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_of_spreadsheets_is_read(tmp_path: Path, encoding: str) -> None:
    text = "user,item,time\r\né,日本,5\r\na,b,6\r\n"
    text = text if encoding == "utf-16" else "\ufeff" + text
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode(encoding))
    assert read_log(path).frame().rows() == [("é", "日本", 5), ("a", "b", 6)]
    check_blocks(path, (1, 2, 3, 7))
    with pytest.raises(DataError, match="begins like UTF-16 and is not"):
        path.write_bytes(text.encode(encoding) + b"x")
        read_log(path)


def test_a_byte_0_far_into_the_file_is_found(tmp_path: Path) -> None:
    rows = "a,x,1\n" * 20_000
    path = tmp_path / "log.csv"
    path.write_text(f"user,item,time\n{rows}a\0,x,1\n{rows}")
    with pytest.raises(DataError, match="line 20,002 contains a byte 0"):
        read_log(path)
    with pytest.raises(DataError, match="is binary"):
        read_log(path, on_error="skip")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_parquet_is_the_same_some_rows_at_a_time(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.parquet"
    users = ["a", "b", None, "c", "a", "7"]
    frame = pl.DataFrame({"user": users, "item": [5, 4, 3, 5, 1, 2], "time": range(6)})
    frame.write_parquet(path, row_group_size=2)
    whole = outcome(path)
    monkeypatch.setattr(parquet, "ROWS", size)
    assert outcome(path) == whole
    assert "row 3: no user" in str(whole[0])
