"""What bad input is told, and what is left when its faults are skipped."""

import gzip
import io
import warnings
import zipfile
from pathlib import Path

import polars as pl
import pytest

from graphseq.data import SkippedLines, leave_one_out, read_log
from graphseq.errors import DataError

FAULTY = """\
user,item,time
a,x,1
a,y
a,y,3,4
b,,5

b,y,soon
,y,7
b,z,8
"""


def write(folder: Path, data: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_all_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, FAULTY))
    assert str(caught.value) == (
        "log.csv: 5 faulty lines of 7\n"
        "  line 3: wrong number of columns; expected 3, found 2\n"
        "  line 4: wrong number of columns; expected 3, found 4\n"
        "  line 5: no item; found an empty column\n"
        "  line 7: time is neither a number nor a date (ISO 8601); found 'soon'\n"
        "  line 8: no user; found an empty column\n"
        'Mend the file, or pass on_error="skip" to leave these lines out'
    )


def test_skipping_counts_warns_once_and_keeps_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, FAULTY)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        log = read_log(path, on_error="skip")
    assert [warning.category for warning in told] == [SkippedLines]
    assert str(told[0].message) == (
        "log.csv: left out 5 of 7 lines (2 wrong number of columns, 1 no user, 1 no "
        "item, 1 time is neither a number nor a date (ISO 8601))"
    )
    assert log.frame().rows() == [("a", "x", 1), ("b", "z", 8)]
    assert log.skipped == {
        "wrong number of columns": 2,
        "no user": 1,
        "no item": 1,
        "time is neither a number nor a date (ISO 8601)": 1,
    }
    assert path.read_text() == FAULTY


def test_a_sound_file_skips_nothing_and_warns_of_nothing(tmp_path: Path) -> None:
    log = read_log(write(tmp_path, "user,item,time\na,x,1\n"), on_error="skip")
    assert log.skipped == {}


def test_ten_faults_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"a,x,{'t' if n < 25 else n}\n" for n in range(30))
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, f"user,item,time\n{rows}"))
    text = str(caught.value)
    assert text.startswith("log.csv: 25 faulty lines of 30, of which 10 are shown")
    assert text.count("  line ") == 10


def test_a_file_without_a_sound_line_is_refused_even_when_skipping(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match="No row is sound: check format= and columns="):
        read_log(write(tmp_path, "user,item,time\na,x,t\n"), on_error="skip")


def test_line_numbers_count_the_breaks_inside_quotations(tmp_path: Path) -> None:
    path = write(tmp_path, 'user,item,time\n"a\n\nb",x,1\nc,x,t\n')
    with pytest.raises(DataError, match=r"line 5: time .*'t'"):
        read_log(path)


def test_a_quotation_that_is_never_closed_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, 'user,item,time\na,x,1\nb,"x,1\nc,x,1\n')
    with pytest.raises(DataError, match="never closed; line 3"):
        read_log(path)


def test_an_empty_last_column_is_not_a_missing_one(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,time,note\na,x,1,\na,y,2,fine\n")
    assert len(read_log(path)) == 2
    with pytest.raises(DataError, match="line 3: wrong number of columns; expected 4"):
        read_log(write(tmp_path, "user,item,time,note\na,x,1,\na,y,2\n"))


def test_bytes_that_are_not_utf_8_are_a_fault_of_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, b"user,item,time\na,x,1\nb,caf\xe9,2\n")
    with pytest.raises(DataError, match="line 3: bytes that are not UTF-8"):
        read_log(path)
    with pytest.warns(SkippedLines, match="1 bytes that are not UTF-8"):
        assert len(read_log(path, on_error="skip")) == 1


def test_sequences_want_a_user_once_and_an_item_at_least(tmp_path: Path) -> None:
    path = write(tmp_path, "1 5 6\n2\n\n1 7 8 9\n3 5\n", "log.txt")
    with pytest.raises(DataError) as caught:
        read_log(path, format="sequences")
    assert str(caught.value) == (
        "log.txt: 2 faulty lines of 4\n"
        "  line 2: wrong number of columns; expected a user and at least one item, "
        "found 1\n"
        "  line 4: user stands on an earlier line too; found '1'; one line holds all "
        "of a user\n"
        'Mend the file, or pass on_error="skip" to leave these lines out'
    )
    with pytest.warns(SkippedLines, match="left out 2 of 4 lines"):
        log = read_log(path, format="sequences", on_error="skip")
    assert log.skipped["user stands on an earlier line too"] == 1
    assert log.frame().rows() == [(1, 5, 0), (1, 6, 1), (3, 5, 0)]


def test_movielens_and_gowalla_have_a_fixed_number_of_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: .*expected 4, found 3"):
        read_log(write(tmp_path, "1::2::3::4\n1::2::3\n"), format="movielens-1m")
    with pytest.raises(DataError, match=r"line 1: .*expected 4, found 3"):
        read_log(write(tmp_path, "1\t2\t3\n1\t2\t3\t4\n"), format="movielens-100k")


def test_faulty_json_lines_are_found(tmp_path: Path) -> None:
    good = '{"user_id": "u", "business_id": "b", "date": "2019-01-01"}\n'
    bad = '{"user_id": "u", \n{"user_id": "u", "date": "2019-01-01"}\n[1]\n'
    path = write(tmp_path, good + bad + good, "yelp.json")
    with pytest.raises(DataError) as caught:
        read_log(path)
    assert str(caught.value).splitlines()[:-1] == [
        "yelp.json: 3 faulty lines of 5",
        '  line 2: not a JSON object; found \'{"user_id": "u", \'',
        "  line 3: no item; found an empty column",
        "  line 4: not a JSON object; found '[1]'",
    ]
    with pytest.warns(SkippedLines, match="left out 3 of 5 lines"):
        assert len(read_log(path, on_error="skip")) == 2


def test_rows_of_parquet_are_numbered_as_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    frame = pl.DataFrame({"user": ["a", None], "item": [1, 2], "time": [1, 2]})
    frame.write_parquet(path)
    with pytest.raises(DataError, match="row 2: no user"):
        read_log(path)
    frame.with_columns(pl.col("item").cast(pl.Float64)).write_parquet(path)
    with pytest.raises(DataError, match="the item column 'item' holds Float64"):
        read_log(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_log(path)
    frame.head(0).write_parquet(path)
    with pytest.raises(DataError, match="is empty"):
        read_log(path)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("log.csv", "user,item,time\n")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "log.csv is empty"),
        (b"\n \n", "log.csv is empty"),
        (gzip.compress(b"", mtime=0), "log.csv is empty"),
        (b"user,item,time\n", "has a header and no line below it"),
        (
            gzip.compress(b"user,item,time\na,x,1\n" * 99, mtime=0)[:-9],
            "truncated gzip",
        ),
        (
            gzip.compress(b"user,item,time\n", mtime=0)[:-8] + b"12345678",
            "damaged gzip",
        ),
        (b"user,item\0,time\n", "is binary: byte 9 is 0"),
        (zipped(), "is a zip archive"),
    ],
)
def test_files_that_hold_no_log_say_why(
    tmp_path: Path, data: bytes, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        read_log(write(tmp_path, data))


def test_files_that_are_not_there_say_what_is(tmp_path: Path) -> None:
    write(tmp_path, "x", "ratings.csv")
    with pytest.raises(DataError, match=r"Did you mean 'ratings.csv'\?"):
        read_log(tmp_path / "rating.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_log(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        read_log(tmp_path / "a" / "b")


def test_unknown_columns_come_with_a_suggestion(tmp_path: Path) -> None:
    path = write(tmp_path, "buyer,product,when\na,x,1\n")
    columns = {"user": "buyr", "item": "product", "time": "xyz"}
    with pytest.raises(DataError) as caught:
        read_log(path, columns=columns)
    assert str(caught.value) == (
        "log.csv: no column 'buyr' for the user (did you mean 'buyer'?); no column "
        "'xyz' for the time. The columns are buyer, product, when"
    )


def test_columns_that_cannot_be_guessed_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,price\na,x,1\n")
    with pytest.raises(DataError, match=r"no column looks like the time.*time order"):
        read_log(path)
    path = write(tmp_path, "user,item,asin,time\na,x,y,1\n")
    with pytest.raises(DataError, match="several columns could be the item"):
        read_log(path)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"user": 0}, "names the user, the item"),
        ({"user": 0, "item": 1, "when": 2}, "names the user, the item"),
        ({"user": 0, "item": "x"}, "not both"),
        ({"user": 0, "item": 9}, "has 3 columns, 0 … 2"),
    ],
)
def test_columns_that_make_no_sense_are_refused(
    tmp_path: Path, columns: dict[str, str | int], match: str
) -> None:
    with pytest.raises(DataError, match=match):
        read_log(write(tmp_path, "a,x,1\n"), columns=columns)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("A1,B2,5.0,1369699200\n", '3 commas, 0 tabs.*\n  "A1,B2,5.0,1369699200"'),
        ("1 5\n2 5\n1 4\n", '1 blanks, is\n  "1 5"'),
        ("hello\n", '"hello"'),
        ("1,2\n1,3\n", r"--format csv --columns user=0 item=1 time=3\n\(in Python"),
        (
            "who,what,when\nana,tea,1\n",
            "Line 1 may name the columns: say which is which, "
            "--columns user=who item=what time=when\n",
        ),
        (
            "who;what it is\nana;tea\n",
            "--columns user=who 'item=what it is'\n"
            "The separator seems to be ';': --separator ';'\n",
        ),
    ],
)
def test_an_unknown_format_says_what_was_seen(
    tmp_path: Path, text: str, seen: str
) -> None:
    with pytest.raises(DataError, match=seen):
        read_log(write(tmp_path, text))


def test_numbers_in_line_1_are_no_names(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, "1,2,3\n1,3,4\n"))
    assert "Line 1" not in str(caught.value)
    assert "separator" not in str(caught.value)


def test_a_separator_that_is_not_asked_for_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path, "who;what\nana;tea\n")
    with pytest.raises(DataError, match="to be ';': --separator ';'"):
        read_log(path, columns={"user": "who", "item": "what"})


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "1 5 6\n")
    with pytest.raises(
        DataError, match=r"no format 'sequence' \(did you mean 'sequences'"
    ):
        read_log(path, format="sequence")
    with pytest.raises(DataError, match="has no columns to name"):
        read_log(path, format="sequences", columns={"user": 0, "item": 1})
    with pytest.raises(DataError, match="one sign between the columns"):
        read_log(path, format="sequences", separator=",")


def test_users_left_without_targets_are_counted(tmp_path: Path) -> None:
    split = leave_one_out(read_log(write(tmp_path, "1 5 6\n2 5 6 7\n", "log.txt")))
    assert split.dropped == {"users with fewer than 3 events": 1}
