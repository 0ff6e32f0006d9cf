"""Quotation marks: quoted fields are read as by Python, misplaced marks cost a line."""

import csv
import io
import random
from pathlib import Path

import numpy as np
import pytest

from graphseq.data import SkippedLines, read_log
from graphseq.data.readers.blocks import Block, cut
from graphseq.data.readers.quotes import find_rows
from graphseq.errors import DataError

HEADER = "user,item,time,note\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text)
    return path


MISPLACED = {
    "opened": 'b,"x,1,n',
    "closed": 'b,x",1,n"n',
    "inside": 'b,"Blue" Mondays,2,n',
    "before a word": '"b" c,x,1,n',
    "at the end": 'b,x,1,"n',
    "alone": '"',
}


@pytest.mark.parametrize("line", MISPLACED.values(), ids=MISPLACED)
def test_a_misplaced_mark_costs_its_line_only(line: str, tmp_path: Path) -> None:
    rest = 'c,"y\ny",2,"a\n\nb"\nd,z,3,\n' * 2
    path = write(tmp_path, f"{HEADER}a,x,1,\n{line}\n{rest}")
    if line == MISPLACED["closed"]:  # in a field that begins otherwise, a character
        assert read_log(path).frame()["item"].to_list()[1] == 'x"'
        return
    with pytest.raises(DataError, match="line 3: a quotation mark is misplaced") as got:
        read_log(path)
    assert "1 malformed line of 6" in str(got.value)
    with pytest.warns(SkippedLines):
        log = read_log(path, on_error="skip")
    rows = [("a", "x", 1), *[("c", "y\ny", 2)] * 2, *[("d", "z", 3)] * 2]
    assert log.frame().rows() == rows
    assert log.skipped == {"a quotation mark is misplaced or never closed": 1}


def test_spaces_around_marks_are_no_part_of_a_field(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('"user", "item" , time\n"a", "x, ""y""" , 1\n b, z "z", 2\n')
    log = read_log(path, columns={"user": "user", "item": "item", "time": "time"})
    assert log.frame().rows() == [("a", 'x, "y"', 1), ("b", 'z "z"', 2)]


def test_marks_inside_other_fields_are_characters(tmp_path: Path) -> None:
    path = write(tmp_path, f'{HEADER}a,7" Club,1,x\nb,12" Mix,2,"q"\nc,"d""",3,\r\n')
    assert read_log(path).items.ids.to_list() == ['7" Club', '12" Mix', 'd"']


def test_lines_after_a_misplaced_mark_keep_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, f'{HEADER}"a\n\nb",x,1,\nb,"x,1,\n"c\nc",y,t,\n\nd,z,u,\n')
    with pytest.raises(DataError) as caught:
        read_log(path)
    lines = [line.split(":")[0].strip() for line in str(caught.value).splitlines()]
    assert lines[1:4] == ["line 5", "line 6", "line 9"]


def test_valid_text_has_the_rows_that_python_reads(tmp_path: Path) -> None:
    chance = random.Random(0)
    pieces = ["a", "", " ", 'x"y', '"', '""', ",", "\n", "a\nb", ';"', "é", '",\n"']
    for _ in range(200):
        rows = [
            [chance.choice(pieces) + chance.choice(pieces) for _ in range(3)]
            for _ in range(chance.randint(1, 6))
        ]
        text = io.StringIO()
        csv.writer(text, lineterminator=chance.choice(["\n", "\r\n"])).writerows(rows)
        found = find_rows(Block(text.getvalue().encode(), 1), ",")
        assert not found.misplaced.any()
        lines = [sum(field.count("\n") for field in row) for row in rows]
        starts = np.cumsum([0, *[1 + more for more in lines[:-1]]])
        assert found.starts.tolist() == starts.tolist()


def test_a_mark_that_is_never_closed_does_not_hold_the_file_in_memory() -> None:
    line = b"a,b,1\n"
    pieces = [b'a,"b,1\n' + line * 20, *[line * 20] * 50]
    size = len(pieces[1])
    pieces[0] = pieces[0][-size:]
    blocks = [*cut(iter([*pieces, b""]), size, quotes=True)]
    assert b"".join(block.data for block in blocks) == b"".join(pieces)
    assert max(len(block.data) for block in blocks) < 12 * size
