"""From a graph's user-item edges to batches of sequences."""

from graphseq.sequences.batch import Batch, histories
from graphseq.sequences.examples import Examples, examples
from graphseq.sequences.loader import SequenceLoader
from graphseq.sequences.negatives import UniformNegatives

__all__ = [
    "Batch",
    "Examples",
    "SequenceLoader",
    "UniformNegatives",
    "examples",
    "histories",
]
