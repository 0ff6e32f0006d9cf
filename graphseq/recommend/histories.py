"""The full known sequence of each user, from every part of the split."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER
from graphseq.data import HeldOut
from graphseq.data.ragged import Ragged


def known_sequences(graph: HeteroData) -> Ragged:
    """The known items of each user, oldest first: U lists.

    It is the longest of the training events and the held-out rows, targets included.
    """
    user, item = graph[INTERACTS].edge_index.cpu()
    sources = [(user, item)]
    for part in ("validation", "test"):
        rows: HeldOut | None = getattr(graph, part, None)
        if rows is not None:
            sources.append(_events(HeldOut(*(column.cpu() for column in rows))))
    size = graph[USER].num_nodes
    lengths = torch.stack([users.bincount(minlength=size) for users, _ in sources])
    longest = lengths.argmax(dim=0)
    keep = [longest[users] == number for number, (users, _) in enumerate(sources)]
    users = torch.cat([u[k] for (u, _), k in zip(sources, keep, strict=True)])
    items = torch.cat([i[k] for (_, i), k in zip(sources, keep, strict=True)])
    ends = users.bincount(minlength=size).cumsum(0)
    ptr = torch.cat([ends.new_zeros(1), ends])
    return Ragged(items[users.argsort(stable=True)], ptr)


def have_events(graph: HeteroData) -> Bool[Tensor, "U"]:
    """Whether each user has a training event."""
    users = graph[INTERACTS].edge_index[0].cpu()
    found: Tensor = users.bincount(minlength=int(graph[USER].num_nodes)) > 0
    return found


def _events(rows: HeldOut) -> tuple[Int[Tensor, "E"], Int[Tensor, "E"]]:
    """User and item of each event of held-out rows; a user's targets come last."""
    history = Ragged(rows.history, rows.history_ptr)
    targets = Ragged(rows.target, rows.target_ptr)
    users = torch.cat([rows.user[history.rows], rows.user[targets.rows]])
    return users, torch.cat([history.items, targets.items])
