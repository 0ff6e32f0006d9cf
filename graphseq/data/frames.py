"""Frames of several libraries, as the columns of a log."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from graphseq.data.arrays import Int64s
from graphseq.data.timestamps import (
    count_units,
    fitting,
    found_unit,
    in_other_unit,
    no_unix_times,
    rescale,
    small_times,
    split_times,
    thousands,
    units_of,
    usual_unit,
)
from graphseq.errors import DataError, quantity

NAMES: dict[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "reviewerid", "sessionid", "session"),
    "item": (
        *("item", "itemid", "iid", "movieid", "asin", "parentasin", "productid"),
        *("businessid", "trackid", "artistid"),
    ),
    "time": ("time", "timestamp", "unixreviewtime", "date", "datetime", "ts"),
}
"""Usual column names of each role, in lower case and without punctuation."""
COARSE = ("h", "m", "s")  # units of numpy's datetimes that polars does not have


def normalized(name: str) -> str:
    """A column name in lower case, without punctuation and RecBole's ``:type``."""
    return "".join(c for c in name.split(":")[0].lower() if c.isalnum())


@runtime_checkable
class Columnar(Protocol):
    """A frame of pandas or an Arrow table, by what both can do."""

    def __getitem__(self, name: Any, /) -> Any:
        """A column."""


Frame = pl.DataFrame | pl.LazyFrame | Mapping[str, Sequence[Any] | Any] | Columnar
"""What :meth:`graphseq.data.Interactions.from_frame` reads."""


def frame_columns(frame: Frame, weight: str | None = None) -> dict[str, pl.Series]:
    """The columns user, item and, if there is one, time; warns of any others.

    Args:
        frame: The frame.
        weight: The column of the weights, if there is one.

    Raises:
        DataError: It is not a frame, a column is missing or ambiguous, or an id is
            empty.
    """
    header = _header(frame)
    names = {role: _find(role, header) for role in NAMES}
    if names["user"] is None or names["item"] is None:
        raise DataError(
            "a frame of interactions needs the columns user and item, and optionally "
            f"time; found {header}. Rename its columns"
        )
    if weight is not None and header.count(weight) != 1:
        raise DataError(
            f"a frame of interactions has one column of weights, {weight!r}; found "
            f"{header}. Name one of its columns"
        )
    names["weight"] = weight
    found = {role: name for role, name in names.items() if name is not None}
    if rest := [name for name in header if name not in found.values()]:
        warnings.warn(
            f"the columns {', '.join(map(str, rest))} of the frame are not used; those "
            f"of the log are {', '.join(map(str, found.values()))}",
            UserWarning,
            stacklevel=3,
        )
    table: Any = frame
    if hasattr(frame, "__arrow_c_array__"):  # a batch of Arrow
        table = pl.from_arrow(frame)
    if isinstance(frame, pl.LazyFrame):
        table = frame.select(list(found.values())).collect()
    columns = {role: _series(name, table[name]) for role, name in found.items()}
    if len({len(column) for column in columns.values()}) > 1:
        sizes = ", ".join(f"{role} has {len(c):,}" for role, c in columns.items())
        raise DataError(f"the columns of a frame must be equally long; {sizes} rows")
    for role in ("user", "item"):
        _refuse_empty(role, columns[role])
    return columns


def _header(frame: Any) -> list[str]:
    if isinstance(frame, pl.LazyFrame):
        return frame.collect_schema().names()
    if isinstance(frame, Mapping):
        return list(frame)
    if hasattr(frame, "__arrow_c_array__"):
        return list(frame.schema.names)
    names = getattr(frame, "column_names", getattr(frame, "columns", None))
    if names is None or isinstance(frame, np.ndarray) or not hasattr(frame, "shape"):
        raise DataError(
            "from_frame takes a frame of polars or pandas, an Arrow table, or a "
            f"mapping from column names to sequences; found {type(frame).__name__}"
        )
    return list(names)


def _find(role: str, header: list[str]) -> str | None:
    """The column of this name, or the one with a usual name of the role."""
    if header.count(role) == 1:
        return role
    found = [name for name in header if normalized(str(name)) in NAMES[role]]
    if len(found) > 1:
        raise DataError(
            f"several columns could be the {role}: {', '.join(map(str, found))}. "
            f"Rename one to {role!r}"
        )
    return found[0] if found else None


def _series(name: str, column: Any) -> pl.Series:
    """A column of any library as a series."""
    if isinstance(column, pl.Series):
        return column
    if type(column).__module__.startswith("pyarrow"):
        return pl.Series(name, pl.from_arrow(column))
    if isinstance(column, np.ma.MaskedArray):
        column = column.tolist()  # None where it is masked
    if hasattr(column, "detach"):  # a tensor
        column = column.detach().cpu()
        column = column.float() if column.dtype.itemsize < 4 else column
    if hasattr(column, "dt") and getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)  # pandas
    if hasattr(column, "to_numpy") or hasattr(column, "__array__"):
        known = hasattr(column, "to_numpy")
        values = column.to_numpy() if known else np.asarray(column)
        if values.ndim == 1 and values.dtype == object:  # pandas' NA has no truth value
            missing = column.isna() if hasattr(column, "isna") else values != values
            pairs = zip(values, missing, strict=True)
            values = [None if gap else value for value, gap in pairs]
        column = values
    is_moment = isinstance(column, np.ndarray) and column.dtype.kind == "M"
    if is_moment and np.datetime_data(column.dtype)[0] in COARSE:
        column = column.astype("datetime64[us]")
    try:
        return pl.Series(name, column)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"the column {name} does not hold values of one type: {error}. Convert it"
        ) from error


def _refuse_empty(role: str, column: pl.Series) -> None:
    """Refuse an empty id; a null is refused by the vocabulary."""
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return
    empty = (column.cast(pl.String) == "").fill_null(False)
    if empty.any():
        raise DataError(
            f"no {role}: the column {column.name} holds an empty text in "
            f"{quantity(int(empty.sum()), 'row')} of {len(column):,}, the first is row "
            f"{empty.arg_max()}. Drop rows without an id"
        )


def parse_time_column(column: pl.Series) -> tuple[Int64s, int]:
    """Times as whole numbers, in a unit that holds their fractions, (E,).

    Also how many times a thousand parts of the column's unit make that unit.

    Raises:
        DataError: One is missing, is neither a number nor a date, or is in another
            unit than most.
    """
    times, fraction = split_times(column)
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        raise DataError(
            f"the column {column.name} must hold numbers or dates (ISO 8601); found "
            f"{column[row]!r} at row {row}. Drop rows without a time"
        )
    units, usual = units_of(times), usual_unit(count_units(times))
    other = in_other_unit(column, times, units, usual)
    if other.any():
        row = int(other.argmax())
        raise DataError(
            f"time is in another unit than most in "
            f"{quantity(int(other.sum()), 'row')} of {len(column):,}; row {row} is the "
            f"first: {found_unit(column[row], int(units[row]), usual or 0)}. Convert "
            f"the column {column.name} to one unit"
        )
    small = no_unix_times(column, times, units)
    if usual is not None and len(small):
        row = int(small[0])
        example = f"{column[row]} in row {row}"
        warnings.warn(
            small_times(len(small), len(column), usual, example),
            UserWarning,
            stacklevel=3,
        )
    whole = times.to_numpy()
    if fraction is None:
        return whole, 0
    largest = int(np.abs(whole).max(initial=0))
    steps = fitting(int(thousands(fraction).max()), largest)
    return rescale(whole, fraction, steps), steps
