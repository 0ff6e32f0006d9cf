from pathlib import Path

import pytest

from graphseq.data import read_log
from graphseq.data.readers.detection import detect_format
from graphseq.data.readers.source import open_source
from graphseq.errors import DataError


def write(folder: Path, data: str) -> Path:
    path = folder / "log.csv"
    path.write_text(data, "utf-8")
    return path


EPOCHS = "".join(f"{n}\tu{n % 8}\ti{n % 9}\t{1500000000 + n}\n" for n in range(1, 9))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (EPOCHS, "Column 0 counts the rows; column 3 holds times"),
        (EPOCHS, "--format tsv --columns user=1 item=2 time=3"),
        (EPOCHS.replace("\t", " "), "--separator ' ' --columns user=1 item=2 time=3"),
        ("u1 i5\nu2 i7\nu3 i5\n", "--format sequences"),
        ("u1\ti5\t\tx\nu2\ti7\ty\tx\nu3\ti5\t\tx\n", "--format sequences"),
        ("u1 5 6 1500000000\nu2 7 1500000060\n", "--format sequences"),
        (
            "1\tU1\t11/11/2019 9:05:58 AM\tN5 N4\tN5-1 N7-0\n"
            "2\tU2\t11/12/2019 6:11:30 PM\tN1 N2 N3\tN5-1\n",
            "--format sequences",
        ),
        (
            '1.2.3.4 - - [10/Oct/2000:13:55:36] "GET /a HTTP/1.0" 200\n'
            '1.2.3.5 - - [10/Oct/2000:13:55:37] "GET /b c HTTP/1.0" 200 5\n',
            "needs its columns by index",
        ),
    ],
)
def test_a_table_is_not_taken_for_sequences(
    tmp_path: Path, text: str, advice: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, text))
    assert "does not look like any known format" in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["1 5 6\n2 5\n", "1\t5 6\n2\t5\n", "7 1200000000 1300000000\n8 1400000000\n"],
)
def test_lines_of_different_lengths_are_sequences(tmp_path: Path, text: str) -> None:
    assert detect_format(open_source(write(tmp_path, text))) == "sequences"


@pytest.mark.parametrize(
    ("text", "option"),
    [
        (
            "timestamp,visitorid,event,itemid,transactionid\n"
            "1433221332117,257597,view,355908,\n",
            "user=visitorid item=itemid time=timestamp",
        ),
        (
            "session_id;user_id;item_id;timeframe;eventdate\n1;NA;81;5;2016-05-09\n",
            "user=session_id item=item_id time=eventdate",
        ),
        (
            '"User-ID";"ISBN";"Book-Rating"\n"276725";"034545104X";"0"\n',
            "user=User-ID item=ISBN time=…",
        ),
        (
            "user_id;video_id;play_duration;video_duration;time;date;timestamp\n"
            "0;3649;13838;10867;2020-07-05 00:08:23.438;20200705;1593878903.438\n",
            "user=user_id item=video_id time=timestamp",
        ),
        (
            "rating;title;parent_asin;user_id;timestamp\n5;x;B0;AE;1588687728923\n",
            "user=user_id item=parent_asin time=timestamp",
        ),
        (
            "business_id;reviewerID;date\nb;r;2019-01-01\n",
            "user=reviewerID item=business_id time=date",
        ),
        ("a;b;c\nx;y;z\n", "user=… item=… time=…"),
        ("a;when it was\nx;2019-01-01\n", "user=… item=… 'time=when it was'"),
        ("customer;product;time\nx;y;morning\n", "user=customer item=product time=…"),
    ],
)
def test_columns_are_advised_by_name_and_content(
    tmp_path: Path, text: str, option: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_log(write(tmp_path, text))
    assert f"--columns {option}" in str(caught.value)


def test_nine_digit_ids_are_no_times(tmp_path: Path) -> None:
    text = (
        "1,2014-04-07T10:51:09.277Z,214536502\n1,2014-04-07T10:54:09.868Z,214536500\n"
    )
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(DataError, match="Column 1 holds times"):
        read_log(path)


def test_a_day_without_its_time_is_not_advised(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,date,time\na,b,2024-01-02,10:00:00\n")
    with pytest.raises(DataError, match="--columns user=user item=item time=… "):
        read_log(path)


def test_missing_roles_are_advised_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--columns user=user item=item time=sold"):
        read_log(write(tmp_path, "user,item,sold\na,x,2019-01-01\n"))
