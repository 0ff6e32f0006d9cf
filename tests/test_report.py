import csv

import polars as pl
import pytest

from graphseq.errors import DataError
from graphseq.evaluation import Report
from graphseq.report import append, table


def report(kept: float, excluded: float) -> Report:
    def means(value):
        return {"HR@5": value, "NDCG@5": value, "NDCG@10": 2 * value, "coverage@5": 1.0}

    return Report(
        {"kept": means(kept), "excluded": means(excluded)}, pl.DataFrame(), {}
    )


def test_the_table_has_both_protocols_and_marks_the_best() -> None:
    made = table({"POP": report(0.1, 0.4), "SASRec": report(0.2, 0.3)})
    assert made.row_count == 4
    cells = {column.header: list(column.cells) for column in made.columns}
    assert cells["history"] == ["kept", "", "excluded", ""]
    assert cells["model"] == ["POP", "SASRec"] * 2
    best = ["0.1000", "[bold]0.2000[/bold]", "[bold]0.4000[/bold]", "0.3000"]
    assert cells["NDCG@5"] == best
    assert "coverage@5" not in cells


def test_the_table_can_show_one_length() -> None:
    made = table({"POP": report(0.1, 0.4)}, k=10)
    headers = [column.header for column in made.columns]
    assert headers == ["history", "model", "NDCG@10"]
    assert list(made.columns[2].cells) == ["0.2000", "0.8000"]  # alone, none stands out


def test_rows_are_appended_and_new_columns_added(tmp_path) -> None:
    path = tmp_path / "deep" / "results.csv"
    append(path, {"model": "POP", "HR@5 kept": 0.1})
    append(path, {"model": "SASRec, big", "seed": 1})
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"model": "POP", "HR@5 kept": "0.1", "seed": ""},
        {"model": "SASRec, big", "HR@5 kept": "", "seed": "1"},
    ]
    assert [entry.name for entry in path.parent.iterdir()] == ["results.csv"]


def test_a_ragged_table_is_left_alone(tmp_path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("model,seed\nPOP\n")
    with pytest.raises(DataError, match="nothing was written"):
        append(path, {"model": "SASRec"})
    assert path.read_text() == "model,seed\nPOP\n"
