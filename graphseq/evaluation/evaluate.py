"""Full ranking of the catalogue for held-out users."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import threads
from graphseq.constants import INTERACTS, Part, Protocol
from graphseq.data.split import HeldOut
from graphseq.errors import ConfigError, GraphSeqError
from graphseq.evaluation.facts import facts
from graphseq.evaluation.metrics import accuracy, coverage, popularity
from graphseq.evaluation.ranking import Ranked, rank_block
from graphseq.evaluation.report import Report
from graphseq.evaluation.rows import Rows, by_length, held_out_rows
from graphseq.evaluation.scoring import Catalogue, scoring
from graphseq.models.base import Model, check_given
from graphseq.sequences.batch import histories

History = Literal["both", "kept", "excluded"]


def evaluate(
    model: Model,
    graph: HeteroData,
    part: Part = "test",
    *,
    ks: Sequence[int] = (5, 10, 20),
    history: History = "both",
    comirec: bool = False,
    batch_size: int = 512,
    progress: bool = False,
    folder: str | Path | None = None,
) -> Report:
    """Rank every item for every held-out user, and measure where the targets stand.

    Both history protocols come out of one pass over the scores. Nothing is sampled.
    The model is put in evaluation mode and gets its former mode back.

    Args:
        model: What scores.
        graph: The graph it was trained on, with the held-out users, on its device.
        part: Which held-out users.
        ks: Lengths of the lists that users see.
        history: Whether items of a user's history can be recommended to that user:
            ``kept`` (they can), ``excluded`` (they cannot; a target among them is a
            miss), ``both``.
        comirec: Also give ``NDCG-ComiRec@k``, see :func:`.metrics.accuracy`.
        batch_size: Users that the model represents at once; changes no result.
        progress: Show a progress bar.
        folder: Save the report there.

    Raises:
        ConfigError: ``part``, ``ks``, ``history`` or ``batch_size`` is not what it may
            be.
        GraphError: The graph does not fit the model or holds no such part.
        GraphSeqError: The model gives NaN.
    """
    check_given("evaluate", model, graph)
    protocols = _check_options(part, history)
    check_measured(ks, batch_size)
    held_out = held_out_rows(model, graph, part)
    lists = sorted(set(ks))
    rows = by_length(held_out)
    with threads.limited(), scoring(model):
        found = _rank(model, graph, held_out, rows, lists[-1], batch_size, progress)
    counts = graph[INTERACTS].edge_index[1].bincount(minlength=model.num_items).cpu()
    values: dict[str, dict[str, float]] = {}
    frames = []
    for protocol in protocols:
        ranks = getattr(found, protocol)
        top = getattr(found, f"{protocol}_top")
        users = accuracy(ranks, rows.targets, lists, comirec=comirec)
        users |= popularity(top, counts, lists)
        means = {name: float(column.mean()) for name, column in users.items()}
        del means["best_rank"]
        values[protocol] = means | coverage(top, model.num_items, lists)
        frames.append(_frame(held_out, rows, protocol, users))
    report = Report(
        values, pl.concat(frames), facts(model, graph, part, lists, rows, counts)
    )
    if folder is not None:
        report.save(folder)
    return report


def check_measured(ks: Sequence[int], batch_size: int) -> None:
    """Refuse lengths of lists, and of batches, that mean nothing.

    Raises:
        ConfigError: As said.
    """
    if not ks or any(not isinstance(k, int) or k < 1 for k in ks):
        raise ConfigError(
            f"ks are the lengths of the lists users see, whole numbers from 1; found "
            f"{ks!r}. Pass, say, ks=(5, 10, 20)"
        )
    if batch_size < 1:
        raise ConfigError(f"batch_size is 1 or more; found {batch_size}")


def _check_options(part: str, history: str) -> list[Protocol]:
    if part not in get_args(Part):
        raise ConfigError(f"part is one of {get_args(Part)}; found {part!r}")
    if history not in get_args(History):
        raise ConfigError(f"history is one of {get_args(History)}; found {history!r}")
    return [name for name in get_args(Protocol) if history in ("both", name)]


def _rank(
    model: Model,
    graph: HeteroData,
    held_out: HeldOut,
    rows: Rows,
    k: int,
    batch_size: int,
    progress: bool,
) -> Ranked:
    """Ranks and top lists of all users, in the order of ``rows``."""
    catalogue = Catalogue(model.catalogue(graph))
    found = []
    for start in _steps(len(rows.order), batch_size, progress):
        chosen = rows.order[start : start + batch_size]
        batch = histories(held_out, chosen, model.max_length, model.num_items)
        vectors = model.represent(batch.to(catalogue.device), graph)
        for first, scores in catalogue.blocks(vectors):
            here, after = start + first, start + first + len(scores)
            targets = rows.targets.between(here, after)
            history = rows.history.between(here, after)
            try:
                found.append(rank_block(scores, model.num_items, targets, history, k))
            except FloatingPointError as error:
                _, row, item = error.args
                user = int(held_out.user[rows.order[here + row]])
                raise GraphSeqError(
                    f"{type(model).__name__} scores item {item} NaN for user {user} "
                    "(dense ids), so nothing can be ranked. Its training diverged: "
                    "lower lr, or go back to an earlier checkpoint"
                ) from error
    return Ranked(*(torch.cat(column) for column in zip(*found, strict=True)))


def _steps(total: int, size: int, progress: bool) -> Iterable[int]:
    steps = range(0, total, size)
    if not progress:
        return steps
    from rich.progress import track

    return track(steps, description="ranking", transient=True)


def _frame(
    held_out: HeldOut, rows: Rows, protocol: str, users: dict[str, Tensor]
) -> pl.DataFrame:
    back = rows.order.argsort()
    frame = pl.DataFrame(
        {"user": held_out.user.numpy(), "targets": rows.targets.lengths[back].numpy()}
        | {name: column[back].numpy() for name, column in users.items()}
    )
    best = pl.col("best_rank")
    best = pl.when(best.is_finite()).then(best).cast(pl.Int64)
    return frame.select(
        "user",
        pl.lit(protocol).alias("protocol"),
        "targets",
        best.alias("best_rank"),
        *(name for name in users if name != "best_rank"),
    )
