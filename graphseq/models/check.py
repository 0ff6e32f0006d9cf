"""Whether a graph fits a model."""

from collections.abc import Iterator

import torch
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.errors import GraphError
from graphseq.models.base import Model


def check_fits(model: Model, graph: HeteroData) -> None:
    """Refuse a graph on which the model cannot be trained or evaluated.

    Raises:
        GraphError: With everything that does not fit.
    """
    name = type(model).__name__
    problems = [
        f"it reads {relation}, and the graph has {graph.edge_types}: add the transform "
        "that makes it to build_graph"
        for relation in model.requires
        if relation not in graph.edge_types
    ]
    for kind in ("user", "item"):
        size, found = getattr(model, f"num_{kind}s", None), graph[kind].num_nodes
        if size is None:
            problems.append(f"it has no number of {kind}s: set self.num_{kind}s")
        elif found != size:
            problems.append(
                f"it was built for {size} {kind}s, and the graph has {found}: pass the "
                f"graph that it was trained on, or build it with num_{kind}s={found}"
            )
    if model.has_user_embeddings:
        problems += _users_without_events(graph)
    if problems:
        listed = "\n  ".join(problems)
        raise GraphError(f"{name} does not fit this graph:\n  {listed}")


def _users_without_events(graph: HeteroData) -> Iterator[str]:
    """Held-out users whose embedding would never be trained."""
    events = torch.bincount(
        graph[INTERACTS].edge_index[0], minlength=graph["user"].num_nodes
    )
    for part in ("validation", "test"):
        users = graph[part].user if part in graph else events[:0]
        unknown = int((events[users] == 0).sum())
        if unknown:
            yield (
                f"it has an embedding for each user, and {unknown} of {len(users)} "
                f"{part} users have no training events: use a split that keeps every "
                "user's past, such as leave_one_out, or a model that reads the history"
            )
