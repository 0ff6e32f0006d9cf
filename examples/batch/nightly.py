"""Lists for all users of an exported model, on one machine.

python examples/batch/nightly.py exported/sasrec lists.parquet --k 10

Needs numpy, polars, pyarrow, safetensors and onnxruntime, but not torch.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graphseq.exported import ExportedModel

BLOCK = 4096  # users whose lists are held at once


def lists(model: ExportedModel, users: Sequence[Any], k: int) -> Iterator[pa.Table]:
    """Columns user, rank (from 1), item, score; users in the order given."""
    items = pa.array(model.items)
    for start in range(0, len(users), BLOCK):
        block = users[start : start + BLOCK]
        found = model.recommend(block, k=k, empty_history="popularity")
        row, rank = np.nonzero(found.items >= 0)
        columns = {
            "user": pa.array(block).take(row),
            "rank": pa.array(rank + 1, pa.int32()),
            "item": items.take(found.items[row, rank]),
            "score": found.scores[row, rank],
        }
        yield pa.table(columns)


def write(folder: Path, output: Path, k: int) -> int:
    """Write the lists to a temporary file, and rename it; returns the users."""
    model = ExportedModel(folder)
    users = model.users
    if users is None:
        raise SystemExit(f"{folder} was exported without its users")
    draft = output.with_name(f".{output.name}.{os.getpid()}.new")
    writer = None
    try:
        for table in lists(model, users, k):
            writer = writer or pq.ParquetWriter(draft, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()
            os.replace(draft, output)
    finally:
        draft.unlink(missing_ok=True)
    return len(users)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="exported folder")
    parser.add_argument("output", type=Path, help="Parquet file to write")
    parser.add_argument("--k", type=int, default=10, help="length of the lists")
    given = parser.parse_args()
    number = write(given.model, given.output, given.k)
    print(f"lists of {number:,} users in {given.output}")


if __name__ == "__main__":
    main()
