"""Times as the sources write them, as whole numbers."""

import polars as pl

DATES = (
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d",
)


def to_whole_numbers(times: pl.Series) -> pl.Series:
    """A column of times as Int64; null where one cannot be read.

    Numbers keep the unit of the source, a fraction is cut off (towards the past).
    Dates and ISO 8601 moments become unix seconds, UTC if they do not say.
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
