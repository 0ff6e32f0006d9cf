"""An exported folder of five items and two users."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from graphseq.exported import ExportedModel, checksum

VECTORS = np.array([[1, 0], [0, 1], [1, 1], [-1, 0], [0.5, 0.5]], dtype=np.float32)
USERS = np.array([[1, 0], [0, 1]], dtype=np.float32)


class LastItem:
    """In place of an ONNX session: the vector of a history is that of its last item."""

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[np.ndarray]:
        rows = inputs["items"]
        lengths = (rows < len(VECTORS)).sum(axis=1)
        last = rows[np.arange(len(rows)), np.maximum(lengths - 1, 0)]
        padded = np.vstack([VECTORS, np.zeros((1, 2), dtype=np.float32)])
        return [padded[last]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five items, two users with a vector and a history each."""
    items = {"vectors": VECTORS}
    items |= {"neighbours": np.array([[2, 1], [0, 2], [0, 4], [5, 5], [3, 5]], "int32")}
    items |= {"weights": np.array([[3, 1], [2, 2], [5, 1], [0, 0], [1, 0]], "float32")}
    save_file(items, tmp_path / "items.safetensors")
    save_file({"vectors": USERS}, tmp_path / "users.safetensors")
    events = {"item": ["a", "b", "c", "d", "e"], "events": [1, 5, 2, 9, 0]}
    pl.DataFrame(events).write_parquet(tmp_path / "items.parquet")
    known = pl.Series("history", [[0], [1, 2]], dtype=pl.List(pl.Int32))
    users = pl.DataFrame([pl.Series("user", [7, 8]), known])
    users.write_parquet(tmp_path / "users.parquet")
    files = {path.name: checksum(path) for path in tmp_path.iterdir()}
    card = {"format": 1, "model_name": "M", "window": 3, "files": files}
    (tmp_path / "card.json").write_text(json.dumps(card))
    return tmp_path


@pytest.fixture
def of_histories(folder: Path) -> ExportedModel:
    model = ExportedModel(folder)
    model._tables = replace(model._tables, of_users=None)
    model._session = LastItem()
    return model
