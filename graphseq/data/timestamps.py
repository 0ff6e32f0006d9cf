"""Timestamps as whole numbers and fractions, and the units that they can be in."""

import numpy as np
import numpy.typing as npt
import polars as pl

from graphseq.data.arrays import LARGEST, Int64s, Mask
from graphseq.errors import DataError, quantity

UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
FIRST, LAST = 10**8, 10**10  # unix seconds of 1973 and of 2286
PARTS = 10**9  # a fraction counts the billionths of the source's unit
LONG = 27  # bytes of the shortest date with more than six decimals
EXACT_FLOAT32 = 2**24  # float32 skips whole numbers beyond it
DECIMAL = r"^(-?)(\d+)\.(\d*)$"

DATES = (
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d",
    "%+",  # with an offset, or with the letters UTC
    "%Y-%m-%d %H:%M:%S%.f%#z",  # an offset of hours, as databases write
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M%#z",
    "%Y-%m-%dT%H:%M%#z",
)

Split = tuple[pl.Series, Int64s | None]


def to_whole_numbers(times: pl.Series) -> pl.Series:
    """Timestamps as Int64, rounded down; null where one cannot be parsed.

    Numbers keep the unit of the source. Dates and ISO 8601 moments (to the minute or
    finer, with or without an offset) become unix seconds; UTC is assumed where there is
    no offset.
    """
    return split_times(times)[0]


def split_times(times: pl.Series) -> Split:
    """Timestamps as whole numbers, and their fractions in billionths.

    Decimal text is split exactly. Binary floating-point numbers are rounded to the
    decimals that they can hold: six for unix seconds.

    Returns:
        As :func:`to_whole_numbers`, (E,); and the fractions, 0 … 10^9 - 1, (E,), or
        ``None`` if all are 0.

    Raises:
        DataError: They are float32, and too large to be exact.
    """
    if times.dtype.is_integer():
        return times.cast(pl.Int64, strict=False), None
    if times.dtype == pl.Float32 and (times.abs() >= EXACT_FLOAT32).any():
        raise DataError(
            f"the column {times.name} is float32, which rounds numbers from 2^24 on, "
            "and unix seconds to 128 s. Convert the times to int64 or float64 where "
            "they are still exact"
        )
    if times.dtype.is_float():
        return _split_floats(times)
    if times.dtype == pl.Date or isinstance(times.dtype, pl.Datetime):
        return _split_moments(
            times.cast(pl.Datetime) if times.dtype == pl.Date else times
        )
    if times.dtype.is_decimal():
        times = times.cast(pl.String)
    if times.dtype != pl.String:
        return pl.Series(times.name, [None] * len(times), dtype=pl.Int64), None
    whole = times.cast(pl.Int64, strict=False)
    if whole.null_count() == times.null_count():
        return whole, None
    text = times.str.strip_chars()
    whole = text.cast(pl.Int64, strict=False)
    fraction: Int64s | None = None
    for form in ("number", *DATES):  # each on the rows that are still null
        left = (whole.is_null() & text.is_not_null()).arg_true()
        if form != "number":  # polars reads years of two digits, too
            left = left.filter(text.gather(left).str.contains(r"^\d{4}-"))
        if not len(left):
            break
        found, part = _parse(text.gather(left), form)
        whole = whole.scatter(left, found)
        if part is not None:
            fraction = np.zeros(len(times), np.int64) if fraction is None else fraction
            fraction[left.to_numpy()] = part
    return whole, fraction


def _parse(times: pl.Series, form: str) -> Split:
    """Text as numbers, or as dates in the given form."""
    if form == "number":
        return _split_numbers(times)
    if form == "%Y-%m-%d":
        return _split_moments(times.str.to_date(form, strict=False).cast(pl.Datetime))
    moments = times.str.to_datetime(form, strict=False, time_unit="us")
    whole, fraction = _split_moments(moments.dt.replace_time_zone(None))
    if times.str.len_bytes().fill_null(0).to_numpy().max(initial=0) < LONG:
        return whole, fraction
    digits = times.str.extract(r"[.](\d{7,9})\D*").str.pad_end(9, "0")
    if digits.null_count() < len(digits):  # finer than polars keeps
        exact = digits.cast(pl.Int64).filter(whole.is_not_null()).drop_nulls()
        rows = (digits.is_not_null() & whole.is_not_null()).to_numpy()
        fraction = np.zeros(len(times), np.int64) if fraction is None else fraction
        fraction[rows] = exact.to_numpy()
    return whole, fraction


def _split_numbers(text: pl.Series) -> Split:
    """Numbers: decimal ones exactly, those with an exponent as floats."""
    floats = text.cast(pl.Float64, strict=False)
    if floats.null_count() == len(floats):
        empty = pl.Series(text.name, [None], dtype=pl.Int64)
        return empty.new_from_index(0, len(text)), None
    whole, fraction = _split_floats(floats)
    exact, part = _split_decimals(text)
    rows = exact.is_not_null()
    if rows.any():
        whole = exact.zip_with(rows, whole)
        parts = np.zeros(len(text), np.int64) if part is None else part
        rest = 0 if fraction is None else fraction
        fraction = np.where(rows.to_numpy(), parts, rest)
    return whole, fraction if fraction is not None and fraction.any() else None


def _split_decimals(text: pl.Series) -> Split:
    """Numbers such as -12.345, exactly, to nine decimals."""
    parts = text.str.extract_groups(DECIMAL).struct.unnest()
    sign, digits, decimals = (parts.to_series(n) for n in range(3))
    whole = digits.cast(pl.Int64, strict=False)
    billionths = decimals.str.slice(0, 9).str.pad_end(9, "0").cast(pl.Int64)
    fraction = billionths.fill_null(0).to_numpy().copy()
    negative = (sign == "-").fill_null(False).to_numpy()
    if negative.any():
        borrows = negative & (fraction > 0)
        whole = whole * pl.Series(np.where(negative, -1, 1)) - pl.Series(
            borrows.astype(np.int64)
        )
        fraction[borrows] = PARTS - fraction[borrows]
    return whole, fraction if fraction.any() else None


def _split_floats(times: pl.Series) -> Split:
    """Floating-point numbers, rounded to the decimals that their precision allows."""
    floor = times.floor()
    whole = floor.cast(pl.Int64, strict=False)
    rest = (times - floor).fill_null(0.0).fill_nan(0.0).to_numpy()
    if not rest.any():
        return whole, None
    size = times.abs().fill_null(0.0).fill_nan(0.0).to_numpy()
    step = np.select(
        [size < 2**20, size < 2**33, size < 2**43], [1, 10**3, 10**6], PARTS
    )
    fraction = np.rint(rest * PARTS / step).astype(np.int64) * step
    full = fraction >= PARTS
    if full.any():
        whole = whole + pl.Series(full.astype(np.int64))
        fraction[full] = 0
    return whole, fraction if fraction.any() else None


def _split_moments(moments: pl.Series) -> Split:
    """Datetimes as unix seconds."""
    fraction = moments.dt.nanosecond().fill_null(0).to_numpy().astype(np.int64)
    return moments.dt.epoch("s").cast(pl.Int64), fraction if fraction.any() else None


def thousands(fraction: Int64s) -> npt.NDArray[np.int8]:
    """Divisions of the unit by 1,000 that each fraction needs, 0 … 3, (E,)."""
    steps = (fraction > 0).astype(np.int8)
    for part in (10**6, 10**3):
        steps += fraction % part > 0
    return steps


def rescale(time: Int64s, fraction: Int64s, steps: int) -> Int64s:
    """Times in a unit that is ``1000 ** steps`` times finer, (E,)."""
    finer: Int64s = time * 1000**steps + fraction // 1000 ** (3 - steps)
    return finer


def fitting(steps: int, largest: int) -> int:
    """The largest number of steps up to ``steps`` for which times stay 64-bit."""
    while steps and largest * 1000**steps >= LARGEST:
        steps -= 1
    return steps


def units_of(times: pl.Series) -> npt.NDArray[np.int8]:
    """Index in ``UNITS`` of each time, (E,); -1 if it cannot be a unix time."""
    values = times.fill_null(0).to_numpy()
    units = np.full(len(values), -1, dtype=np.int8)
    low, high = (values.min(), values.max()) if len(values) else (0, 0)
    for index in range(len(UNITS)):
        scale = 1000**index
        first, last = FIRST * scale, min(LAST * scale, 2**63) - 1
        if first <= low and high <= last:
            units[:] = index
        elif first <= high and low <= last:
            units[(values >= first) & (values <= last)] = index
    return units


def in_other_unit(
    raw: pl.Series, times: pl.Series, units: npt.NDArray[np.int8], usual: int | None
) -> Mask:
    """Times that are in another unit than most, or negative numbers, (E,).

    Dates are seconds: they pass where most times are.

    Args:
        raw: Times as the source writes them, (E,).
        times: The same as whole numbers; null where they cannot be parsed.
        units: From :func:`units_of`, (E,).
        usual: Index in ``UNITS`` of the usual unit; ``None``: all times pass.
    """
    faulty = np.zeros(len(times), dtype=np.bool_)
    if usual is not None:
        negative = (times < 0).fill_null(False).to_numpy()
        faulty = ((units >= 0) & (units != usual)) | negative
    if usual:  # dates are seconds, and most times are finer
        return faulty
    if faulty.any() and raw.dtype == pl.String:
        rows = np.flatnonzero(faulty)
        faulty[rows] = raw.gather(rows).cast(pl.Float64, strict=False).is_not_null()
    elif not raw.dtype.is_numeric():
        faulty[:] = False
    return faulty


def no_unix_times(
    raw: pl.Series, times: pl.Series, units: npt.NDArray[np.int8]
) -> Int64s:
    """Rows whose number is too small for a unix time since 1973, (n,).

    Args:
        raw: Times as the source writes them, (E,).
        times: The same as whole numbers; null where they cannot be parsed.
        units: From :func:`units_of`, (E,).
    """
    small = (times >= 0) & (times < FIRST)
    rows = np.flatnonzero(small.fill_null(False).to_numpy() & (units < 0))
    if len(rows) and raw.dtype == pl.String:  # dates before 1973 are none of them
        numbers = raw.gather(rows).cast(pl.Float64, strict=False)
        rows = rows[numbers.is_not_null().to_numpy()]
    return rows if raw.dtype.is_numeric() or raw.dtype == pl.String else rows[:0]


def small_times(count: int, events: int, usual: int, example: str) -> str:
    """A warning of the times of :func:`no_unix_times`.

    Args:
        count: Number of such times.
        events: Number of all events.
        usual: Index in ``UNITS`` of the usual unit.
        example: One of them, and its place.
    """
    return (
        f"{count:,} of {quantity(events, 'time')} {'is' if count == 1 else 'are'} too "
        f"small for unix times in {UNITS[usual]} since 1973, which most are, such as "
        f"{example}: these events come first. If a time is missing there, remove them"
    )


def found_unit(raw: object, unit: int, usual: int) -> str:
    """What to report of a time that is in another unit than most.

    Args:
        raw: The time as the source writes it.
        unit: Index of its unit; -1 for a negative number.
        usual: Index of the usual unit.
    """
    name = UNITS[unit] if unit >= 0 else "a negative number"
    return f"found {raw}, {name}; most are {UNITS[usual]}"


def count_units(times: pl.Series) -> Int64s:
    """Number of times in unix seconds, milliseconds, …, and of others, (5,)."""
    units = units_of(times)
    return np.array([np.count_nonzero(units == u) for u in (*range(len(UNITS)), -1)])


def usual_unit(counts: Int64s) -> int | None:
    """The most common unit; ``None`` unless most times are unix times since 1973.

    Args:
        counts: From :func:`count_units`, (5,).
    """
    unix = counts[:-1]
    return int(unix.argmax()) if 2 * unix.sum() > counts.sum() else None
