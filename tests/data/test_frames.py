from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
import torch

from graphseq.data import Interactions
from graphseq.errors import DataError

FRAME = pl.DataFrame({"user": ["u", "u"], "item": ["B", "A"], "time": [9, 1]})
MOMENTS = [datetime(2014, 4, 7, 10, 51, 9, 900_000), datetime(2014, 4, 7, 10, 51, 9)]
SECONDS = 1396867869


class Series:
    """A column, as pandas has it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype = values, values.dtype

    def to_numpy(self) -> np.ndarray:
        return self.values


class Foreign:
    """A frame of another library: columns, shape and item access."""

    def __init__(self, data: dict[str, np.ndarray]) -> None:
        self.data, self.columns, self.shape = data, list(data), (2, len(data))

    def __getitem__(self, name: str) -> Series:
        return Series(self.data[name])


def foreign() -> Foreign:
    users = np.array(["u", "u"], dtype=object)
    return Foreign(
        {"user": users, "item": np.array(["B", "A"]), "time": np.arange(9, 7, -1)}
    )


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_dict(as_series=False),
        FRAME.to_dict(),
        {"user": ["u", "u"], "item": np.array(["B", "A"]), "time": np.array([9, 8])},
        foreign(),
    ],
    ids=["eager", "lazy", "lists", "series", "arrays", "another library"],
)
def test_frames_of_any_library_are_one_log(frame: object) -> None:
    log = Interactions.from_frame(frame)  # type: ignore[arg-type]
    assert log.users.ids.to_list() == ["u"]
    assert log.frame()["item"].to_list() == ["A", "B"]


@pytest.mark.parametrize(
    ("times", "stored"),
    [
        (MOMENTS, [SECONDS * 1000, SECONDS * 1000 + 900]),
        (
            [m.replace(tzinfo=UTC) for m in MOMENTS],
            [SECONDS * 1000, SECONDS * 1000 + 900],
        ),
        ([m.isoformat() for m in MOMENTS], [SECONDS * 1000, SECONDS * 1000 + 900]),
        ([SECONDS + 0.9, SECONDS], [SECONDS * 1000, SECONDS * 1000 + 900]),
        ([date(1970, 1, 3), date(1970, 1, 2)], [86_400, 2 * 86_400]),
        ([7.0, 5.0], [5, 7]),
        (np.array(MOMENTS, "datetime64[ns]"), [SECONDS * 1000, SECONDS * 1000 + 900]),
    ],
)
@pytest.mark.parametrize("name", ["time", "timestamp"])
def test_times_are_read_as_in_a_file(
    name: str, times: list[object], stored: list[int]
) -> None:
    columns = {"user": ["u", "u"], "item": ["B", "A"], name: times}
    log = Interactions.from_frame(columns)
    assert log.has_time
    assert log.frame()["item"].to_list() == ["A", "B"]
    assert log.time.tolist() == stored


def test_columns_that_are_not_used_are_named() -> None:
    frame = FRAME.with_columns(rating=pl.lit(5.0))
    with pytest.warns(
        UserWarning, match="the columns rating of the frame are not used"
    ):
        Interactions.from_frame(frame)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (FRAME.drop("item"), "needs the columns user and item"),
        ([1, 2], "found list"),
        (np.zeros((2, 3)), "found ndarray"),
        (FRAME.with_columns(time=pl.lit("soon")), "found 'soon' at row 0"),
        (FRAME.with_columns(time=pl.Series([1, None])), "found None at row 1"),
        (
            FRAME.drop("time").with_columns(ts=1, date=2),
            "several columns could be the t",
        ),
        ({"user": [1], "item": [1, 2]}, "equally long; user has 1, item has 2 rows"),
        ({"user": [1, "a"], "item": [1, 2]}, "one type"),
        ({"user": [[1], [2]], "item": [1, 2]}, "ids must be"),
    ],
)
def test_what_is_not_a_log_is_refused(frame: object, match: str) -> None:
    with pytest.raises(DataError, match=match):
        Interactions.from_frame(frame)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("times", "match"),
    [
        (
            [SECONDS, SECONDS * 1000, SECONDS],
            rf"1 row of 3; row 1 .* found {SECONDS * 1000}, milliseconds; most are sec",
        ),
        ([f"{SECONDS}", f"{SECONDS}000", f"{SECONDS}"], "milliseconds; most are sec"),
        (
            [SECONDS * 1000.0, SECONDS * 1000.0, SECONDS + 0.5],
            "found .*, seconds; most ar",
        ),
        ([SECONDS, SECONDS, -1], "found -1, a negative number; most are seconds"),
        (
            [f"{SECONDS}000", f"{SECONDS}000", "2024-01-02"],
            "found 2024-01-02, seconds; most are milliseconds",
        ),
    ],
)
def test_times_in_another_unit_than_most_are_refused(
    times: list[object], match: str
) -> None:
    columns = {"user": ["u"] * 3, "item": ["A", "B", "C"], "time": times}
    with pytest.raises(DataError, match=match):
        Interactions.from_frame(columns)


def test_dates_and_small_numbers_are_in_no_other_unit() -> None:
    columns = {"user": ["u"] * 3, "item": ["A", "B", "C"]}
    for times in (
        [-5, 0, 7],
        [f"{SECONDS}", f"{SECONDS}", "1960-01-01"],
        [datetime(1960, 1, 1), *MOMENTS],
    ):
        assert len(Interactions.from_frame({**columns, "time": times})) == 3


def test_numbers_too_small_for_unix_times_are_read_with_a_warning() -> None:
    columns = {"user": ["u"] * 3, "item": ["A", "B", "C"]}
    with pytest.warns(UserWarning, match=r"1 of 3 times is too small .* 0 in row 1"):
        log = Interactions.from_frame({**columns, "time": [SECONDS, 0, SECONDS]})
    assert log.item.tolist() == [1, 0, 2]


def test_float32_times_are_refused_where_they_are_rounded() -> None:
    columns = {"user": [1, 1], "item": [1, 2]}
    late = np.array([SECONDS + 30, SECONDS], np.float32)
    with pytest.raises(DataError, match="the column time is float32, which rounds"):
        Interactions.from_frame({**columns, "time": late})
    small = Interactions.from_frame({**columns, "time": np.float32([9.5, 2])})
    assert small.time.tolist() == [2000, 9500]


def test_masked_arrays_tensors_and_batches_of_arrow_are_columns() -> None:
    items = np.ma.array([1, 2, 3], mask=[0, 1, 0])
    with pytest.raises(DataError, match="missing id; found one at row 1"):
        Interactions.from_frame({"user": [1, 2, 3], "item": items})
    stars = torch.tensor([1.5, 3.0], dtype=torch.bfloat16, requires_grad=True)
    columns = {"user": torch.tensor([4, 5]), "item": [1, 2], "stars": stars}
    log = Interactions.from_frame(columns, weight="stars")
    assert log.weight is not None and log.weight.tolist() == [1.5, 3.0]
    arrow = pytest.importorskip("pyarrow")
    batch = arrow.RecordBatch.from_pydict({"user": [1, None], "item": [3, 4]})
    with pytest.raises(DataError, match="missing id; found one at row 1"):
        Interactions.from_frame(batch)
    assert len(Interactions.from_frame(batch.slice(0, 1))) == 1


def test_unsigned_ids_beyond_64_bits_are_text_as_in_files() -> None:
    ids = pl.Series([2**63 + 1, 5], dtype=pl.UInt64)
    log = Interactions.from_frame({"user": ids, "item": [1, 2]})
    assert log.users.ids.to_list() == [f"{2**63 + 1}", "5"]


@pytest.mark.parametrize("unit", ["h", "m", "s", "ms", "us", "ns"])
def test_datetimes_of_numpy_are_read_in_any_unit(unit: str) -> None:
    hours = np.array(["2024-01-02T03", "2024-01-02T04"], f"datetime64[{unit}]")
    log = Interactions.from_frame({"user": [1, 1], "item": [1, 2], "time": hours})
    assert log.time.tolist() == [1704164400, 1704168000]


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
@pytest.mark.parametrize("role", ["user", "item"])
def test_an_empty_id_is_refused(role: str, kind: pl.DataType) -> None:
    frame = FRAME.with_columns(pl.Series(role, ["a", ""], dtype=kind))
    with pytest.raises(DataError, match=rf"no {role}: .* in 1 row of 2, .* is row 1\."):
        Interactions.from_frame(frame)


def pandas_frames() -> dict[str, object]:
    """Frames of pandas with each type of column that people have."""
    pandas = pytest.importorskip("pandas")
    base = {"user": ["u", "v", "u"], "item": ["B", "A", "C"]}
    moments = pandas.to_datetime(["2014-04-07", "2014-04-08", "2014-04-09"])
    timed = pandas.DataFrame({**base, "timestamp": moments})
    frame = pandas.DataFrame({**base, "timestamp": [SECONDS, SECONDS + 1, SECONDS + 2]})
    columns = ["user", "item"]
    missing = pandas.array(["a", None, "b"], dtype="string")
    return {
        "integers": frame,
        "dates": timed,
        "time zone": timed.assign(timestamp=moments.tz_localize("Europe/Paris")),
        "objects": timed.assign(timestamp=pandas.Series([*moments], dtype=object)),
        "categories": frame.astype(dict.fromkeys(columns, "category")),
        "strings": frame.astype(dict.fromkeys(columns, "string")),
        "nullable": frame.astype({"timestamp": "Int64"}),
        "another index": frame.set_index(pandas.Index([9, 8, 7])),
        "no user": frame.assign(user=missing),
        "no time": timed.assign(timestamp=[moments[0], pandas.NaT, moments[2]]),
        "NaN": frame.assign(timestamp=[1.5, float("nan"), 2.0]),
    }


def test_frames_of_pandas_are_read_or_refused_by_name() -> None:
    for name, frame in pandas_frames().items():
        if name in ("no user", "no time", "NaN"):
            with pytest.raises(DataError, match=r"null|missing|found None|found nan"):
                Interactions.from_frame(frame)  # type: ignore[arg-type]
            continue
        log = Interactions.from_frame(frame)  # type: ignore[arg-type]
        assert log.users.ids.to_list() == ["u", "v"], name
        assert log.frame()["item"].to_list() == ["B", "C", "A"], name
        assert log.has_time and log.time.min() > 1_300_000_000, name
