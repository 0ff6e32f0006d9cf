"""How many held-out targets are in the history of their own user."""

import torch
from torch_geometric.data import HeteroData

from graphseq.data.ragged import Ragged
from graphseq.data.split import HeldOut


def repeated(held_out: HeldOut) -> float:
    """Fraction of the targets that are in their user's history, each once for a user.

    With the history excluded these are misses; with the history kept, a ranking of the
    history finds them (:class:`graphseq.models.Repeat`).
    """
    targets = Ragged(held_out.target, held_out.target_ptr).distinct()
    history = Ragged(held_out.history, held_out.history_ptr).distinct()
    both = torch.cat([targets.items, history.items])
    size = int(both.max()) + 1 if len(both) else 1
    known = torch.isin(
        targets.rows * size + targets.items, history.rows * size + history.items
    )
    return float(known.double().mean())


def repeated_targets(graph: HeteroData) -> dict[str, float]:
    """:func:`repeated` for each part of the graph that has users."""
    names = [name for name in ("validation", "test") if name in graph]
    parts: dict[str, HeldOut] = {name: getattr(graph, name) for name in names}
    return {name: repeated(rows) for name, rows in parts.items() if len(rows.target)}
