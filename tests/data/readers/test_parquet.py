import gzip
import io
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from graphseq.data import (
    Interactions,
    read_log,
)
from graphseq.data.readers.log import estimate_events
from graphseq.errors import DataError


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
    with pytest.raises(DataError, match="not a complete Parquet file"):
        read_log(path)
    frame.head(0).write_parquet(path)
    with pytest.raises(DataError, match="is empty"):
        read_log(path)


def test_a_folder_or_a_pattern_of_parts_is_one_log(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    (folder / "day=2").mkdir(parents=True)
    rows = [("a", 1, 5), ("b", 2, 6), ("a", 3, 4)]
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    frame.slice(0, 2).write_parquet(folder / "part-0.parquet")
    frame.slice(2).write_parquet(folder / "part-1.parquet")
    (folder / "_SUCCESS").touch()
    whole = Interactions.from_frame(frame)
    assert read_log(folder) == whole
    assert read_log(folder / "part-*.parquet") == whole
    assert estimate_events(folder) == 3
    frame.with_columns(user=None).write_parquet(folder / "day=2" / "part-2.parquet")
    with pytest.raises(DataError, match=r"part-2\.parquet: ids must be strings"):
        read_log(folder)
    (folder / "part-0.parquet").write_text("user,item,time")
    with pytest.raises(DataError, match=r"part-0\.parquet, which is not Parquet"):
        read_log(folder)
    with pytest.raises(DataError, match="does not exist"):
        read_log(tmp_path / "none-*.parquet")


def test_damaged_parquet_is_refused_whatever_polars_raises(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    frame = pl.DataFrame({"user": range(50), "item": range(50), "time": range(50)})
    frame.write_parquet(path)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(4, len(data), 5):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_log(path)
        except DataError:
            continue
