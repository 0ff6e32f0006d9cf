"""The files of an exported model, verified before they are read."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from graphseq.errors import ConfigError, RunError
from graphseq.exported.topk import Rows, Vectors

FORMAT = 1
CARD = "card.json"
ENCODER = "encoder.onnx"
INDEX = "index.faiss"
ITEMS, ITEM_TABLE = "items.safetensors", "items.parquet"
USERS, USER_TABLE = "users.safetensors", "users.parquet"
NAMES = {ENCODER, INDEX, ITEMS, ITEM_TABLE, USERS, USER_TABLE}
DAMAGE = (OSError, KeyError, ValueError, TypeError, AttributeError, SafetensorError)
PARSING = (pl.exceptions.PolarsError, pl.exceptions.PanicException, RecursionError)


@dataclass(frozen=True)
class Tables:
    """The tables of a folder with V items and U users.

    Attributes:
        card: The content of ``card.json``.
        window: Items of a history that the encoder reads.
        items: Raw id of each item.
        vectors: Of the items, (V, D).
        neighbours: Rows of the nearest items of each, (V, n).
        weights: Of the edges to them, (V, n).
        titles: Title of each item.
        events: Training events of each item, (V,).
        users: Raw id of each user.
        known: Rows of the known items of all users, and their ends, (U + 1,).
        of_users: Vectors of the users, (U, D), for models that read users.
        trained: Whether each user has a training event, (U,); ``None``: not known.
    """

    card: dict[str, Any]
    window: int
    items: list[Any]
    vectors: Vectors
    neighbours: NDArray[Any] | None
    weights: NDArray[Any] | None
    titles: list[Any] | None = None
    events: Vectors | None = None
    users: list[Any] | None = None
    known: tuple[Rows, Rows] | None = None
    of_users: Vectors | None = None
    trained: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse files that do not fit each other.

        Raises:
            ValueError: With the sizes.
        """
        size, users = len(self.items), len(self.users or ())
        shapes = [self.vectors.shape[:1], (len(set(map(str, self.items))),)]
        shapes += [
            t.shape[:1] for t in (self.neighbours, self.weights) if t is not None
        ]
        if self.vectors.ndim != 2 or set(shapes) != {(size,)} or self.window < 1:
            raise ValueError(f"{size} items, and tables of the sizes {shapes}")
        if self.of_users is not None and len(self.of_users) != users:
            raise ValueError(
                f"{users} users, and {len(self.of_users)} vectors of users"
            )
        if self.known is not None and len(self.known[0]):
            low, high = self.known[0].min(), self.known[0].max()
            if low < 0 or high >= size:
                raise ValueError(f"{size} items, and histories of rows {low} to {high}")


def read_tables(folder: Path) -> Tables:
    """Read a folder, after the checksums of its files.

    Raises:
        RunError: The folder is missing, damaged or of another version.
    """
    card = _read_card(folder)
    try:
        tensors = load_file(folder / ITEMS)
        table = pl.read_parquet(folder / ITEM_TABLE, glob=False)
        optional: dict[str, Any] = {}
        if "title" in table.columns:
            optional["titles"] = table["title"].to_list()
        if "events" in table.columns:
            optional["events"] = table["events"].to_numpy().astype(np.float32)
        if USER_TABLE in card["files"]:
            users = pl.read_parquet(folder / USER_TABLE, glob=False)
            ends = users["history"].list.len().cum_sum().to_numpy().astype(np.int64)
            flat = users["history"].explode().drop_nulls().to_numpy()
            optional["users"] = users["user"].to_list()
            if "trained" in users.columns:
                optional["trained"] = users["trained"].to_numpy().astype(bool)
            optional["known"] = flat.astype(np.int64), np.append(0, ends)
        if USERS in card["files"]:
            optional["of_users"] = load_file(folder / USERS)["vectors"]
        return Tables(
            card,
            int(card["window"]),
            table["item"].to_list(),
            tensors["vectors"],
            tensors.get("neighbours"),
            tensors.get("weights"),
            **optional,
        )
    except (*DAMAGE, *PARSING) as error:
        raise _damaged(folder, error) from error


def _read_card(folder: Path) -> dict[str, Any]:
    """The card, and the checksums of the files that it lists."""
    if not (folder / CARD).is_file():
        raise RunError(
            f"{folder} contains no exported model: {CARD} is missing. Write one: "
            "graphseq export-model RUN FOLDER"
        )
    try:
        card = dict(json.loads((folder / CARD).read_text("utf-8")))
        files = dict(card["files"])
        if strange := set(files) - NAMES:  # before a name becomes a path
            raise ValueError(f"files that no export has: {sorted(map(str, strange))}")
        wrong = [n for n, known in files.items() if checksum(folder / n) != known]
    except (*DAMAGE, RecursionError) as error:
        raise _damaged(folder, error) from error
    if card.get("format") != FORMAT:
        raise RunError(
            f"{folder} has the format {card.get('format')!r}, and this version reads "
            f"format {FORMAT}. Export the model again"
        )
    if wrong:
        raise RunError(
            f"{', '.join(wrong)} in {folder} differs from the checksum in {CARD}. "
            "Restore the folder from a copy, or export the model again"
        )
    return card


def checksum(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_encoder(folder: Path, threads: int) -> Any:
    """An onnxruntime session of the encoder.

    Raises:
        RunError: The file is damaged.
        ConfigError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            "the model reads histories with onnxruntime, which is not installed: "
            "pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    content = (folder / ENCODER).read_bytes()
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own classes, which it does not document
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> RunError:
    return RunError(
        f"the exported model in {folder} is damaged ({type(error).__name__}: {error}). "
        "Restore the folder from a copy, or export the model again"
    )
