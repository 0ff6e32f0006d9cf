"""The held-out users of a part: ordered to be ranked, and one row each in a report."""

from typing import Any, NamedTuple

import polars as pl
import polars.selectors as cs
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import USER, Part
from graphseq.data import HeldOut
from graphseq.data.ragged import Ragged
from graphseq.errors import GraphError


class Rows(NamedTuple):
    """Held-out users from the shortest history to the longest.

    Attributes:
        order: Row of the held-out data at each position, (N,).
        targets: The targets of each user, each item once.
        history: The history of each user, each item once.
    """

    order: Int[Tensor, "N"]
    targets: Ragged
    history: Ragged


def held_out_users(graph: HeteroData, part: Part) -> HeldOut:
    """The held-out users of a part, on the CPU.

    Raises:
        GraphError: There are none.
    """
    stored = getattr(graph, part, None)
    if stored is None or not len(stored.user):
        raise GraphError(
            f"the graph has no {part} users. Build it from a split that has them: "
            "build_graph(leave_one_out(log)); if it is that of a run without its users "
            "(keep_histories=False), give the whole graph (--graph)"
        )
    return HeldOut(*(column.cpu() for column in stored))


def by_length(held_out: HeldOut) -> Rows:
    """Order users by the length of their history, so that batches need less padding."""
    order = held_out.history_ptr.diff().argsort(stable=True)
    targets = Ragged(held_out.target, held_out.target_ptr).distinct()
    history = Ragged(held_out.history, held_out.history_ptr).distinct()
    return Rows(order, targets.take(order), history.take(order))


def per_user(
    graph: HeteroData,
    held_out: HeldOut,
    rows: Rows,
    protocol: str,
    users: dict[str, Tensor],
    counts: Int[Tensor, "V"],
) -> pl.DataFrame:
    """A table of one row a user, in the order of the held-out data.

    Args:
        graph: The graph, which may have the raw ids of the users.
        held_out: The users.
        rows: The same, in the order of ``users``.
        protocol: The history protocol of the metrics.
        users: Values of each metric, (N,).
        counts: Training events of each item.
    """
    back = rows.order.argsort()
    frame = pl.DataFrame(
        _ids(graph, held_out.user.numpy())
        | {
            "targets": rows.targets.lengths[back].numpy(),
            "history_length": held_out.history_ptr.diff().numpy(),
            "target_events": _rarest(rows.targets, counts)[back].numpy(),
        }
        | {name: column[back].numpy() for name, column in users.items()}
    )
    best = pl.col("best_rank")
    best = pl.when(best.is_finite()).then(best).cast(pl.Int64)
    return frame.select(
        cs.starts_with("user"),
        pl.lit(protocol).alias("protocol"),
        "targets",
        "history_length",
        "target_events",
        best.alias("best_rank"),
        *(name for name in users if name != "best_rank"),
    )


def _rarest(targets: Ragged, counts: Int[Tensor, "V"]) -> Int[Tensor, "N"]:
    """Training events of each user's target; of several targets, the fewest."""
    fewest = counts.new_zeros(len(targets.lengths))
    found = counts[targets.items]
    return fewest.scatter_reduce(0, targets.rows, found, "amin", include_self=False)


def _ids(graph: HeteroData, users: Any) -> dict[str, Any]:
    """Raw ids, if the graph has them, and dense ids of users."""
    dense = {"user_index": users}
    if "vocabulary" not in graph[USER]:
        return dense
    return {"user": graph[USER].vocabulary.ids.gather(users), **dense}
