"""Fit the vectors of some items to their events, while all other weights stay."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Parameter
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM
from graphseq.errors import ConfigError
from graphseq.models import Model
from graphseq.models.axes import growing_axes
from graphseq.models.computed_features import with_computed_features
from graphseq.models.direct import DirectModel, no_vectors
from graphseq.schema import Count, Positive, Size, checked
from graphseq.sequences.samplers import gather, prefixes

ROWS = 512  # histories that are encoded, and scored, at a time


class Rows(NamedTuple):
    """Histories before N training events, and what does not change for them.

    Attributes:
        states: What each history wants next, (N, K, D) with K vectors of a user.
        known: Log-sum-exp of the scores of all other items, (N,).
        target: Position of the event's item among the fitted ones; -1: another, (N,).
        weight: How many events each row represents, (N,).
    """

    states: Float[Tensor, "N K D"]
    known: Float[Tensor, "N"]
    target: Int[Tensor, "N"]
    weight: Float[Tensor, "N"]


@checked
def fit_items(
    model: Model,
    graph: HeteroData,
    items: Tensor,
    *,
    steps: Size = 20,
    lr: Positive = 0.01,
    others: Count = 20_000,
    seed: Count = 0,
) -> None:
    r"""Fit the vectors of new items to their few training events, in place.

    Minimises the cross-entropy of the softmax over all items,

    .. math::
        -\sum_n w_n \log
        \frac{\exp(s_n \cdot h_{t_n})}{\sum_v \exp(s_n \cdot h_v)}

    over the vectors :math:`h_v` of the given items alone. The states :math:`s_n` of the
    histories and the scores of all other items are computed once, so it costs a small
    part of an epoch. Rows of tables with one row an item (ids, biases) are fitted, in
    each table that the item vectors depend on; all other rows and weights stay, to the
    last bit. Propagated features are fitted through the propagation.

    Args:
        model: A trained model, on any device; fitted in place. Its mode stays.
        graph: A graph with events of the items.
        items: Dense ids of the items, (n,).
        steps: Steps of Adam on all rows.
        lr: Learning rate of Adam.
        others: Events of other items that are read, sampled; each represents several.
            Without any, the new items would be recommended to everyone.
        seed: Seed of the sample.

    Raises:
        ConfigError: The model has no vectors of items, or options are invalid.

    Source:
        Fold-in, as for users and items of matrix factorisation (Sarwar et al., 2002),
        for the softmax of sequence models.
    """
    check_fitted(model)
    mode = model.training
    model.eval()
    try:
        rows = _rows(model, graph, items, others, seed)
        if len(rows.target):
            _descend(model, graph, items, rows, steps, lr)
    finally:
        model.train(mode)


def _descend(
    model: Model, graph: HeteroData, items: Tensor, rows: Rows, steps: int, lr: float
) -> None:
    """Steps of Adam on the items' rows of all tables."""
    tables = [*_tables(model)]
    adam = torch.optim.Adam([table for table, _ in tables], lr=lr)
    for _ in range(steps):
        with torch.enable_grad():
            vectors = model.item_vectors(graph)[items]
        wanted = [table for table, _ in tables if table.requires_grad]
        slopes = torch.autograd.grad(
            vectors, wanted, _slope(vectors.detach(), rows), allow_unused=True
        )
        found = dict(zip(map(id, wanted), slopes, strict=True))
        for table, dim in tables:
            table.grad = _only(found.get(id(table)), items, dim)
        adam.step()
    for table, _ in tables:
        table.grad = None


def _slope(vectors: Float[Tensor, "n D"], rows: Rows) -> Float[Tensor, "n D"]:
    """Gradient of the mean loss, summed over blocks of rows."""
    leaf = vectors.requires_grad_()
    total = torch.zeros_like(vectors)
    for states, known, target, weight in zip(
        *(part.split(ROWS) for part in rows), strict=True
    ):
        with torch.enable_grad():
            scores = (states @ leaf.T).amax(dim=1)
            normaliser = torch.logaddexp(known, scores.logsumexp(dim=1))
            own = scores.gather(1, target.clamp(min=0)[:, None])[:, 0]
            loss = normaliser - torch.where(target >= 0, own, 0.0)
            (slope,) = torch.autograd.grad((weight * loss).sum(), leaf)
        total += slope
    return total / rows.weight.sum()


def _tables(model: Model) -> list[tuple[Parameter, int]]:
    """Parameters with one row an item, and the dimension of the items."""
    axes = growing_axes(model)
    return [
        (parameter, dim)
        for name, parameter in model.named_parameters()
        for dim, kind in axes.get(name, {}).items()
        if kind == ITEM and parameter.requires_grad
    ]


def _only(slope: Tensor | None, items: Tensor, dim: int) -> Tensor | None:
    """The gradient at the items; zero elsewhere, where Adam then changes nothing."""
    if slope is None:
        return None
    kept = torch.zeros_like(slope)
    kept.index_copy_(dim, items, slope.index_select(dim, items))
    return kept


def check_fitted(model: Model) -> None:
    """Refuse a model without vectors of items that can be fitted.

    Raises:
        ConfigError: It has none.
    """
    if isinstance(model, DirectModel):
        raise no_vectors(model)
    if not _tables(model):
        raise ConfigError(
            f"{type(model).__name__} has no trained row for each item, and "
            "new_items='fitted' fits those of new items. Use new_items='neighbours'"
        )


@torch.no_grad()
def _rows(
    model: Model, graph: HeteroData, items: Tensor, others: int, seed: int
) -> Rows:
    """All events of the items with a history, and a sample of those of others."""
    flat = graph[INTERACTS].edge_index[1].cpu()
    examples = prefixes(graph, model.max_length)
    index = torch.full((model.num_items,), -1)
    index[items.cpu()] = torch.arange(len(items))
    target = index[flat[examples.start + examples.length]]
    own, other = (target >= 0).nonzero()[:, 0], (target < 0).nonzero()[:, 0]
    generator = torch.Generator().manual_seed(seed)
    drawn = other[torch.randperm(len(other), generator=generator)[:others]]
    chosen = torch.cat([own, drawn if len(own) else drawn[:0]])
    weight = torch.ones(len(chosen))
    weight[len(own) :] = len(other) / max(1, len(drawn))
    order = torch.argsort(examples.length[chosen], stable=True)
    chosen, weight = chosen[order], weight[order]

    ranked = with_computed_features(model, graph)
    vectors = ranked.catalogue(graph)
    is_fitted = torch.zeros(len(vectors), dtype=torch.bool, device=vectors.device)
    is_fitted[items.to(vectors.device)] = True
    states, known = [vectors.new_empty(0, 1, vectors.shape[1])], [vectors.new_empty(0)]
    for part in chosen.split(ROWS):
        batch = gather(flat, examples, part, model.num_items).to(vectors.device)
        wanted = ranked.represent(batch, graph)
        wanted = wanted if wanted.dim() == 3 else wanted[:, None]
        scores = (wanted @ vectors.T).amax(dim=1)
        scores[:, is_fitted] = -torch.inf
        states.append(wanted)
        known.append(scores.logsumexp(dim=1))
    many = states[1:] or states
    place = vectors.device
    return Rows(
        torch.cat(many),
        torch.cat(known),
        target[chosen].to(place),
        weight.to(place, vectors.dtype),
    )
