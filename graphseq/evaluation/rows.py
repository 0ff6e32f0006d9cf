"""Held-out users, checked and put in the order in which they are ranked."""

from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import Part
from graphseq.data import HeldOut
from graphseq.data.ragged import Ragged
from graphseq.errors import GraphError
from graphseq.models.base import Model


class Rows(NamedTuple):
    """Held-out users from the shortest history to the longest.

    Attributes:
        order: The row of the held-out data that stands in each place, (N,).
        targets: What each user was held out for, each item once.
        history: What each user is known for, each item once.
    """

    order: Int[Tensor, "N"]
    targets: Ragged
    history: Ragged


def held_out_rows(model: Model, graph: HeteroData, part: Part) -> HeldOut:
    """The held-out users of a part, on the CPU.

    Raises:
        GraphError: The graph does not fit the model, or holds no such users.
    """
    items = graph["item"].num_nodes
    if model.num_items != items or model.num_users != graph["user"].num_nodes:
        raise GraphError(
            f"{type(model).__name__} was made for {model.num_users} users and "
            f"{model.num_items} items; the graph has {graph['user'].num_nodes} and "
            f"{items}. Evaluate a model on the graph that it was trained on"
        )
    missing = [kind for kind in model.requires if kind not in graph.edge_types]
    if missing:
        raise GraphError(
            f"{type(model).__name__} reads {missing}; the graph has "
            f"{graph.edge_types}. Add the transforms that make them to build_graph"
        )
    stored = getattr(graph, part, None)
    if stored is None:
        raise GraphError(
            f"the graph holds no {part} users. Build it from a Split: "
            "build_graph(leave_one_out(log))"
        )
    held_out = HeldOut(*(column.cpu() for column in stored))
    if not len(held_out.user):
        raise GraphError(f"the {part} part holds no users; choose another split")
    return held_out


def by_length(held_out: HeldOut) -> Rows:
    """Users of similar history travel together, so that batches are padded little."""
    order = held_out.history_ptr.diff().argsort(stable=True)
    targets = Ragged(held_out.target, held_out.target_ptr).distinct()
    history = Ragged(held_out.history, held_out.history_ptr).distinct()
    return Rows(order, targets.take(order), history.take(order))
