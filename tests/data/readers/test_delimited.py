from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphseq.data import SkippedLines, read_log
from graphseq.errors import DataError


def test_quoted_fields_may_hold_separators_and_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('user,item,time,note\n"a,b","x ""y""",1,"two\nlines"\nc,z,2,\n')
    assert read_log(path).frame().rows() == [("a,b", 'x "y"', 1), ("c", "z", 2)]


def test_spaces_around_fields_and_names_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id, item_id, timestamp\n1, 5, 10\n1,6 ,11\n 1,5,12\n")
    rows = [(1, 5, 10), (1, 6, 11), (1, 5, 12)]
    assert read_log(path).frame().rows() == rows
    columns = {"user": "user_id", "item": "item_id", "time": "timestamp"}
    assert read_log(path, columns=columns).frame().rows() == rows
    path.write_text("user,item,time\n1,5,1\n1, \t,2\n")
    with pytest.raises(DataError, match="line 3: no item"):
        read_log(path)


def test_columns_by_position_are_for_files_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("A1,0205616461,5.0,1369699200\nA1,0205616462,5.0,1369699100\n")
    log = read_log(path, columns={"user": 0, "item": 1, "time": 3})
    assert log.items.ids.to_list() == ["0205616461", "0205616462"]
    assert log.item.tolist() == [1, 0]


@pytest.mark.parametrize("separator", ["^", "\x01", "~", "x"])
def test_any_sign_separates_fields(tmp_path: Path, separator: str) -> None:
    """polars takes text that begins with ``x^`` for compressed data."""
    path = write(tmp_path, separator.join("123") + "\n")
    options: dict[str, Any] = {"columns": {"user": 0, "item": 1, "time": 2}}
    if separator == "x":
        with pytest.raises(DataError, match="must be one character"):
            read_log(path, separator=separator, **options)
        return
    log = read_log(path, separator=separator, **options)
    assert log.frame().rows() == [(1, 2, 3)]


def test_a_header_is_no_event(tmp_path: Path) -> None:
    path = write(tmp_path, "customer,product\n1,2\n")
    with pytest.raises(DataError, match="names the columns customer, product"):
        read_log(path, format="csv", columns={"user": 0, "item": 1})
    path = write(tmp_path, "user,item\na,b\nuser,item\nuser,c\n")
    names = {"user": "user", "item": "item"}
    with pytest.raises(DataError, match="line 3: the header again; found 'user,item'"):
        read_log(path, columns=names)
    with pytest.warns(SkippedLines):
        log = read_log(path, columns=names, on_error="skip")
    assert log.frame()["item"].to_list() == ["b", "c"]
    path = write(tmp_path, "0,1,2\n5,6,7\n")
    with pytest.warns(UserWarning, match="looks like the numbers of the columns"):
        assert len(read_log(path, columns={"user": 0, "item": 1, "time": 2})) == 2


@pytest.mark.parametrize(
    "names", ["sessionId;userId;itemId", "session_id;user;item_id"]
)
def test_the_time_of_the_day_in_logs_of_diginetica(tmp_path: Path, names: str) -> None:
    day = "2016-05-09"
    rows = f"1;NA;31;900;{day}\n1;NA;32;100;{day}\n"
    path = write(tmp_path, f"{names};timeframe;eventdate\n{rows}")
    user, _, item = names.split(";")
    columns = {"user": user, "item": item, "time": "eventdate"}
    log = read_log(path, separator=";", columns=columns)
    assert log.frame()["item"].to_list() == [32, 31]
    assert np.diff(log.time).tolist() == [800]


def write(folder: Path, data: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_line_numbers_count_the_breaks_inside_quotations(tmp_path: Path) -> None:
    path = write(tmp_path, 'user,item,time\n"a\n\nb",x,1\nc,x,t\n')
    with pytest.raises(DataError, match=r"line 5: time .*'t'"):
        read_log(path)


def test_an_empty_last_column_is_not_a_missing_one(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,time,note\na,x,1,\na,y,2,fine\n")
    assert len(read_log(path)) == 2
    with pytest.raises(DataError, match="line 3: wrong number of columns; expected 4"):
        read_log(write(tmp_path, "user,item,time,note\na,x,1,\na,y,2\n"))


WIDE = [
    ("user,item,time\na,x,1,,b,y,2\nc,z,3\n", 3, 7),
    ("user,item,time\na,x,1,,junk\nc,z,3\n", 3, 5),
    ("user,item,time\na,x,1,,\nc,z,3\n", 3, 5),
    ("user,item,time,comment\na,1,234,5,,\nc,7,3,\n", 4, 6),
    ('user,item,time\n"a,,",x,1,,"b,c"\n"c\n",z,3\n', 3, 5),
]


@pytest.mark.parametrize(("text", "expected", "found"), WIDE)
@pytest.mark.parametrize("separator", [",", "\t", "|"])
def test_a_row_with_two_surplus_fields_is_refused_though_the_first_is_empty(
    tmp_path: Path, text: str, expected: int, found: int, separator: str
) -> None:
    if separator == "\t" and '"' in text:
        text = text.replace('"c\n"', "c")  # a row is a line, and a mark a character
        found = 8
    path = write(tmp_path, text.replace(",", separator))
    columns = {"user": "user", "item": "item", "time": "time"}
    match = f"line 2: wrong number of columns; expected {expected}, found {found}"
    with pytest.raises(DataError, match=match):
        read_log(path, columns=columns, separator=separator)
    with pytest.warns(SkippedLines, match="skipped 1 of 2 lines"):
        log = read_log(path, columns=columns, separator=separator, on_error="skip")
    assert log.time.tolist() == [3]


def test_a_single_empty_surplus_field_is_no_fault(tmp_path: Path) -> None:
    text = 'user,item,time\na,x,1,\nb,y,2\n\n"c,,",z,3,\n'
    rows = [("a", "x", 1), ("b", "y", 2), ("c,,", "z", 3)]
    assert read_log(write(tmp_path, text)).frame().rows() == rows
    with pytest.raises(DataError, match=r"line 2: .*expected 3, found 4"):
        read_log(write(tmp_path, "user,item,time\na,x,1, \nb,y,2\n"))
    path = write(tmp_path, "user,item,time\na,x,1,\nb,y\nc,z,2,\n")
    with pytest.raises(DataError, match=r"line 3: .*expected 3, found 2"):
        read_log(path)


def test_a_doubled_carriage_return_is_no_part_of_an_id(tmp_path: Path) -> None:
    columns = {"user": "user", "item": "item"}
    for last in ("b,z\n", "b,z\r\r\n", "b,z \r\r\n", "b,z\r", "b,z\r\r"):
        path = write(tmp_path, f"user,item\r\na,x\r\r\na,y\r\r\r\n{last}".encode())
        rows = [("a", "x", 0), ("a", "y", 1), ("b", "z", 0)]
        assert read_log(path, columns=columns).frame().rows() == rows
    path = write(tmp_path, b"item,user,time\r\r\nx,a,1600000000\r\r\n")
    assert read_log(path).frame().rows() == [("a", "x", 1_600_000_000)]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("user,item\na,x\nb,y\n", {"columns": {"user": 0, "item": 1}}),
        ('rating,"Movie ID",User-Id\n5,x,a\n', {"columns": {"user": 2, "item": 1}}),
        ("user_id:token\titem_id:token\n1\t2\n", {"columns": {"user": 0, "item": 1}}),
        ("user item\n1 2\n", {"format": "pairs"}),
    ],
)
def test_a_header_is_no_event_of_a_file_that_is_read_by_index(
    tmp_path: Path, text: str, options: dict[str, Any]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=r"its first line names the columns") as caught:
        read_log(path, **options)
    assert "--columns user=" in str(caught.value)


def test_a_first_line_with_one_usual_name_is_an_event(tmp_path: Path) -> None:
    path = write(tmp_path, "user,x\na,item\n")
    log = read_log(path, columns={"user": 0, "item": 1})
    assert log.frame().rows() == [("user", "x", 0), ("a", "item", 0)]


def test_bytes_that_are_not_utf_8_are_a_fault_of_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, b"user,item,time\na,x,1\nb,caf\xe9,2\n")
    with pytest.raises(DataError, match="line 3: bytes that are not UTF-8"):
        read_log(path)
    with pytest.warns(SkippedLines, match="1 bytes that are not UTF-8"):
        assert len(read_log(path, on_error="skip")) == 1


def test_movielens_and_gowalla_have_a_fixed_number_of_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: .*expected 4, found 3"):
        read_log(write(tmp_path, "1::2::3::4\n1::2::3\n"), format="movielens-1m")
    with pytest.raises(DataError, match=r"line 1: .*expected 4, found 3"):
        read_log(write(tmp_path, "1\t2\t3\n1\t2\t3\t4\n"), format="movielens-100k")


def test_latin_1_in_a_column_that_is_not_read_is_no_fault(tmp_path: Path) -> None:
    path = write(tmp_path, b"user,item,time,title\na,x,1,caf\xe9\nb,x,2,y\n")
    assert read_log(path).frame().rows() == [("a", "x", 1), ("b", "x", 2)]


def test_a_stray_quotation_mark_in_a_tsv_is_a_character(tmp_path: Path) -> None:
    text = (
        'u\t2009-05-04T23:07:57Z\t"North"\tHe said "hello\n'
        'u\t2009-05-04T23:07:58Z\t7" Club\tPlain\n'
        'u\t2009-05-04T23:07:59Z\t"Blue" Mondays\t"\n'
        'u\t2009-05-04T23:08:00Z\t"a ""b"""\tx\n'
    )
    columns = {"user": 0, "time": 1, "item": 2}
    log = read_log(write(tmp_path, text), columns=columns)
    items = ["North", '7" Club', '"Blue" Mondays', 'a "b"']
    assert log.items.ids.to_list() == items
    path = write(tmp_path, '"user"\t"item"\t"time"\n"u"\t"i"\t"5"\n')
    assert read_log(path).frame().rows() == [("u", "i", 5)]


def test_a_carriage_return_in_a_field_is_a_named_fault(tmp_path: Path) -> None:
    path = write(tmp_path, b'user,item,time\na,x\ry"z",1,5\nb,c,2\n')
    with pytest.raises(DataError, match=r"line 2: wrong number of columns; .* found 4"):
        read_log(path)


def test_a_break_in_quotes_before_an_empty_last_field(tmp_path: Path) -> None:
    path = write(tmp_path, 'user,item,time,note\n"a\nb",i,1,\nc,d,2,x\n')
    assert read_log(path).frame().rows() == [("a\nb", "i", 1), ("c", "d", 2)]
    path = write(tmp_path, 'user,item,time,note\n"a,\nb",i,1\nc,"d,,",2\ne,f,3,\n')
    with pytest.raises(DataError, match="2 malformed lines") as caught:
        read_log(path)
    assert "line 2: wrong number" in str(caught.value)
    assert "line 4: wrong number" in str(caught.value)


def test_a_field_of_200_kilobytes_is_read_or_a_named_fault(tmp_path: Path) -> None:
    long = "x" * 200_000
    path = write(tmp_path, f'user,item,time,n\na,b,1,{long}\nc,d,2,"{long}"\n')
    assert len(read_log(path)) == 2
    path = write(tmp_path, f'user,item,time\na,b,1,"{long}"\nc,d,2\n')
    with pytest.raises(DataError, match="line 2: wrong number of columns"):
        read_log(path)
    with pytest.raises(DataError):
        read_log(write(tmp_path, f'"{long}",item,time\na,b,1\n'))
