from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from graphseq.data import read_log
from graphseq.errors import DataError
from graphseq.spark.errors import failures
from graphseq.spark.numbering import read_events

chance = np.random.default_rng(0)


ROWS = list(zip(*chance.integers(1, 40, (2, 400)), strict=True))


PLAIN = "user,item,time\n" + "".join(f"u{a},{b},{a * b}\n" for a, b in ROWS)


def test_many_files_are_one_log_in_the_order_of_their_names(
    spark: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "a log [1]"
    folder.mkdir()
    lines = PLAIN.splitlines(keepends=True)[1:]
    for index, name in enumerate(("part b%20é.csv", "part a.csv", "part c.csv")):
        part = lines[100 * index : 100 * index + 100]
        (folder / name).write_text("user,item,time\n" + "".join(part))
    (folder / "_SUCCESS").touch()
    order = lines[100:200] + lines[:100] + lines[200:300]
    (tmp_path / "one.csv").write_text("user,item,time\n" + "".join(order))
    one = read_log(tmp_path / "one.csv")
    pattern = str(tmp_path / "a log ?1?")
    assert read_events(spark, pattern).collect()[0] == one
    (folder / "part c.csv").write_text("item,user,time\n1,2,3\n")
    with pytest.raises(DataError, match="have different first lines"), failures():
        read_events(spark, pattern)


def test_parquet_keeps_its_types(spark: Any, tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 9), eager=True)
    frame = pl.DataFrame({"user": range(9), "item": ["7"] * 9, "when": days})
    frame.write_parquet(file)
    columns = {"user": "user", "item": "item", "time": "when"}
    found = read_events(spark, str(file), columns=columns).collect()[0]
    assert found == read_log(file, columns=columns)
    assert (found.users.ids.dtype, found.items.ids.dtype) == (pl.Int64, pl.String)
    assert (
        read_events(spark, str(file), columns={"user": "user", "item": "item"}).size
        == 9
    )
