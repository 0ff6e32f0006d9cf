"""Blocks that models are made of: torch and PyG only; they know no model, no data."""

from graphseq.nn.dropout import dropout
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Embedding, Features, Propagated, look_up
from graphseq.nn.graph_encoder import GraphEncoder
from graphseq.nn.heads import ProjectionHead
from graphseq.nn.pooling import (
    AdditivePooling,
    Pooling,
    QueryPooling,
    masked_softmax,
    pool,
    pool_prefixes,
)
from graphseq.nn.propagation import operator, propagate
from graphseq.nn.sparse import SymmetricOperator
from graphseq.nn.transformer import Transformer

__all__ = [
    "AdditivePooling",
    "Embedding",
    "Encoder",
    "Features",
    "GraphEncoder",
    "Pooling",
    "ProjectionHead",
    "Propagated",
    "QueryPooling",
    "SymmetricOperator",
    "Transformer",
    "dropout",
    "look_up",
    "masked_softmax",
    "operator",
    "pool",
    "pool_prefixes",
    "propagate",
]
