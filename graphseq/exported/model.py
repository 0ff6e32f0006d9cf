"""Lists of an exported model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from graphseq.errors import ConfigError, DataError, quantity
from graphseq.exported.folder import ENCODER, open_encoder, read_tables
from graphseq.exported.topk import Lists, Rows, Vectors, best_items

BLOCK = 256  # rows encoded at once
SCORES = 2**22  # scores held at once
SHOWN = 10  # ids in a message

Ids = Sequence[str | int]


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
        self._tables = tables = read_tables(Path(folder))
        self.card, self.window = tables.card, tables.window
        self.items, self.titles, self.users = tables.items, tables.titles, tables.users
        self._by_column = np.ascontiguousarray(tables.vectors.T)
        self._row_of_item = {str(raw): row for row, raw in enumerate(self.items)}
        self._row_of_user = {str(raw): row for row, raw in enumerate(self.users or ())}
        self._session: Any = None
        if ENCODER in self.card["files"]:
            self._session = open_encoder(Path(folder), threads)

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
        _check_choice("unknown", unknown, ("error", "skip"))
        _refuse_text("ids", ids)
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
        assert self._tables.known is not None
        flat, ends = self._tables.known
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
        _check_choice("history_items", history_items, ("keep", "exclude"))
        _check_choice("empty_history", empty_history, ("error", "popularity"))
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ConfigError(f"k, the length of the lists, is 1 or more; found {k}")
        size = len(self.items)
        only, exclude = _rows("only", only, size), _rows("exclude", exclude, size)
        if users is None:
            rows = None
            assert histories is not None
            known = [_rows("histories", row, size) for row in histories]
            if self._session is None:
                raise ConfigError(
                    f"{self.card['model_name']} has a vector for each user, and none "
                    "for new users. Pass users=[…]"
                )
        else:
            rows, known = self._find_users(users), self.histories(users)
        allowed = _allowed(size, only, exclude)
        excludes = history_items == "exclude"
        found = self._ranked(rows, known, allowed, k, excludes)
        unread = self._unread(rows, known)
        if len(unread):
            if empty_history == "error" or self._tables.events is None:
                raise _nothing_to_read(unread, of_users=self._session is None)
            popular = np.tile(self._tables.events + allowed, (len(unread), 1))
            if excludes:
                _leave_out(popular, [known[row] for row in unread])
            best = best_items(popular, k)
            found.items[unread], found.scores[unread] = best.items, best.scores
        return found

    def _unread(self, users: Rows | None, known: Sequence[Rows]) -> Rows:
        """The rows that give the model nothing to read.

        Histories without items; or users whose vectors were never trained.
        """
        if self._session is not None:
            return np.flatnonzero([not len(row) for row in known])
        if self._tables.trained is None:
            return np.empty(0, dtype=np.int64)
        assert users is not None
        return np.flatnonzero(~self._tables.trained[users])

    def neighbours(self, item: int, history: Rows, count: int = 3) -> list[int]:
        """Items of a history that are neighbours of an item in the item graph.

        Args:
            item: Row of an item.
            history: Rows of items.
            count: Most to return.

        Returns:
            Their rows, the largest weight first; empty if the folder has no item graph.
        """
        if self._tables.neighbours is None or self._tables.weights is None:
            return []
        near, weights = self._tables.neighbours[item], self._tables.weights[item]
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
        _refuse_text("users", users)
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
            if self._tables.of_users is not None:
                assert users is not None
                queries = self._tables.of_users[users[rows]]
            else:
                queries = self.encode(near)
            scores = self._scores(queries) + allowed
            if exclude_history:
                _leave_out(scores, near)
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


def _leave_out(scores: Vectors, known: Sequence[Rows]) -> None:
    """Set the scores of the known items of each row to -inf."""
    row = np.repeat(np.arange(len(known)), [len(items) for items in known])
    scores[row, np.concatenate(known)] = -np.inf


def _allowed(size: int, only: Rows | None, exclude: Rows | None) -> Vectors:
    """0 for items that may be recommended, -inf for the others, (V,)."""
    allowed = np.full(size, 0 if only is None else -np.inf, dtype=np.float32)
    if only is not None:
        allowed[only] = 0
    if exclude is not None:
        allowed[exclude] = -np.inf
    return allowed


def _check_choice(name: str, value: object, choices: tuple[str, str]) -> None:
    if value not in choices:
        one, other = choices
        raise ConfigError(f"{name} is {one!r} or {other!r}; found {value!r}")


def _refuse_text(name: str, ids: object) -> None:
    if isinstance(ids, str):
        raise ConfigError(f"{name} is a list of ids, as in [{ids!r}]")


@overload
def _rows(name: str, given: None, size: int) -> None: ...
@overload
def _rows(name: str, given: Any, size: int) -> Rows: ...
def _rows(name: str, given: Any, size: int) -> Rows | None:
    """Rows of items as integers, or None.

    Raises:
        DataError: They are not rows of items.
    """
    if given is None:
        return None
    rows = np.asarray(given)
    if not rows.size:
        return np.empty(0, dtype=np.int64)
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise DataError(
            f"{name} takes rows of items, whole numbers as find_items returns them; "
            f"found {given!r:.80}"
        )
    if (outside := rows[(rows < 0) | (rows >= size)]).size:
        raise DataError(
            f"{name} has rows of no item: {outside[:SHOWN].tolist()}; there are 0 to "
            f"{size - 1}. Leave out -1, which fills lists that are too short"
        )
    return rows.astype(np.int64)


def _unknown(kind: str, ids: Ids) -> DataError:
    shown = ", ".join(map(repr, ids[:SHOWN])) + ", …" * (len(ids) > SHOWN)
    return DataError(
        f"{len(ids):,} unknown {kind}{'s' * (len(ids) > 1)}: {shown}. Pass ids of the "
        "log that the model was trained on"
    )


def _nothing_to_read(rows: Rows, *, of_users: bool) -> DataError:
    shown = ", ".join(map(str, rows[:SHOWN])) + ", …" * (len(rows) > SHOWN)
    reason = "no training event, and the model ranks with trained vectors of users"
    if not of_users:
        reason = "no known item, so the model has nothing to read"
    return DataError(
        f"row {shown} has {reason}. Leave it out, or recommend popular items: "
        "empty_history='popularity', for a model that was exported with its users"
    )
