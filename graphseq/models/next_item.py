"""Next-item losses with a choice of the softmax's denominator (ComiRec, MCLSR)."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.nn.adjacency import version_of
from graphseq.objectives import (
    cross_entropy,
    in_batch_softmax,
    log_expected_count,
    log_uniform_sample,
    sampled_softmax,
)
from graphseq.sequences.batch import Batch

Softmax = Literal["full", "uniform", "log_uniform", "in_batch"]


class Popularity(NamedTuple):
    """The training events of every item.

    Attributes:
        counts: Their number, (V,).
        by_rank: The items, the most popular first, (V,).
        rank_of: Index of each item in ``by_rank``, (V,).
    """

    counts: Float[Tensor, "V"]
    by_rank: Int[Tensor, "V"]
    rank_of: Int[Tensor, "V"]


_known = WeakTensorKeyDictionary()  # of the edges of a graph, as long as these exist


@torch.compiler.disable  # type: ignore[untyped-decorator]
def popularity(graph: HeteroData) -> Popularity:
    """The popularity of the items of a graph, counted once."""
    edges, size = graph[INTERACTS].edge_index, graph["item"].num_nodes
    state = version_of(edges), size
    if edges not in _known or _known[edges][0] != state:
        counts = torch.bincount(edges[1], minlength=size)
        by_rank = counts.argsort(descending=True, stable=True)
        _known[edges] = state, Popularity(counts.float(), by_rank, by_rank.argsort())
    found: Popularity = _known[edges][1]
    return found


def next_item(
    states: Float[Tensor, "N D"],
    items: Float[Tensor, "V D"],
    batch: Batch,
    graph: HeteroData,
    *,
    softmax: Softmax,
    num_negatives: int,
) -> Float[Tensor, ""]:
    """Cross-entropy of every target of a batch against all items or a sample.

    Args:
        states: One for each target of the batch, row by row.
        items: The item vectors.
        batch: With targets, and negatives for ``uniform``.
        graph: Its training events give the popularity for the corrections.
        softmax: All items (``full``); ``uniform`` samples per row, never the user's own
            items; ``log_uniform`` samples by popularity, shared by the batch, with the
            correction (ComiRec); ``in_batch`` targets with the logQ correction.
        num_negatives: Items sampled for ``log_uniform``.

    Returns:
        The mean over the targets.
    """
    targets = batch.target_items()
    if softmax == "full":
        return cross_entropy(states, items, targets)
    if softmax == "uniform":
        return sampled_softmax(states, items, targets, batch.target_negatives())
    counts, by_rank, rank_of = popularity(graph)
    if softmax == "in_batch":
        users = batch.target_users()
        return in_batch_softmax(states, items, targets, counts=counts, user=users)
    drawn, tries = log_uniform_sample(len(items), num_negatives)
    drawn = drawn.to(items.device, non_blocking=True)
    return sampled_softmax(
        states,
        items,
        targets,
        by_rank[drawn],
        log_expected_target=log_expected_count(rank_of[targets], len(items), tries),
        log_expected_negative=log_expected_count(drawn, len(items), tries),
    )
