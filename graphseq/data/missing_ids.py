"""Raw ids that other programs write where a value is missing."""

import warnings
from typing import Literal

import numpy as np
import polars as pl

from graphseq.data.arrays import Integral
from graphseq.errors import quantity

MISSING = frozenset({"NA", "N/A", "na", "null", "NULL", "Null", "None", "nan", "NaN"})
MISSING |= {"NAN", "<NA>", "#N/A", "\\N", "undefined"}


def warn_of_missing(
    role: Literal["user", "item"],
    ids: pl.Series,
    events: Integral | None = None,
    *,
    stacklevel: int = 2,
) -> None:
    """Warn of ids that look like missing values, or like integers written as floats.

    All events with such a value are of one node.

    Args:
        role: What the ids are of.
        ids: Distinct raw ids, (N,).
        events: The index of each event's id, to count them, (E,).
        stacklevel: Of the warning; as for ``warnings.warn``.
    """
    if ids.dtype != pl.String:
        return
    floats = ids.str.contains(r"^-?[0-9]+[.]0+$")
    if floats.any() and ids.filter(~floats).str.contains("^-?[0-9]+$").all():
        example = ids.filter(floats)[0]
        warnings.warn(
            f"{int(floats.sum()):,} of {quantity(len(ids), f'{role} id')} have a point,"
            f" such as {example!r}, which is another {role} than "
            f"{example.split('.')[0]!r}. If the ids are integers, write the column as "
            "integers",
            UserWarning,
            stacklevel=stacklevel,
        )
    found = ids.is_in([*MISSING]).arg_true().to_list()
    if not found:
        return
    named = []
    for index in found:
        count = "" if events is None else f" ({np.count_nonzero(events == index):,})"
        named.append(f"{ids[index]!r}{count}")
    counted = "" if events is None else ", with the number of events"
    warnings.warn(
        f"these {role} ids look like missing values{counted}: {', '.join(named)}. Each "
        f"is read as one {role}. If a value is missing there, remove these rows",
        UserWarning,
        stacklevel=stacklevel,
    )
