"""Recommend from a folder that ``graphseq export-model`` wrote, without torch.

The module needs numpy, polars and safetensors, and onnxruntime for models that read
histories. It can be installed without the dependencies of training:
``pip install --no-deps graphseq``.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from graphseq.errors import ConfigError, DataError, RunError, quantity

FORMAT = 1
CARD = "card.json"
ENCODER = "encoder.onnx"
INDEX = "index.faiss"
ITEMS, ITEM_TABLE = "items.safetensors", "items.parquet"
USERS, USER_TABLE = "users.safetensors", "users.parquet"
NAMES = {ENCODER, INDEX, ITEMS, ITEM_TABLE, USERS, USER_TABLE}
DAMAGE = (OSError, KeyError, ValueError, TypeError, AttributeError, SafetensorError)
PARSING = (pl.exceptions.PolarsError, pl.exceptions.PanicException, RecursionError)

BLOCK = 256  # rows encoded at once
SCORES = 2**22  # scores held at once
SHOWN = 10  # ids in a message
LAST_ID = 2**31 - 1

Ids = Sequence[str | int]
Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


class Lists(NamedTuple):
    """The best items of N users.

    Attributes:
        items: Rows of items, best first, (N, k); -1 where there are fewer than k.
        scores: Their scores, (N, k); -inf at -1.
    """

    items: Rows
    scores: Vectors


class ExportedModel:
    """A model in an exported folder. It does not change in use: threads can share it.

    Args:
        folder: The folder.
        threads: Threads of onnxruntime for one call. numpy's own are set by
            ``OMP_NUM_THREADS`` and ``OPENBLAS_NUM_THREADS``.

    Attributes:
        card: The content of ``card.json``.
        items: Raw id of each item, V.
        titles: Title of each item, or ``None``.
        users: Raw id of each user, or ``None`` if the folder has no users.

    Raises:
        RunError: The folder is missing, damaged or of another version.
        ConfigError: onnxruntime is needed and not installed.
    """

    def __init__(self, folder: str | Path, *, threads: int = 1) -> None:
        folder = Path(folder)
        self.card = _read_card(folder)
        try:
            self._load(folder)
            self._check()
        except (*DAMAGE, *PARSING) as error:
            raise _damaged(folder, error) from error
        self._session = None
        if ENCODER in self.card["files"]:
            self._session = _session(folder, threads)

    def _load(self, folder: Path) -> None:
        self.window = int(self.card["window"])
        tensors = load_file(folder / ITEMS)
        self._vectors = tensors["vectors"]
        self._by_column = np.ascontiguousarray(self._vectors.T)
        self._neighbours = tensors.get("neighbours")
        self._weights = tensors.get("weights")
        table = pl.read_parquet(folder / ITEM_TABLE)
        self.items: list[Any] = table["item"].to_list()
        self.titles = table["title"].to_list() if "title" in table.columns else None
        self._popular: Vectors | None = None
        if "events" in table.columns:
            self._popular = table["events"].to_numpy().astype(np.float32)
        self._row_of_item = {str(raw): row for row, raw in enumerate(self.items)}
        self.users: list[Any] | None = None
        self._known: tuple[Rows, Rows] | None = None  # all histories, and their ends
        self._of_users: Vectors | None = None
        self._row_of_user: dict[str, int] = {}
        if USER_TABLE in self.card["files"]:
            table = pl.read_parquet(folder / USER_TABLE)
            self.users = table["user"].to_list()
            ends = table["history"].list.len().cum_sum().to_numpy().astype(np.int64)
            flat = table["history"].explode().drop_nulls().to_numpy()
            self._known = flat.astype(np.int64), np.append(0, ends)
            self._row_of_user = {str(raw): row for row, raw in enumerate(self.users)}
        if USERS in self.card["files"]:
            self._of_users = load_file(folder / USERS)["vectors"]

    def _check(self) -> None:
        """Refuse files that do not fit each other.

        Raises:
            ValueError: With the sizes.
        """
        size, users = len(self.items), len(self.users or ())
        shapes = [self._vectors.shape[:1], (len(self._row_of_item),)]
        shapes += [
            t.shape[:1] for t in (self._neighbours, self._weights) if t is not None
        ]
        if self._vectors.ndim != 2 or set(shapes) != {(size,)} or self.window < 1:
            raise ValueError(f"{size} items, and tables of the sizes {shapes}")
        if self._of_users is not None and len(self._of_users) != users:
            raise ValueError(
                f"{users} users, and {len(self._of_users)} vectors of users"
            )
        if self._known is not None and len(self._known[0]):
            low, high = self._known[0].min(), self._known[0].max()
            if low < 0 or high >= size:
                raise ValueError(f"{size} items, and histories of rows {low} to {high}")

    def __repr__(self) -> str:
        users = "no users" if self.users is None else quantity(len(self.users), "user")
        name = self.card["model_name"]
        return f"ExportedModel({name}, {users}, {quantity(len(self.items), 'item')})"

    def find_items(
        self, ids: Ids, *, unknown: Literal["error", "skip"] = "error"
    ) -> Rows:
        """The rows of items, (n,). An integer and its decimal string are one id.

        Args:
            ids: Raw ids.
            unknown: Refuse unknown ids, or leave them out.

        Raises:
            DataError: Ids are unknown.
        """
        rows = [self._row_of_item.get(str(raw), -1) for raw in ids]
        lacking = [raw for raw, row in zip(ids, rows, strict=True) if row < 0]
        if lacking and unknown == "error":
            raise _unknown("item", lacking)
        return np.array([row for row in rows if row >= 0], dtype=np.int64)

    def histories(self, users: Ids) -> list[Rows]:
        """The rows of the known items of users, oldest first.

        Raises:
            DataError: Users are unknown, or the folder has none.
        """
        rows = self._find_users(users)
        assert self._known is not None
        flat, ends = self._known
        return [flat[ends[row] : ends[row + 1]] for row in rows]

    def recommend(
        self,
        users: Ids | None = None,
        *,
        histories: Sequence[Rows] | None = None,
        k: int = 10,
        history_items: Literal["keep", "exclude"] = "exclude",
        only: Rows | None = None,
        exclude: Rows | None = None,
        empty_history: Literal["error", "popularity"] = "error",
    ) -> Lists:
        """The k items with the highest score for each user.

        Of equal scores, that of the smaller row comes first, as in
        :class:`~graphseq.Recommender`.

        Args:
            users: Raw ids of users of the folder.
            histories: Instead of users, rows of items (:meth:`find_items`), oldest
                first; the newest ``window`` are read.
            k: Items for each user; fewer if the catalogue runs out.
            history_items: Whether items of the history can be recommended:
                ``exclude`` or ``keep`` them.
            only: Rows of the items that may be recommended; ``None``: all.
            exclude: Rows of items that may not be.
            empty_history: ``popularity`` recommends the items with the most training
                events to users without any item; their score is that number.

        Raises:
            DataError: A user is unknown; or a history is empty.
            ConfigError: Both users and histories are given, or neither; the model
                reads users, and histories are given; or another option is out of range.
        """
        if (users is None) == (histories is None):
            given = "neither" if users is None else "both"
            raise ConfigError(
                f"recommend needs either users=[…] or histories=[[…], …]; found {given}"
            )
        if history_items not in ("keep", "exclude"):
            raise ConfigError(
                f"history_items is 'keep' or 'exclude'; found {history_items!r}"
            )
        if k < 1:
            raise ConfigError(f"k, the length of the lists, is 1 or more; found {k}")
        if users is None:
            rows, known = None, [*(histories or [])]
            if self._session is None:
                raise ConfigError(
                    f"{self.card['model_name']} has a vector for each user, and none "
                    "for new users. Pass users=[…]"
                )
        else:
            rows, known = self._find_users(users), self.histories(users)
        allowed = _allowed(len(self.items), only, exclude)
        found = self._ranked(rows, known, allowed, k, history_items == "exclude")
        empty = np.array([not len(row) for row in known], dtype=bool)
        if empty.any() and self._session is not None:
            if empty_history == "error" or self._popular is None:
                raise _empty(np.flatnonzero(empty))
            best = best_items((self._popular + allowed)[None], k)
            found.items[empty], found.scores[empty] = best.items, best.scores
        return found

    def neighbours(self, item: int, history: Rows, count: int = 3) -> list[int]:
        """Items of a history that are neighbours of an item in the item graph.

        Args:
            item: Row of an item.
            history: Rows of items.
            count: Most to return.

        Returns:
            Their rows, the largest weight first; empty if the folder has no item graph.
        """
        if self._neighbours is None or self._weights is None:
            return []
        near, weights = self._neighbours[item], self._weights[item]
        speaking = np.isin(near, history) & (weights > 0)
        order = np.argsort(-weights[speaking], kind="stable")[:count]
        return [int(row) for row in near[speaking][order]]

    def encode(self, histories: Sequence[Rows]) -> Vectors:
        """The vectors of histories, (N, D), or (N, K, D) for K interests.

        Args:
            histories: Rows of items, oldest first.
        """
        assert self._session is not None
        cut = [row[-self.window :] for row in histories]
        table = np.full(
            (len(cut), max([1, *map(len, cut)])), len(self.items), dtype=np.int64
        )
        for row, items in zip(table, cut, strict=True):
            row[: len(items)] = items
        vectors: Vectors = self._session.run(None, {"items": table})[0]
        return vectors

    def _find_users(self, users: Ids) -> Rows:
        if self.users is None:
            raise DataError(
                "this folder was exported without the users' histories. Pass "
                "histories=[[…], …], or export the model with them"
            )
        rows = [self._row_of_user.get(str(raw), -1) for raw in users]
        if lacking := [raw for raw, row in zip(users, rows, strict=True) if row < 0]:
            raise _unknown("user", lacking)
        return np.array(rows, dtype=np.int64)

    def _ranked(
        self,
        users: Rows | None,
        histories: Sequence[Rows],
        allowed: Vectors,
        k: int,
        exclude_history: bool,
    ) -> Lists:
        """The best of the candidates, in blocks of histories of similar length."""
        size = len(self.items)
        found = Lists(
            np.full((len(histories), k), -1, dtype=np.int64),
            np.full((len(histories), k), -np.inf, dtype=np.float32),
        )
        order = np.argsort([len(row) for row in histories], kind="stable")
        step = max(1, min(BLOCK, SCORES // size))
        for start in range(0, len(histories), step):
            rows = order[start : start + step]
            near = [histories[row] for row in rows]
            if self._of_users is not None:
                assert users is not None
                queries = self._of_users[users[rows]]
            else:
                queries = self.encode(near)
            scores = self._scores(queries) + allowed
            if exclude_history:
                row = np.repeat(np.arange(len(near)), [len(items) for items in near])
                scores[row, np.concatenate(near)] = -np.inf
            best = best_items(scores, k)
            found.items[rows], found.scores[rows] = best
        return found

    def _scores(self, queries: Vectors) -> Vectors:
        """Inner products with all items, (n, V); of K interests, the largest."""
        flat = queries.reshape(-1, queries.shape[-1])
        scores: Vectors = flat @ self._by_column
        if queries.ndim == 3:
            scores = scores.reshape(len(queries), -1, scores.shape[1]).max(axis=1)
        return scores


def best_items(scores: Vectors, k: int) -> Lists:
    """The k best columns of each row: largest score first, ties by ascending column.

    Args:
        scores: float32, (N, V); -inf excludes a column.
        k: Length of the lists.
    """
    size = scores.shape[1]
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    keys = (bits ^ ((bits >> 31) & LAST_ID)).astype(np.int64) << 32
    keys |= LAST_ID - np.arange(size, dtype=np.int64)
    if k < size:
        keys = np.partition(keys, size - k, axis=1)[:, size - k :]
    keys = -np.sort(-keys, axis=1)
    items = LAST_ID - (keys & 0xFFFFFFFF)
    values = np.take_along_axis(scores, items, axis=1)
    items[np.isneginf(values)] = -1
    missing = ((0, 0), (0, max(0, k - size)))
    return Lists(
        np.pad(items, missing, constant_values=-1),
        np.pad(values, missing, constant_values=-np.inf),
    )


def _allowed(size: int, only: Rows | None, exclude: Rows | None) -> Vectors:
    """0 for items that may be recommended, -inf for the others, (V,)."""
    allowed = np.full(size, 0 if only is None else -np.inf, dtype=np.float32)
    if only is not None:
        allowed[only] = 0
    if exclude is not None:
        allowed[exclude] = -np.inf
    return allowed


def _read_card(folder: Path) -> dict[str, Any]:
    """The card, and the checksums of the files that it lists."""
    if not (folder / CARD).is_file():
        raise RunError(
            f"{folder} contains no exported model: there is no {CARD}. Write one: "
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


def _session(folder: Path, threads: int) -> Any:
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


def _unknown(kind: str, ids: Ids) -> DataError:
    shown = ", ".join(map(repr, ids[:SHOWN])) + ", …" * (len(ids) > SHOWN)
    return DataError(
        f"{len(ids):,} unknown {kind}{'s' * (len(ids) > 1)}: {shown}. Pass ids of the "
        "log that the model was trained on"
    )


def _empty(rows: Rows) -> DataError:
    shown = ", ".join(map(str, rows[:SHOWN])) + ", …" * (len(rows) > SHOWN)
    return DataError(
        f"row {shown} has no known item, so the model has nothing to read. Leave "
        "empty histories out, or recommend popular items: empty_history='popularity', "
        "for a model that was exported with its users"
    )
