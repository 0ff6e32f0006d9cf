"""Times as the sources write them, as whole numbers."""

import numpy as np
import numpy.typing as npt
import polars as pl

from graphseq.data.arrays import Int64s

UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
FIRST, LAST = 10**8, 10**10  # unix seconds of 1973 and of 2286

DATES = (
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d",
    "%+",  # with an offset, or with UTC in letters
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)


def to_whole_numbers(times: pl.Series) -> pl.Series:
    """A column of times as Int64; null where one cannot be read.

    Numbers keep the unit of the source, a fraction is cut off (towards the past).
    Dates and ISO 8601 moments, to the minute or finer and with an offset or without,
    become unix seconds, UTC if they do not say.
    """
    if times.dtype.is_integer():
        return times.cast(pl.Int64, strict=False)
    if times.dtype.is_float():
        return times.floor().cast(pl.Int64, strict=False)
    if times.dtype == pl.Date or isinstance(times.dtype, pl.Datetime):
        return times.dt.epoch("s").cast(pl.Int64)
    if times.dtype != pl.String:
        return pl.Series(times.name, [None] * len(times), dtype=pl.Int64)
    return _from_text(times.str.strip_chars())


def count_units(times: pl.Series) -> Int64s:
    """How many times can be unix seconds, milliseconds …, and how many none, (5,)."""
    return np.bincount(units_of(times) % (len(UNITS) + 1), minlength=len(UNITS) + 1)


def usual_unit(counts: Int64s) -> int | None:
    """The unit of most times; ``None`` where they may count anything.

    They do unless most are unix times, from 1973 on.

    Args:
        counts: As :func:`count_units` gives them, (5,).
    """
    unix = counts[:-1]
    return int(unix.argmax()) if 2 * unix.sum() > counts.sum() else None


def units_of(times: pl.Series) -> npt.NDArray[np.int8]:
    """Place among ``UNITS`` of each time, (E,); -1 if it cannot be a unix time."""
    values = times.fill_null(0).to_numpy()
    units = np.full(len(values), -1, dtype=np.int8)
    for place in range(len(UNITS)):
        scale = 1000**place
        last = min(LAST * scale, 2**63) - 1
        units[(values >= FIRST * scale) & (values <= last)] = place
    return units


def _from_text(times: pl.Series) -> pl.Series:
    """Try one reading after the other, each on what is left."""
    found = times.cast(pl.Int64, strict=False)
    for form in (None, *DATES):
        left = (found.is_null() & times.is_not_null()).arg_true()
        if not len(left):
            break
        found = found.scatter(left, _read(times.gather(left), form))
    return found


def _read(times: pl.Series, form: str | None) -> pl.Series:
    if form is None:
        return times.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False)
    if form == "%Y-%m-%d":
        days = times.str.to_date(form, strict=False)
        return days.cast(pl.Datetime("us")).dt.epoch("s")
    moments = times.str.to_datetime(form, strict=False, time_unit="us")
    return moments.dt.replace_time_zone(None).dt.epoch("s")
