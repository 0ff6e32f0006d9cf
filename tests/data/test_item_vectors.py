"""Vectors of items in each format, and everything that can be wrong with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from graphseq.data import read_vectors
from graphseq.errors import DataError

IDS = ["b", "a", "007"]
VECTORS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]])


def table(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"item": IDS, "vector": VECTORS.tolist()} | columns)


def written(folder: Path, form: str) -> dict[str, Any]:
    """The same vectors in a file of each layout, and how to read it."""
    lines = folder / "vectors.txt"
    if form == "parquet":
        table().write_parquet(folder / "v.parquet")
        return {"source": folder / "v.parquet"}
    if form == "parquet, columns":
        frame = pl.DataFrame({"x": VECTORS[:, 0], "asin": IDS, "y": [2, 4, -6]})
        frame.write_parquet(folder / "v.parquet")
        return {"source": "v.parquet", "item": "asin", "root": folder}
    if form == "npy":
        lines.write_text("\n".join(IDS) + "\n")
        np.save(folder / "vectors.npy", VECTORS.astype(np.float16))
        return {"source": folder / "vectors.npy"}
    if form == "npy, named ids":
        (folder / "names").write_bytes(b"\xef\xbb\xbfb\r\na\r\n007")
        np.save(folder / "vectors.npy", VECTORS.astype(np.int32))
        return {"source": folder / "vectors.npy", "ids": folder / "names"}
    tensors = {"vectors": VECTORS.astype(np.float32)}
    if form == "safetensors, metadata":
        save_file(tensors, folder / "v.safetensors", {"ids": json.dumps(IDS)})
    else:
        lines.write_text("\n".join(IDS))
        save_file(tensors, folder / "v.safetensors")
    names = lines if form == "safetensors, lines" else None
    return {"source": folder / "v.safetensors", "ids": names}


@pytest.mark.parametrize(
    "form",
    [
        "parquet",
        "parquet, columns",
        "npy",
        "npy, named ids",
        "safetensors, metadata",
        "safetensors, lines",
    ],
)
def test_every_layout_gives_the_same_vectors(tmp_path: Path, form: str) -> None:
    found = read_vectors(**written(tmp_path, form))
    assert found.ids.to_list() == IDS
    assert found.vectors.dtype == np.float32
    assert found.vectors.tolist() == VECTORS.tolist()


def test_ids_may_be_integers(tmp_path: Path) -> None:
    tensors = {"vectors": VECTORS, "ids": np.array([7, 3, 5], np.int32)}
    save_file(tensors, tmp_path / "v.safetensors")
    assert read_vectors(tmp_path / "v.safetensors").ids.to_list() == [7, 3, 5]
    frame = table(item=[7, 3, 5])
    assert read_vectors(frame).ids.to_list() == [7, 3, 5]


def test_all_problems_are_named_at_once() -> None:
    frame = table(item=["b", "b", None], vector=[[1.0, None], [1e39, 1.0], [0.0, 1.0]])
    with pytest.raises(DataError) as caught:
        read_vectors(frame)
    message = str(caught.value)
    assert "no empty id, found 1" in message
    assert "each id once, found 'b' more than once" in message
    assert "finite numbers of 32 bits, found others for 'b', 'b'" in message


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"vector": [[1.0], [1.0], [1.0, 2.0]]}, "found 1 numbers in most and 2 in 1"),
        ({"vector": [[1.0], None, [2.0]]}, "found 1 numbers in most and 0 in 1"),
        ({"vector": ["1 2", "3 4", "5 6"]}, "lists of numbers in 'vector'"),
        ({"vector": [[], [], []]}, "an array"),
    ],
)
def test_vectors_of_another_form_are_refused(columns: Any, found: str) -> None:
    with pytest.raises(DataError, match=found):
        read_vectors(table(**columns))


def test_other_columns_are_refused() -> None:
    with pytest.raises(DataError, match="no column 'asin' of ids; found item, vector"):
        read_vectors(table(), item="asin")
    with pytest.raises(DataError, match="Name the column of lists: vector='COLUMN'"):
        read_vectors(table(), vector="embedding")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([{"a": 1}], dtype=object))
    (tmp_path / "v.txt").write_text("a")
    with pytest.raises(DataError, match="cannot be read as vectors of items"):
        read_vectors(tmp_path / "v.npy")


@pytest.mark.parametrize("name", ["v.parquet", "v.npy", "v.safetensors", "v.pt"])
@pytest.mark.parametrize("content", [None, b"", b"PAR1 damaged", b"\x93NUMPY\x01\x00"])
def test_damaged_files_are_refused_in_words(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    (tmp_path / "v.txt").write_text("a")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found = "no file of item vectors" if content is None else f"{name} cannot be read"
    with pytest.raises(DataError, match=found):
        read_vectors(tmp_path / name)


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    with pytest.raises(DataError, match=r"one a line, are not at .*v\.txt"):
        read_vectors(tmp_path / "v.npy")
    (tmp_path / "v.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match="an id for each vector, found 2 for 3"):
        read_vectors(tmp_path / "v.npy")
    np.save(tmp_path / "v.npy", VECTORS[0])
    with pytest.raises(DataError, match=r"an array .* found 2 of float64"):
        read_vectors(tmp_path / "v.npy")
    save_file({"x": VECTORS}, tmp_path / "v.safetensors")
    with pytest.raises(DataError, match=r"no tensor 'vectors', only \['x'\]"):
        read_vectors(tmp_path / "v.safetensors")
    save_file({"vectors": VECTORS}, tmp_path / "v.safetensors", {"ids": '{"a": 1}'})
    with pytest.raises(DataError, match="is not a list"):
        read_vectors(tmp_path / "v.safetensors")


@pytest.mark.parametrize("vector", [[[1.0, 2.0]], ["a", "b"], [True, False]])
def test_lists_of_anything_but_numbers_are_refused(vector: list[object]) -> None:
    table = pl.DataFrame({"item": ["a", "b"], "vector": [vector, vector]})
    with pytest.raises(DataError, match="lists of numbers in 'vector', found List"):
        read_vectors(table)
