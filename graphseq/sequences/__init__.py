"""From a graph's user-item edges to batches of sequences."""

from graphseq.sequences.batch import Batch, histories
from graphseq.sequences.examples import Examples, Sampler, examples, gather
from graphseq.sequences.loader import SequenceLoader
from graphseq.sequences.negatives import UniformNegatives

__all__ = [
    "Batch",
    "Examples",
    "Sampler",
    "SequenceLoader",
    "UniformNegatives",
    "examples",
    "gather",
    "histories",
]
