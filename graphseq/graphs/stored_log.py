"""The log beside the graph that was made of it, so that later events can be added.

``log.parquet`` holds who, what and when by dense ids, in canonical order;
``log-users.parquet`` and ``log-items.parquet`` the raw ids in the order of those ids.
Nothing else of a file matters to what is made of it: ids are numbered by first
appearance, and the canonical order keeps that of the file where times tie.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from graphseq.data import Interactions, Vocabulary
from graphseq.graphs.hashing import log_hash

LOG, USERS, ITEMS = "log.parquet", "log-users.parquet", "log-items.parquet"
LEVEL = 3  # of zstd; higher ones take longer and save little


def write_log(log: Interactions, folder: Path) -> dict[str, Any]:
    """Write the files of a log; what the graph's card says of them."""
    columns = {
        "user": _narrow(log.user, log.num_users),
        "item": _narrow(log.item, log.num_items),
        "time": pl.Series(log.time),
    }
    _write(pl.DataFrame(columns), folder / LOG)
    _write(log.users.ids.rename("id").to_frame(), folder / USERS)
    _write(log.items.ids.rename("id").to_frame(), folder / ITEMS)
    return {"events": len(log), "has_time": log.has_time, "hash": log_hash(log)}


def read_stored(card: dict[str, Any], folder: Path) -> Interactions:
    """The log that a graph's card describes, unchecked against its hash."""
    table = pl.read_parquet(folder / LOG)
    user, item, time = (
        table[name].to_numpy().astype(np.int64, copy=False)
        for name in ("user", "item", "time")
    )
    users, items = (
        Vocabulary(pl.read_parquet(folder / name)["id"]) for name in (USERS, ITEMS)
    )
    return Interactions(user, item, time, users, items, has_time=card["has_time"])


def _narrow(dense: NDArray[np.int64], size: int) -> pl.Series:
    """Dense ids in the fewest bytes that hold them all."""
    return pl.Series(dense.astype(np.min_scalar_type(max(size - 1, 0))))


def _write(table: pl.DataFrame, path: Path) -> None:
    table.write_parquet(path, compression="zstd", compression_level=LEVEL)
