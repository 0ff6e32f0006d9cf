"""Choose the weights of an ensemble on the validation part."""

import re
from itertools import combinations
from math import comb

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.constants import Protocol
from graphseq.errors import ConfigError, GraphSeqError, suggest
from graphseq.evaluation.held_out import Rows, by_length, held_out_users
from graphseq.evaluation.metrics import accuracy
from graphseq.evaluation.ranking import eval_mode, target_ranks
from graphseq.models.ensemble import Ensemble, EnsembleScorer, no_items
from graphseq.schema import Size, checked
from graphseq.sequences.batch import histories

MOST = 10_000  # weights that are compared at once
FAMILIES = ("HR", "Recall", "NDCG", "MRR")


@checked
def choose_weights(
    ensemble: Ensemble,
    graph: HeteroData,
    *,
    metric: str = "NDCG@10",
    history: Protocol = "excluded",
    steps: Size = 10,
    batch_size: Size = 512,
) -> Ensemble:
    """The ensemble with the weights that are best on the validation part.

    All weights that are multiples of ``1 / steps`` are compared: 11 for two members and
    10 steps, 66 for three. Of equally good ones, those nearest to equal weights are
    chosen. The members score the validation users once; the test part is not read.

    Args:
        ensemble: The ensemble; it is not changed.
        graph: The graph of its members.
        metric: ``NDCG``, ``HR``, ``Recall`` or ``MRR`` with the length of the list.
        history: History protocol.
        steps: Number of steps from 0 to 1.
        batch_size: Users whose histories are read at once; changes no result.

    Raises:
        ConfigError: The metric is unknown, or the weights are too many to compare.
        GraphError: The graph does not fit, or has no validation users.
        GraphSeqError: A score is NaN.
    """
    length = length_of(metric)
    ensemble.check(graph)
    members = len(ensemble.models)
    if (number := comb(steps + members - 1, members - 1)) > MOST:
        raise ConfigError(
            f"{members} members and {steps} steps have {number:,} weights to compare, "
            f"more than {MOST:,}; use fewer steps"
        )
    grid = weights_of(members, steps)
    held_out = held_out_users(graph, "validation")
    rows = by_length(held_out)
    ranks = []
    with runtime.limit_threads(), eval_mode(ensemble):
        scorer = ensemble.scorer(graph)
        for start in range(0, len(rows.order), batch_size):
            chosen = rows.order[start : start + batch_size]
            batch = histories(
                held_out, chosen, ensemble.max_length, ensemble.num_items
            ).to(scorer.device)
            seen = rows.history.between(start, start + len(batch))
            out = seen if history == "excluded" else no_items(len(batch))
            for first, parts in scorer.parts(batch, out):
                here = start + first, start + first + parts.shape[1]
                ranks.append(_ranks(scorer, parts, grid, rows, here, history))
    found = [accuracy(r, rows.targets, [length]) for r in torch.cat(ranks, dim=1)]
    values = torch.stack([users[metric].mean() for users in found])
    return ensemble.reweighted(grid[int(values.argmax())].tolist())


def length_of(metric: str) -> int:
    """Length of the lists that a metric reads.

    Args:
        metric: Such as ``NDCG@10``.

    Raises:
        ConfigError: It is unknown, or has no length.
    """
    family, _, length = metric.partition("@")
    if family not in FAMILIES or not re.fullmatch("[1-9][0-9]*", length):
        known = family in FAMILIES
        advice = f"give a length: {family}@10" if known else suggest(family, FAMILIES)
        raise ConfigError(f"metric is such as NDCG@10, found {metric!r}; {advice}")
    return int(length)


def weights_of(members: int, steps: int) -> Float[Tensor, "G M"]:
    """All weights that are multiples of 1 / steps, those near to equal ones first."""
    bars = combinations(range(steps + members - 1), members - 1)
    edges = torch.tensor([[-1, *bar, steps + members - 1] for bar in bars])
    weights = (edges.diff(dim=1) - 1).double() / steps
    distance = (weights - 1 / members).square().sum(dim=1)
    return weights[distance.mul(1e9).round().argsort(stable=True)]


def _ranks(
    scorer: EnsembleScorer,
    parts: Float[Tensor, "M n W"],
    grid: Float[Tensor, "G M"],
    rows: Rows,
    here: tuple[int, int],
    history: Protocol,
) -> Float[Tensor, "G P"]:
    """The ranks of the targets of n users with all weights."""
    if parts.isnan().any():
        raise GraphSeqError(
            "a member of the ensemble scores an item NaN. Its training diverged: "
            "leave it out, or return to an earlier checkpoint"
        )
    targets = rows.targets.between(*here)
    seen = rows.history.between(*here).padded(scorer.num_items).to(parts.device)
    found = []
    for weights in grid.to(parts):
        scores = scorer.combined(parts, weights)
        kept, excluded = target_ranks(scores, targets, seen, scores.gather(1, seen))
        found.append(excluded if history == "excluded" else kept)
    return torch.stack(found).cpu()
