"""Items without events in a trained model: ranked by their vectors and attributes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE, ITEM
from graphseq.data.ids import RawIds
from graphseq.errors import ConfigError
from graphseq.graphs import Attributes, ItemVectors
from graphseq.graphs.new_items import extend_items
from graphseq.models.axes import growing_axes, with_sizes
from graphseq.models.base import Model
from graphseq.nn import Pretrained
from graphseq.nn.similar_items import similar_by_attributes, similar_by_vectors


class WithItems(NamedTuple):
    """A model and its graph with more items, for a recommender or an evaluation.

    Attributes:
        model: The model.
        graph: The graph.
    """

    model: Model
    graph: HeteroData


@torch.no_grad()
def add_items(
    model: Model,
    graph: HeteroData,
    steps: Sequence[ItemVectors | Attributes],
    *,
    items: RawIds | None = None,
) -> WithItems:
    """Add items without events to a trained model, without training.

    The model must read vectors (``Pretrained``) or attributes (features that are
    propagated over ``has``). A row of another table, such as an id embedding, is the
    mean of those of the ten known items with the most similar vectors, or else
    attributes. The vectors of known items stay as they are, except
    those that are propagated over ``has``, which read new items too.

    Args:
        model: A trained model; it is left as it is.
        graph: The graph that it ranks with.
        steps: What describes the new items, as the steps of the graph describe the
            others: ``ItemVectors(FILE)``, ``Attributes(FILE)``.
        items: Raw ids of the new items; ``None``: all that every step describes and
            that the graph lacks.

    Returns:
        A larger model and graph, on the device of the given ones. The new items follow
        the others.

    Raises:
        ConfigError: The model reads neither vectors nor attributes, or others than the
            steps describe.
        GraphError: Items are in the graph already, or not described.
        DataError: A source cannot be read.
    """
    problems = [*_unread(model, steps)]
    if problems:
        raise ConfigError(
            f"items without events cannot be added to {type(model).__name__}: "
            + "; ".join(problems)
        )
    extended = extend_items(graph, steps, items)
    before, number = model.num_items, int(extended[ITEM].num_nodes)
    if any(isinstance(step, ItemVectors) for step in steps):
        similar = similar_by_vectors(extended[ITEM].x, before)
    else:
        similar = similar_by_attributes(
            extended, torch.arange(before), torch.arange(before, number)
        )
    larger = with_sizes(model, model.num_users, number)
    axes, state = growing_axes(model), {}
    for name, tensor in model.state_dict().items():
        dims = [dim for dim, kind in axes[name].items() if kind == ITEM]
        state[name] = tensor
        for dim in dims:
            table = state[name].movedim(dim, 0)
            new = similar.mean(table[:before])
            table = torch.cat([table[:before], new, table[before:]])
            state[name] = table.movedim(0, dim)
    weight = next(iter(model.state_dict().values()), torch.empty(0))
    larger = larger.to(weight.device)
    if weight.is_floating_point():
        larger = larger.to(weight.dtype)
    larger.load_state_dict(state)
    return WithItems(larger.train(model.training), extended)


def _unread(model: Model, steps: Sequence[ItemVectors | Attributes]) -> Iterator[str]:
    """What the model reads and the steps lack, or the other way round."""
    parts = any(isinstance(part, Pretrained) for part in model.modules())
    reads = {ItemVectors: parts, Attributes: HAS_ATTRIBUTE in model.ranks_with}
    if not any(reads.values()):
        yield (
            "it reads neither vectors nor attributes of items, so that all of them "
            "would get the same score. Train with features=Pretrained(…) or "
            "features=Propagated(…, relation='has')"
        )
        return
    for kind, words in ((ItemVectors, "vectors"), (Attributes, "attributes")):
        count = sum(isinstance(step, kind) for step in steps)
        if reads[kind] and count != 1:
            yield f"it reads their {words}; pass one {kind.__name__}(FILE) in steps"
        if count and not reads[kind]:
            yield f"it does not read their {words}; leave {kind.__name__} out"
