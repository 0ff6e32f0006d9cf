"""Incremental graph update: reuse the edges of an older graph that did not change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, vstack
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from graphseq.constants import INTERACTS, ITEM, PRECEDES, USER
from graphseq.data import Split
from graphseq.graphs.attributes import Attributes
from graphseq.graphs.build import (
    apply_step,
    build_graph,
    check_steps,
    describe_steps,
    interaction_matrix,
    provenance_of,
    write_relation,
)
from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.incremental import (
    Mask,
    changed_nodes,
    changed_sources,
    new_ids,
    relation_matrix,
    update_edges,
)
from graphseq.graphs.item_vectors import ItemVectors
from graphseq.graphs.product import Integers, multiply_adds
from graphseq.graphs.progress import report_step
from graphseq.graphs.transitions import Transitions

MOST_WORK = 0.4  # fraction of the work from which on all rows are computed


@dataclass(frozen=True)
class RelationUpdate:
    """What was computed for one relation.

    Attributes:
        step: The step that adds the relation.
        rows: Nodes whose edges were computed; ``None`` if the step does not count.
        all_rows: Nodes in all.
        work: Multiply-adds, or events, of these rows.
        all_work: Those of all rows.
    """

    step: BaseTransform
    rows: int | None = None
    all_rows: int = 0
    work: int = 0
    all_work: int = 0


class Updated(NamedTuple):
    """A graph, and what was computed for each of its steps."""

    graph: HeteroData
    updates: list[RelationUpdate]


def update_graph(
    older: HeteroData, split: Split, transforms: Sequence[BaseTransform] = ()
) -> Updated:
    """Build the graph of a split faster, with the help of an older graph.

    The result equals :func:`build_graph` bit for bit. Edges of the older graph are
    reused where nothing that they depend on has changed: events may be added, moved or
    removed, users and items may be new. All edges are computed if nodes are gone or in
    another order, if the steps differ from those of the older graph, or if most of the
    work would have to be repeated anyway.

    Args:
        older: A graph by the same steps, of a log with many events in common.
        split: Training events and held-out rows now.
        transforms: Steps that add relations, in order.

    Returns:
        The graph, and what was computed for each step.
    """
    check_steps(transforms)
    graph = build_graph(split)
    change = _change(older, graph, transforms)
    updates = []
    for step in transforms:
        report_step(step)
        if change is not None and isinstance(step, CoOccurrence):
            updates.append(_update_co_occurrence(step, change, graph))
        elif change is not None and isinstance(step, Transitions):
            updates.append(_update_transitions(step, change, graph))
        else:
            graph = apply_step(step, graph)
            updates.append(_all_rows(step, graph))
    graph.provenance = provenance_of(split, transforms)
    return Updated(graph, updates)


def plan_update(
    older: HeteroData, split: Split, transforms: Sequence[BaseTransform] = ()
) -> list[RelationUpdate]:
    """What :func:`update_graph` would compute at least, without computing it."""
    graph = build_graph(split)
    change = _change(older, graph, transforms)
    found = []
    for step in transforms:
        if change is not None and isinstance(step, CoOccurrence):
            nodes, changed = _changed_nodes(step, change)
            found.append(_counted(step, changed, multiply_adds(nodes, step.hub_cap)))
        elif change is not None and isinstance(step, Transitions):
            found.append(_counted(step, *_changed_sources(step, change)))
        else:
            found.append(_all_rows(step, graph))
    return found


class _Change(NamedTuple):
    """Two graphs, and the new ids of the users and items of the older one."""

    older: HeteroData
    newer: HeteroData
    users: Integers
    items: Integers


def _change(
    older: HeteroData, newer: HeteroData, transforms: Sequence[BaseTransform]
) -> _Change | None:
    """The change between two graphs; ``None`` if no edges can be reused."""
    if not _same_steps(older, transforms):
        return None
    users, items = (new_ids(older, newer, kind) for kind in (USER, ITEM))
    if users is None or items is None:
        return None
    return _Change(older, newer, users, items)


def _same_steps(older: HeteroData, transforms: Sequence[BaseTransform]) -> bool:
    """Whether one step makes each relation, and the same step made the older one."""
    kinds = CoOccurrence, Transitions, Attributes, ItemVectors
    names = [(type(t), getattr(t, "kind", None)) for t in transforms]
    made = getattr(older, "provenance", {}).get("transforms")
    return (
        all(isinstance(t, kinds) for t in transforms)
        and len({*names}) == len(names)
        and made == describe_steps(transforms)
    )


def _update_co_occurrence(
    step: CoOccurrence, change: _Change, graph: HeteroData
) -> RelationUpdate:
    relation = (step.kind, "co_occurs", step.kind)
    nodes, changed = _changed_nodes(step, change)
    rows: Integers = np.flatnonzero(changed)
    if len(rows) == len(changed):
        links = step.symmetric(step.pruned(nodes))
    else:
        ids = change.users if step.kind == USER else change.items
        edges = relation_matrix(change.older, relation, ids, len(changed))
        links, rows = update_edges(step, edges, nodes, changed)
    write_relation(graph, relation, links)
    return _counted(step, rows, multiply_adds(nodes, step.hub_cap))


def _changed_nodes(step: CoOccurrence, change: _Change) -> tuple[csr_matrix, Mask]:
    """The neighbours of each node, and the rows to compute at least."""
    new = interaction_matrix(change.newer, "update_graph")
    pairs = interaction_matrix(change.older, "update_graph").tocoo()
    entries = change.users[pairs.row], change.items[pairs.col]
    old = csr_matrix((pairs.data, entries), new.shape)
    if step.kind == ITEM:
        old, new = old.T.tocsr(), new.T.tocsr()
    if step.symmetrize == "min" and step.top_k is not None:
        return new, np.ones(new.shape[0], dtype=np.bool_)  # see update_edges
    changed = changed_nodes(step, old, new)
    return new, _or_all(changed, multiply_adds(new, step.hub_cap))


def _update_transitions(
    step: Transitions, change: _Change, graph: HeteroData
) -> RelationUpdate:
    changed, work = _changed_sources(step, change)
    rows, size = np.flatnonzero(changed), len(changed)
    user, item = change.newer[INTERACTS].edge_index.cpu().numpy()
    links = relation_matrix(change.older, PRECEDES, change.items, size)
    source = np.arange(size)  # the row of each item in the stack of old and new
    source[rows] = size + np.arange(len(rows))
    links = vstack([links, step.pruned(user, item, size, rows)], format="csr")[source]
    write_relation(graph, PRECEDES, links)
    return _counted(step, changed, work)


def _changed_sources(step: Transitions, change: _Change) -> tuple[Mask, Integers]:
    """The rows to compute, and the events of every item."""
    events = change.newer[INTERACTS].edge_index.cpu().numpy()
    user, item = change.older[INTERACTS].edge_index.cpu().numpy()
    before = np.stack([change.users[user], change.items[item]])
    sizes = change.newer[USER].num_nodes, change.newer[ITEM].num_nodes
    changed = changed_sources(step.window, before, events, *sizes)
    work = np.bincount(events[1], minlength=sizes[1])
    return _or_all(changed, work), work


def _or_all(changed: Mask, work: Integers) -> Mask:
    """The changed rows, or all rows if the changed ones are most of the work."""
    most = bool(work[changed].sum() > MOST_WORK * work.sum())
    return np.ones_like(changed) if most else changed


def _counted(
    step: BaseTransform, rows: Mask | Integers, work: Integers
) -> RelationUpdate:
    part = work[rows]
    return RelationUpdate(step, len(part), len(work), int(part.sum()), int(work.sum()))


def _all_rows(step: BaseTransform, graph: HeteroData) -> RelationUpdate:
    """The update of a relation that is computed as a whole."""
    if isinstance(step, CoOccurrence):
        nodes = interaction_matrix(graph, "update_graph")
        nodes = nodes if step.kind == USER else nodes.T.tocsr()
        work = multiply_adds(nodes, step.hub_cap)
    elif isinstance(step, Transitions):
        item = graph[INTERACTS].edge_index[1].cpu().numpy()
        work = np.bincount(item, minlength=graph[ITEM].num_nodes)
    else:
        return RelationUpdate(step)
    return _counted(step, np.arange(len(work)), work)
