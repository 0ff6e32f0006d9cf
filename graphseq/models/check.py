"""Whether a graph fits a model."""

from collections.abc import Iterator

import torch
from torch.nn import Parameter
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.errors import ConfigError, GraphError
from graphseq.models.base import Model
from graphseq.models.stages import Step


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


def check_stages(model: Model) -> None:
    """Refuse a training step that trains no parameter.

    Raises:
        ConfigError: There is such a step.
    """
    if not any(weight.requires_grad for weight in model.parameters()):
        return
    for stage in model.stages():
        for number, step in enumerate(stage.steps, 1):
            if not trained_parameters(model, step):
                raise ConfigError(
                    f"step {number} of a stage in {type(model).__name__}.stages() "
                    "trains no parameter. The trainable parameters are "
                    f"{', '.join(_trainable(model))}"
                )


def trained_parameters(model: Model, step: Step) -> list[Parameter]:
    """The parameters that a step trains, in the order of the model."""
    return [weight for name, weight in _trainable(model).items() if step.moves(name)]


def _trainable(model: Model) -> dict[str, Parameter]:
    return {n: weight for n, weight in model.named_parameters() if weight.requires_grad}
