"""How an evaluation was done, as JSON data that stands beside its figures."""

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM, USER, Part
from graphseq.evaluation.rows import Rows
from graphseq.graphs import graph_hash, held_out_hash
from graphseq.models.base import Model
from graphseq.schema import describe


def facts(
    model: Model,
    graph: HeteroData,
    part: Part,
    ks: list[int],
    rows: Rows,
    counts: Int[Tensor, "V"],
) -> dict[str, object]:
    """Part, sizes, hashes, and the shares of targets that are cold or already known.

    ``training_hash`` covers the training events and the vocabularies, and is the same
    for every graph derived from them; ``graph_hash`` covers all relations.

    Args:
        model: What was evaluated.
        graph: On what.
        part: On which users.
        ks: Lengths of the lists.
        rows: The users.
        counts: Training events of each item, (V,).
    """
    targets = rows.targets
    known = torch.isin(
        targets.rows * model.num_items + targets.items,
        rows.history.rows * model.num_items + rows.history.items,
    )
    return {
        "part": part,
        "ks": ks,
        "users": len(rows.order),
        "targets": len(targets.items),
        "items": model.num_items,
        "cold_targets": float((counts[targets.items] == 0).double().mean()),
        "known_targets": float(known.double().mean()),
        "graph_hash": graph_hash(graph),
        "training_hash": graph_hash(_training_events(graph)),
        "held_out_hash": held_out_hash(graph),
        "model": describe(model),
    }


def _training_events(graph: HeteroData) -> HeteroData:
    """The graph without what was derived from its training events."""
    events = HeteroData()
    for kind in (USER, ITEM):
        events[kind].num_nodes = graph[kind].num_nodes
        if "vocabulary" in graph[kind]:
            events[kind].vocabulary = graph[kind].vocabulary
    events[INTERACTS].edge_index = graph[INTERACTS].edge_index
    return events
