"""Estimate multiply-adds, edges and memory of a graph before it is built."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from torch_geometric.transforms import BaseTransform

from graphseq.data import Interactions
from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.product import Integers, multiply_adds, without_hubs
from graphseq.graphs.transitions import Transitions
from graphseq.runtime import allowed_cores

SAMPLED_WORK = 5_000_000  # multiply-adds of the sampled rows
SAMPLED_ROWS = 2_000

# Bytes, measured at the peak of builds of 0.2 to 40 million edges; see the test.
EVENT, EDGE = 24, 20  # kept: an event, in the memory of the log; an edge
LINK, JOINED = 16, 8  # temporary: an edge in one direction, in both
PAIR, MATRIX, NODE = 34, 60, 8  # a pair of events; an event; a node in a thread


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of one step.

    Attributes:
        step: The step.
        operations: Multiply-adds, or pairs of events, exactly; ``None``: unknown.
        edges: Edges that it adds, rather too many than too few; ``None``: unknown.
        memory: Additional bytes at the peak.
        kept: Additional bytes after the step.
    """

    step: BaseTransform
    operations: int | None = None
    edges: int | None = None
    memory: int = 0
    kept: int = 0


def estimate(train: Interactions, steps: Sequence[BaseTransform]) -> list[Estimate]:
    """Estimate the cost of each step on the training events.

    Multiply-adds follow exactly from the degrees. Edges are extrapolated from a fixed
    sample of rows that are multiplied, up to the bounds of ``top_k`` and
    ``symmetrize``. The costs of other steps are unknown.
    """
    found = []
    for step in steps:
        if isinstance(step, CoOccurrence):
            found.append(_co_occurrence(train, step))
        elif isinstance(step, Transitions):
            found.append(_transitions(train, step))
        else:
            found.append(Estimate(step))
    return found


def peak(estimates: Sequence[Estimate]) -> int:
    """Estimated peak memory of a build in bytes, without the log itself."""
    used = most = 0
    for each in estimates:
        most = max(most, used + each.memory)
        used += each.kept
    return max(most, used)


def _co_occurrence(train: Interactions, step: CoOccurrence) -> Estimate:
    shape = train.num_users, train.num_items
    ones = np.ones(len(train), np.float32)
    nodes = csr_matrix((ones, (train.user, train.item)), shape)
    if step.kind == "item":
        nodes = nodes.T.tocsr()
    nodes.data[:] = 1
    nodes = without_hubs(nodes, step.hub_cap)
    work = multiply_adds(nodes, None)
    degrees = np.diff(nodes.indptr)
    others = np.minimum(work - degrees, nodes.shape[0] - 1)  # neighbours at most
    rows = _sampled_rows(work)
    shared = nodes[rows] @ nodes.T.tocsr()
    neighbours = np.diff(shared.indptr) - (degrees[rows] > 0)
    linked = _extrapolated(neighbours, others, rows)
    kept, k = linked, step.top_k
    if k is not None:
        k = min(k, len(degrees))
        kept = _extrapolated(np.minimum(neighbours, k), np.minimum(others, k), rows)
    edges = min(2 * kept, linked) if step.symmetrize == "max" else kept
    before = MATRIX * len(train) + NODE * len(degrees) * allowed_cores()
    memory = before + max(LINK * kept + JOINED * edges, EDGE * edges)
    return Estimate(step, int(work.sum()), edges, memory, EDGE * edges)


def _transitions(train: Interactions, step: Transitions) -> Estimate:
    left = np.repeat(train.pointers[1:], train.lengths) - np.arange(len(train)) - 1
    later = np.minimum(left, step.window)
    pairs = int(later.sum())
    outgoing = np.bincount(train.item, later, minlength=train.num_items)
    most = min(step.top_k or train.num_items, train.num_items)
    edges = int(np.minimum(outgoing, most).sum())
    memory = MATRIX * len(train) + 2 * PAIR * pairs
    return Estimate(step, pairs, edges, memory, EDGE * edges)


def _sampled_rows(work: Integers) -> Integers:
    """A fixed random sample of rows, within a budget of multiply-adds."""
    rows = np.random.default_rng(0).permutation(len(work))[:SAMPLED_ROWS]
    fitting = np.cumsum(work[rows]) <= SAMPLED_WORK
    return rows[fitting]


def _extrapolated(found: Integers, bounds: Integers, rows: Integers) -> int:
    """The sum over all rows, from the sampled rows and the bounds of all."""
    seen, total = int(bounds[rows].sum()), int(bounds.sum())
    return round(int(found.sum()) / seen * total) if seen else total
