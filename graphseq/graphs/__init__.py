"""From a split to a graph: relations, views, summaries and storage."""

from graphseq.graphs.attributes import Attributes
from graphseq.graphs.build import build_graph
from graphseq.graphs.cooccurrence import CoOccurrence
from graphseq.graphs.diff import Difference, difference
from graphseq.graphs.distributions import (
    Distributions,
    similarity_distributions,
    weight_distributions,
)
from graphseq.graphs.dropout import EdgeDropout, NodeDropout
from graphseq.graphs.ego import to_networkx
from graphseq.graphs.ego_picture import draw
from graphseq.graphs.export import export_graph, import_graph
from graphseq.graphs.hashing import graph_hash, held_out_hash
from graphseq.graphs.item_vectors import ItemVectors
from graphseq.graphs.merge import merge_graphs
from graphseq.graphs.new_items import extend_items
from graphseq.graphs.part import part_of, whole_hash
from graphseq.graphs.storage import load_graph, load_log, save_graph
from graphseq.graphs.summary import Summary, summary
from graphseq.graphs.transitions import Transitions
from graphseq.graphs.update import RelationUpdate, Updated, plan_update, update_graph
from graphseq.graphs.weighted_cooccurrence import WeightedCoOccurrence

__all__ = [
    "Attributes",
    "CoOccurrence",
    "Difference",
    "Distributions",
    "EdgeDropout",
    "ItemVectors",
    "NodeDropout",
    "RelationUpdate",
    "Summary",
    "Transitions",
    "Updated",
    "WeightedCoOccurrence",
    "build_graph",
    "difference",
    "draw",
    "export_graph",
    "extend_items",
    "graph_hash",
    "held_out_hash",
    "import_graph",
    "load_graph",
    "load_log",
    "merge_graphs",
    "part_of",
    "plan_update",
    "save_graph",
    "similarity_distributions",
    "summary",
    "to_networkx",
    "update_graph",
    "weight_distributions",
    "whole_hash",
]
