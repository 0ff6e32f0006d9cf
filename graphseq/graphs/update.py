"""A graph made anew after a change, from what an older one has of it already."""

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
    build_graph,
    described,
    interaction_matrix,
    provenance_of,
    write_relation,
)
from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.incremental import (
    Integers,
    Mask,
    changed_nodes,
    changed_sources,
    relation_matrix,
    renewed,
    renumbered,
)
from graphseq.graphs.product import multiply_adds
from graphseq.graphs.progress import begin
from graphseq.graphs.transitions import Transitions

WORTH_IT = 0.4  # share of the work, which is done twice, beyond which all is done


@dataclass(frozen=True)
class RelationUpdate:
    """What of a relation was computed anew.

    Attributes:
        step: The step that adds the relation.
        rows: Nodes whose edges were computed; ``None`` where nothing is counted.
        all_rows: Nodes there are.
        work: Multiply-adds, or pairs of events, of these rows.
        all_work: Those of all rows.
    """

    step: BaseTransform
    rows: int | None = None
    all_rows: int = 0
    work: int = 0
    all_work: int = 0


class Updated(NamedTuple):
    """A graph, and what of it was computed anew."""

    graph: HeteroData
    renewals: list[RelationUpdate]


def update_graph(
    older: HeteroData, split: Split, transforms: Sequence[BaseTransform] = ()
) -> Updated:
    """The graph of a split, as :func:`build_graph` makes it, but sooner.

    It is the same graph, bit for bit. Edges of an older one are taken over where
    nothing that they depend on has changed: events may have been added, moved or taken
    away, users and items may be new. If nodes are gone or renumbered in another order,
    if the steps are others than those that made the older graph, or if most of the
    work would have to be done again, the edges are computed as if for the first time.

    Args:
        older: A graph made by the same steps, of a log that shares much with this one.
        split: Training events and held-out rows, as they are now.
        transforms: Steps that add relations, in order.

    Returns:
        The graph, and for each step what was computed.
    """
    graph = build_graph(split)
    change = _change(older, graph, transforms)
    renewals = []
    for step in transforms:
        begin(step)
        if change is not None and isinstance(step, CoOccurrence):
            renewals.append(_co_occurrence(step, change, graph))
        elif change is not None and isinstance(step, Transitions):
            renewals.append(_transitions(step, change, graph))
        else:
            graph = step(graph)
            renewals.append(_anew(step, graph))
    graph.provenance = provenance_of(split, transforms)
    return Updated(graph, renewals)


def plan_update(
    older: HeteroData, split: Split, transforms: Sequence[BaseTransform] = ()
) -> list[RelationUpdate]:
    """What :func:`update_graph` would compute, found out without computing it.

    More rows may prove necessary once those of the changed nodes are known.
    """
    graph = build_graph(split)
    change = _change(older, graph, transforms)
    found = []
    for step in transforms:
        if change is not None and isinstance(step, CoOccurrence):
            nodes, changed = _changed_nodes(step, change)
            found.append(_renewal(step, changed, multiply_adds(nodes, step.hub_cap)))
        elif change is not None and isinstance(step, Transitions):
            found.append(_renewal(step, *_changed_sources(step, change)))
        else:
            found.append(_anew(step, graph))
    return found


class _Change(NamedTuple):
    """Two graphs, and the ids that users and items of the older have in the newer."""

    older: HeteroData
    graph: HeteroData
    users: Integers
    items: Integers


def _change(
    older: HeteroData, graph: HeteroData, transforms: Sequence[BaseTransform]
) -> _Change | None:
    """From one graph to another; ``None`` if nothing can be taken over."""
    if not _same_steps(older, transforms):
        return None
    users, items = (renumbered(older, graph, kind) for kind in (USER, ITEM))
    if users is None or items is None:
        return None
    return _Change(older, graph, users, items)


def _same_steps(older: HeteroData, transforms: Sequence[BaseTransform]) -> bool:
    """Whether each relation is made by one step alone, and by the same as before."""
    kinds = CoOccurrence, Transitions, Attributes
    names = [(type(t), getattr(t, "kind", None)) for t in transforms]
    made = getattr(older, "provenance", {}).get("transforms")
    return (
        all(isinstance(t, kinds) for t in transforms)
        and len({*names}) == len(names)
        and made == described(transforms)
    )


def _co_occurrence(
    step: CoOccurrence, change: _Change, graph: HeteroData
) -> RelationUpdate:
    relation = (step.kind, "co_occurs", step.kind)
    nodes, changed = _changed_nodes(step, change)
    rows: Integers = np.flatnonzero(changed)
    if len(rows) == len(changed):
        links = step.joined(step.kept(nodes))
    else:
        ids = change.users if step.kind == USER else change.items
        edges = relation_matrix(change.older, relation, ids, len(changed))
        links, rows = renewed(step, edges, nodes, changed)
    write_relation(graph, relation, links)
    return _renewal(step, rows, multiply_adds(nodes, step.hub_cap))


def _changed_nodes(step: CoOccurrence, change: _Change) -> tuple[csr_matrix, Mask]:
    """Which neighbours each node chose, and which rows to compute at least."""
    new = interaction_matrix(change.graph, "update_graph")
    pairs = interaction_matrix(change.older, "update_graph").tocoo()
    places = change.users[pairs.row], change.items[pairs.col]
    old = csr_matrix((pairs.data, places), new.shape)
    if step.kind == ITEM:
        old, new = old.T.tocsr(), new.T.tocsr()
    if step.symmetrize == "min" and step.top_k is not None:
        return new, np.ones(new.shape[0], dtype=np.bool_)  # see renewed
    changed = changed_nodes(step, old, new)
    return new, _worth_it(changed, multiply_adds(new, step.hub_cap))


def _transitions(
    step: Transitions, change: _Change, graph: HeteroData
) -> RelationUpdate:
    changed, work = _changed_sources(step, change)
    rows, size = np.flatnonzero(changed), len(changed)
    user, item = change.graph[INTERACTS].edge_index.cpu().numpy()
    links = relation_matrix(change.older, PRECEDES, change.items, size)
    place = np.arange(size)
    place[rows] = size + np.arange(len(rows))
    links = vstack([links, step.kept(user, item, size, rows)], format="csr")[place]
    write_relation(graph, PRECEDES, links)
    return _renewal(step, changed, work)


def _changed_sources(step: Transitions, change: _Change) -> tuple[Mask, Integers]:
    """Which rows to compute, and the events of every item."""
    events = change.graph[INTERACTS].edge_index.cpu().numpy()
    user, item = change.older[INTERACTS].edge_index.cpu().numpy()
    before = np.stack([change.users[user], change.items[item]])
    sizes = change.graph[USER].num_nodes, change.graph[ITEM].num_nodes
    changed = changed_sources(step.window, before, events, *sizes)
    work = np.bincount(events[1], minlength=sizes[1])
    return _worth_it(changed, work), work


def _worth_it(changed: Mask, work: Integers) -> Mask:
    """The same rows, or all of them where these are most of the work."""
    anew = bool(work[changed].sum() > WORTH_IT * work.sum())
    return np.ones_like(changed) if anew else changed


def _renewal(
    step: BaseTransform, rows: Mask | Integers, work: Integers
) -> RelationUpdate:
    part = work[rows]
    return RelationUpdate(step, len(part), len(work), int(part.sum()), int(work.sum()))


def _anew(step: BaseTransform, graph: HeteroData) -> RelationUpdate:
    """The renewal of a relation that is made as a whole."""
    if isinstance(step, CoOccurrence):
        nodes = interaction_matrix(graph, "update_graph")
        nodes = nodes if step.kind == USER else nodes.T.tocsr()
        return _renewal(
            step, np.arange(nodes.shape[0]), multiply_adds(nodes, step.hub_cap)
        )
    if isinstance(step, Transitions):
        item = graph[INTERACTS].edge_index[1].cpu().numpy()
        work = np.bincount(item, minlength=graph[ITEM].num_nodes)
        return _renewal(step, np.arange(len(work)), work)
    return RelationUpdate(step)
