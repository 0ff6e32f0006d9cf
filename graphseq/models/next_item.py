"""Next-item losses with a choice of the softmax's denominator (ComiRec, MCLSR)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.objectives import (
    cross_entropy,
    in_batch_softmax,
    log_expected_count,
    log_uniform_sample,
    sampled_softmax,
)
from graphseq.sequences.batch import Batch

Softmax = Literal["full", "uniform", "log_uniform", "in_batch"]


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
    _, targets = batch.target_positions()
    if softmax == "full":
        return cross_entropy(states, items, targets)
    if softmax == "uniform":
        return sampled_softmax(states, items, targets, batch.target_negatives())
    counts = torch.bincount(graph[INTERACTS].edge_index[1], minlength=len(items))
    if softmax == "in_batch":
        users = batch.target_users()
        return in_batch_softmax(
            states, items, targets, counts=counts.float(), user=users
        )
    by_rank = counts.argsort(descending=True, stable=True)
    rank_of = torch.empty_like(by_rank)
    rank_of[by_rank] = torch.arange(len(items), device=items.device)
    drawn, tries = log_uniform_sample(len(items), num_negatives)
    drawn = drawn.to(items.device)
    return sampled_softmax(
        states,
        items,
        targets,
        by_rank[drawn],
        log_expected_target=log_expected_count(rank_of[targets], len(items), tries),
        log_expected_negative=log_expected_count(drawn, len(items), tries),
    )
