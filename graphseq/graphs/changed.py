"""Where two graphs differ: which nodes' edges have to be computed anew."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.data import Vocabulary
from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.factors import sizes_of

Integers = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]

BY_DEGREE = ("cosine", "jaccard", "iuf")  # weights that depend on the nodes' degrees
BY_SIZE = ("adamic_adar", "iuf")  # weights that depend on the neighbours' degrees
NEVER = np.iinfo(np.int64).max // 2


def renumbered(older: HeteroData, newer: HeteroData, kind: str) -> Integers | None:
    """The ids that the nodes of an older graph have in a newer one, (n,).

    None if some are gone, or if they do not stand in the same order: ties between edges
    of one weight, which go to the smaller id, may then fall otherwise.
    """
    if "vocabulary" not in older[kind]:
        return None
    known: Vocabulary = newer[kind].vocabulary
    ids = known.encode(older[kind].vocabulary.ids, missing=-1)
    return ids if np.all(ids >= 0) and np.all(np.diff(ids) > 0) else None


def relation_matrix(
    graph: HeteroData, relation: EdgeType, ids: Integers, size: int
) -> csr_matrix:
    """The weights of a relation between nodes of one kind, under other ids.

    Edges are sorted by source, then target, and so they stay: the ids are ascending.
    """
    source, target = graph[relation].edge_index.cpu().numpy()
    weight = graph[relation].edge_weight.cpu().numpy()
    lengths = np.zeros(size, np.int64)
    lengths[ids] = np.bincount(source, minlength=len(ids))
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((weight, ids[target].astype(np.int32), pointers), (size, size))


def changed_nodes(step: CoOccurrence, old: csr_matrix, new: csr_matrix) -> Mask:
    """The nodes of whose edges to others the weights may have changed, (N,).

    The weight between two nodes that are not among them is what it was.

    Args:
        step: What links them.
        old: Which neighbours each node chose before, binary, (N, M).
        new: The same now.
    """
    cap = getattr(step, "hub_cap", None)
    before, now = _without_hubs(old, cap), _without_hubs(new, cap)
    changed: Mask = np.diff(_difference(before, now).indptr) > 0
    if step.weight in BY_DEGREE:
        changed |= np.diff(old.indptr) != np.diff(new.indptr)
    if step.weight in BY_SIZE:
        resized = (sizes_of(before) != sizes_of(now)).astype(np.float32)
        changed |= now @ resized > 0
    return changed


def changed_sources(
    window: int, old: Integers, new: Integers, users: int, items: int
) -> Mask:
    """The items whose followers within a window may have changed, (V,).

    What two sequences of a user share at their start has the followers that it had,
    but for the last ``window`` places before they part.

    Args:
        window: Steps within which one item follows another.
        old: User and item of every event before, by user, then time, (2, E).
        new: The same now.
        users: U.
        items: V.
    """
    (place, length, start), (places, lengths, _) = (
        _runs(e[0], users) for e in (old, new)
    )
    parting = np.where(length == lengths, NEVER, np.minimum(length, lengths))
    there = places < length[new[0]]
    other = old[1][(start[new[0]] + places)[there]]
    differs = np.flatnonzero(there)[other != new[1][there]]
    np.minimum.at(parting, new[0][differs], places[differs])
    changed = np.zeros(items, dtype=np.bool_)
    for events, position in ((old, place), (new, places)):
        changed[events[1][position >= parting[events[0]] - window]] = True
    return changed


def _runs(user: Integers, users: int) -> tuple[Integers, Integers, Integers]:
    """Place of each event in its user's run; length and start of each run."""
    lengths = np.bincount(user, minlength=users)
    starts = np.cumsum(lengths) - lengths
    return np.arange(len(user)) - starts[user], lengths, starts


def _difference(old: csr_matrix, new: csr_matrix) -> csr_matrix:
    """What changed; no entry where nothing did."""
    found = new - old
    found.eliminate_zeros()
    return found


def _without_hubs(matrix: csr_matrix, cap: int | None) -> csr_matrix:
    """The matrix without neighbours that more nodes chose than a cap allows."""
    if cap is None:
        return matrix
    kept = matrix.copy()
    kept.data[sizes_of(matrix)[matrix.indices] > cap] = 0
    kept.eliminate_zeros()
    return kept
