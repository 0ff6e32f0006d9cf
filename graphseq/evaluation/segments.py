"""Metrics of segments of users, such as those with short histories."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

import polars as pl

from graphseq.data import Vocabulary
from graphseq.errors import ConfigError, DataError, suggest

KEYS = ("user", "user_index", "protocol", "targets", "best_rank")
FEATURES = ("history_length", "target_events")
"""Columns of users that every report has, besides their metrics."""


def segments(
    rows: pl.DataFrame,
    column: str,
    bins: Sequence[int | float] | None = None,
    frame: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Mean metrics of each segment; see :meth:`Report.by`."""
    metrics = [n for n in rows.columns if n not in {*KEYS, *FEATURES}]
    if frame is not None:
        _check_name(column, metrics)
        rows = _joined(rows, column, frame)
    elif column not in rows.columns or column in {"protocol", *metrics}:
        known = [n for n in FEATURES if n in rows.columns]
        raise ConfigError(
            f"the report has no column {column!r} of users; {suggest(column, known)}. "
            "For another one, pass a frame with the columns user and "
            f"{column}. A report of graphseq 0.2.0 has none: evaluate the run again"
        )
    value, label = pl.col(column), pl.col(column)
    if bins is not None:
        value, label = _bins(rows, column, bins)
    grouped = rows.group_by("protocol", value.alias("_order"), label.alias(column))
    table = grouped.agg(pl.len().alias("users"), pl.col(metrics).mean())
    order = pl.col("protocol").cast(pl.Enum(["kept", "excluded"]))
    table = table.sort(order, pl.col("_order"), nulls_last=True)
    return table.select("protocol", column, "users", *metrics)


def _check_name(column: str, metrics: Sequence[str]) -> None:
    """Refuse the name of another column of the table of segments."""
    reserved = ["user", "users", "protocol", "_order", *metrics]
    if column in reserved:
        raise ConfigError(
            f"segments of a frame's column cannot be named {column!r}: the names "
            f"{', '.join(reserved)} are taken. Rename the column of the frame"
        )


def _joined(rows: pl.DataFrame, column: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with a column of a frame; users that the frame lacks have null."""
    if not isinstance(frame, pl.DataFrame):
        raise ConfigError(
            f"frame is a frame of polars; found {type(frame).__name__}. Convert it, as "
            "with polars.from_pandas"
        )
    if missing := [name for name in ("user", column) if name not in frame.columns]:
        raise ConfigError(
            f"the frame has no column {' and no column '.join(missing)}; it has "
            f"{', '.join(frame.columns)}. Name its columns user and {column}"
        )
    if "user" not in rows.columns:
        raise ConfigError(
            "the report has no raw ids of users, by which a frame is joined: its graph "
            "had no vocabulary. Build the graph with build_graph"
        )
    found = frame.select("user", column).drop_nulls("user")
    if (repeated := found.filter(found["user"].is_duplicated())).height:
        raise ConfigError(
            f"the frame has several rows for user {repeated['user'][0]!r}. Keep one "
            "row for each user"
        )
    try:
        numbers = Vocabulary(found["user"]).encode(rows["user"], missing=-1)
    except DataError as error:
        raise ConfigError(f"the column user of the frame: {error}") from error
    values = found[column].gather(pl.Series(numbers).replace(-1, None))
    if values.dtype.is_float():
        values = values.fill_nan(None)
    return rows.with_columns(values.alias(column))


def _bins(
    rows: pl.DataFrame, column: str, bins: Sequence[int | float]
) -> tuple[pl.Expr, pl.Expr]:
    """The number and the name of each row's interval; a bound is in the one above."""
    if not rows[column].dtype.is_numeric():
        raise ConfigError(
            f"bins divide numbers, and {column} has values such as "
            f"{rows[column].drop_nulls().first()!r}. Leave bins out: each value is a "
            "segment"
        )
    numbers = isinstance(bins, Sequence) and all(
        isinstance(b, int | float) and isfinite(b) and type(b) is not bool for b in bins
    )
    if not numbers:
        raise ConfigError(f"bins is a list of finite numbers; found {bins!r}")
    bounds = sorted(set(bins))
    if not bounds or bounds != list(bins):
        raise ConfigError(f"bins must be ascending and not empty; found {list(bins)}")
    names = [f"< {bounds[0]:.15g}"]
    for low, high in pairwise(bounds):
        names.append(f"{low:.15g} to < {high:.15g}")
    names.append(f">= {bounds[-1]:.15g}")
    number: Any = pl.sum_horizontal(
        *((pl.col(column) >= bound).cast(pl.Int64) for bound in bounds)
    )
    number = pl.when(pl.col(column).is_not_null()).then(number)
    return number, number.replace_strict(dict(enumerate(names)), default=None)
