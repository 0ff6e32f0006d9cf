"""Vectors of items from a file: Parquet, NumPy or safetensors; nothing is unpickled."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray
from safetensors import safe_open

from graphseq.data.attributes import find_file
from graphseq.data.ids import as_series
from graphseq.errors import DataError

IDS, VECTORS = "ids", "vectors"  # tensors of a safetensors file
SHOWN = 5  # ids in a message
CURE = (
    "Save a Parquet table with a column of ids and a column of lists, a .npy array of "
    "numbers, or a safetensors file, each with one vector of finite numbers an item"
)


class VectorTable(NamedTuple):
    """Vectors of items.

    Attributes:
        ids: Raw item ids, distinct, (n,).
        vectors: One row an item, float32 and finite, (n, F).
    """

    ids: pl.Series
    vectors: NDArray[np.float32]


def read_vectors(
    source: str | Path | pl.DataFrame,
    *,
    item: str = "item",
    vector: str = "vector",
    ids: str | Path | None = None,
    root: str | Path | None = None,
) -> VectorTable:
    """Read the vectors of items.

    Args:
        source: A table, or a file:

            * ``.parquet``: a column of ids, and a column of lists of equal length or
              numeric columns;
            * ``.npy``: an array (n, F), and a text file with one id a line;
            * ``.safetensors``: the tensor ``vectors``, (n, F), and the tensor ``ids``,
              (n,), of integers; or a JSON list of n texts under ``ids`` in the
              metadata; or a text file with one id a line.

        item: Column of the ids.
        vector: Column of the lists; without it, all other columns are the numbers.
        ids: Text file of the ids; ``None`` is ``source`` with the suffix ``.txt``.
        root: Folder of a relative path; ``None`` searches GRAPHSEQ_DATA, the cache of
            ``graphseq get`` and the current folder, in this order.

    Raises:
        DataError: The file does not exist or has another layout; or, all at once, ids
            are missing or occur twice, or vectors have another width or a number that
            is not finite.
    """
    if isinstance(source, pl.DataFrame):
        return _checked("the table of vectors", *_of_table(source, item, vector))
    file = find_file(source, root)
    if not file.is_file():
        raise DataError(f"no file of item vectors at {file}. {CURE}")
    names = None if ids is None else find_file(ids, root)
    try:
        if file.suffix == ".parquet":
            found = _of_table(pl.read_parquet(file, glob=False), item, vector)
        elif file.suffix == ".npy":
            # Mapped: a damaged header cannot request more memory than the file has.
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            found = _lines(names or file.with_suffix(".txt")), array
        elif file.suffix == ".safetensors":
            found = _of_safetensors(file, names)
        else:
            raise ValueError(f"the suffix {file.suffix!r} is none of these formats")
    except DataError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # of any parser
        raise DataError(
            f"{file.name} cannot be read as vectors of items: "
            f"{' '.join(str(error).split()):.200}. {CURE}"
        ) from error
    return _checked(file.name, *found)


def _of_table(frame: pl.DataFrame, item: str, vector: str) -> tuple[pl.Series, object]:
    """Ids and lists of a table."""
    if item not in frame.columns:
        columns = ", ".join(frame.columns[:SHOWN])
        raise DataError(
            f"the vectors have no column {item!r} of ids; found {columns}. Name it: "
            "item='COLUMN'"
        )
    if vector in frame.columns:
        return frame[item], frame[vector]
    numbers = frame.drop(item)
    if not numbers.width or numbers.select(cs.numeric()).width < numbers.width:
        raise DataError(
            f"the vectors have no column {vector!r} of lists, and the columns besides "
            f"{item!r} are not all numeric. Name the column of lists: vector='COLUMN'"
        )
    return frame[item], numbers.cast(pl.Float32).to_numpy()


def _of_safetensors(file: Path, names: Path | None) -> tuple[pl.Series, object]:
    with safe_open(file, framework="np") as opened:
        tensors, metadata = set(opened.keys()), opened.metadata() or {}
        if VECTORS not in tensors:
            raise ValueError(f"it has no tensor {VECTORS!r}, only {sorted(tensors)}")
        vectors = opened.get_tensor(VECTORS)
        if names is None and IDS in tensors:
            return pl.Series(opened.get_tensor(IDS)), vectors
    if names is None and IDS in metadata:
        listed = json.loads(metadata[IDS])
        if not isinstance(listed, list):
            raise ValueError(f"{IDS!r} in its metadata is not a list")
        return pl.Series(listed, dtype=pl.String), vectors
    return _lines(names or file.with_suffix(".txt")), vectors


def _lines(file: Path) -> pl.Series:
    """The ids of a text file, one a line."""
    if not file.is_file():
        raise DataError(
            f"the ids of the vectors, one a line, are not at {file}. Write that file, "
            "or name it: ids='FILE'"
        )
    text = file.read_text(encoding="utf-8-sig")
    return pl.Series(text.splitlines(), dtype=pl.String)


def _checked(name: str, ids: pl.Series, rows: object) -> VectorTable:
    """Refuse vectors that cannot be used, with everything that is wrong.

    Raises:
        DataError: There are some.
    """
    problems = []
    if isinstance(rows, pl.Series):
        vectors, wrong = _stacked(rows)
        if wrong is not None:
            problems.append(wrong)
    else:
        vectors = np.asarray(rows)
    if vectors.ndim != 2 or not vectors.size or vectors.dtype.kind not in "fiu":
        shape = " x ".join(map(str, vectors.shape))
        problems.append(f"an array (n, F) of numbers, found {shape} of {vectors.dtype}")
        raise _refused(name, problems)
    ids = as_series(ids)
    missing, twice = ids.is_null() | (ids.cast(pl.String) == ""), ids.is_duplicated()
    if len(ids) != len(vectors):
        problems.append(f"an id for each vector, found {len(ids)} for {len(vectors)}")
    if missing.any():
        problems.append(f"no empty id, found {missing.sum()}")
    if (twice & ~missing).any():
        shown = ids.filter(twice & ~missing).unique(maintain_order=True)
        problems.append(f"each id once, found {_some(shown)} more than once")
    with np.errstate(over="ignore"):
        narrow: NDArray[np.float32] = np.ascontiguousarray(vectors, dtype=np.float32)
    infinite = ~np.isfinite(narrow).all(axis=1)
    if infinite.any() and len(ids) == len(vectors):
        shown = ids.filter(pl.Series(infinite))
        problems.append(f"finite numbers of 32 bits, found others for {_some(shown)}")
    if problems:
        raise _refused(name, problems)
    return VectorTable(ids, narrow)


def _stacked(rows: pl.Series) -> tuple[NDArray[np.float32], str | None]:
    """Lists as one array, and what is wrong with their lengths."""
    nothing = np.empty((0, 0), np.float32)
    if not isinstance(rows.dtype, pl.List | pl.Array):
        return nothing, f"lists of numbers in {rows.name!r}, found {rows.dtype}"
    if not rows.dtype.inner.is_numeric():
        return nothing, f"lists of numbers in {rows.name!r}, found {rows.dtype}"
    lists = rows.cast(pl.List(pl.Float32))
    lengths = lists.list.len()
    usual = int(lengths.drop_nulls().mode().min()) if lengths.count() else 0  # type: ignore[arg-type]
    other = lengths.fill_null(0) != usual
    if other.any():
        found = lengths.filter(other).fill_null(0).unique().sort().head(SHOWN)
        shown = ", ".join(map(repr, found.to_list()))
        expected = f"vectors of one width, found {usual} numbers in most"
        return nothing, f"{expected} and {shown} in {other.sum()}"
    if not usual:
        return nothing, None  # polars explodes an empty list to nothing or to a null
    flat = lists.explode().fill_null(np.nan).to_numpy()
    return flat.reshape(len(lists), -1), None


def _some(ids: pl.Series) -> str:
    shown = ", ".join(map(repr, ids.head(SHOWN).to_list()))
    return shown + (f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")


def _refused(name: str, problems: list[str]) -> DataError:
    lines = "\n  ".join(problems)
    return DataError(
        f"the vectors of {name} cannot be used. Expected:\n  {lines}\nCorrect them "
        "where they are made, and write them again"
    )
