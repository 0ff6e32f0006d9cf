"""Recommendations in files: any number of users in bounded memory."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from graphseq.atomic import atomic_file, created_parents, system_errors
from graphseq.drafts import temporary_folder
from graphseq.errors import ConfigError

FORMATS = (".parquet", ".csv", ".jsonl")


def write_lists(batches: Iterable[pl.DataFrame], path: str | Path) -> int:
    """Write frames into one file, as they come; the file appears when it is complete.

    >>> write_lists(recommender.batches(), "lists.parquet")  # doctest: +SKIP

    Args:
        batches: Frames with the same columns, as :meth:`.Recommender.batches` makes
            them.
        path: A file that ends in .parquet, .csv or .jsonl; an older one is replaced.

    Returns:
        The number of rows.

    Raises:
        ConfigError: The name has another ending.
        GraphError: The system refuses to write the file.
    """
    path = Path(path)
    check_format(path)
    with (
        system_errors(f"write {path}"),
        created_parents(path),
        atomic_file(path) as draft,
    ):
        if path.suffix == ".parquet":
            return _write_parquet(batches, draft)
        with draft.open("wb") as file:
            rows = 0
            for number, frame in enumerate(batches):
                if path.suffix == ".csv":
                    frame.write_csv(file, include_header=number == 0)
                else:
                    frame.write_ndjson(file)
                rows += frame.height
            return rows


def check_format(path: Path) -> None:
    """Refuse a file of a format that cannot be written.

    Raises:
        ConfigError: Naming the formats.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(
            f"lists are written as {', '.join(FORMATS)}; found {path.name!r}. Choose "
            "one of these endings"
        )


def _write_parquet(batches: Iterable[pl.DataFrame], path: Path) -> int:
    """Write each frame to a file of its own, then stream these into one."""
    with temporary_folder() as folder:
        rows = 0
        for number, frame in enumerate(batches):
            frame.write_parquet(folder / f"{number:09}.parquet", compression="lz4")
            rows += frame.height
        parts = sorted(folder.glob("*.parquet"))
        pl.scan_parquet(parts, glob=False).sink_parquet(path)
    return rows
