"""Timestamps as whole numbers, and the units that they can be in."""

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
    "%+",  # with an offset, or with the letters UTC
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)


def to_whole_numbers(times: pl.Series) -> pl.Series:
    """Timestamps as Int64; null where one cannot be parsed.

    Numbers keep the unit of the source and are rounded down. Dates and ISO 8601 moments
    (to the minute or finer, with or without an offset) become unix seconds; UTC is
    assumed where there is no offset.
    """
    if times.dtype.is_integer():
        return times.cast(pl.Int64, strict=False)
    if times.dtype.is_float():
        return times.floor().cast(pl.Int64, strict=False)
    if times.dtype == pl.Date or isinstance(times.dtype, pl.Datetime):
        return times.dt.epoch("s").cast(pl.Int64)
    if times.dtype != pl.String:
        return pl.Series(times.name, [None] * len(times), dtype=pl.Int64)
    text = times.str.strip_chars()
    found = text.cast(pl.Int64, strict=False)
    for form in (None, *DATES):  # each pattern on the rows that are still null
        left = (found.is_null() & text.is_not_null()).arg_true()
        if not len(left):
            break
        found = found.scatter(left, _parse(text.gather(left), form))
    return found


def _parse(times: pl.Series, form: str | None) -> pl.Series:
    """Text as Int64: floating-point numbers, or dates in the given form."""
    if form is None:
        return times.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False)
    if form == "%Y-%m-%d":
        days = times.str.to_date(form, strict=False)
        return days.cast(pl.Datetime("us")).dt.epoch("s")
    moments = times.str.to_datetime(form, strict=False, time_unit="us")
    return moments.dt.replace_time_zone(None).dt.epoch("s")


def units_of(times: pl.Series) -> npt.NDArray[np.int8]:
    """Index in ``UNITS`` of each time, (E,); -1 if it cannot be a unix time."""
    values = times.fill_null(0).to_numpy()
    units = np.full(len(values), -1, dtype=np.int8)
    for index in range(len(UNITS)):
        scale = 1000**index
        last = min(LAST * scale, 2**63) - 1
        units[(values >= FIRST * scale) & (values <= last)] = index
    return units


def count_units(times: pl.Series) -> Int64s:
    """Number of times in unix seconds, milliseconds, …, and of others, (5,)."""
    return np.bincount(units_of(times) % (len(UNITS) + 1), minlength=len(UNITS) + 1)


def usual_unit(counts: Int64s) -> int | None:
    """The most common unit; ``None`` unless most times are unix times since 1973.

    Args:
        counts: From :func:`count_units`, (5,).
    """
    unix = counts[:-1]
    return int(unix.argmax()) if 2 * unix.sum() > counts.sum() else None
