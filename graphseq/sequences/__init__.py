"""From a graph's user-item edges to batches of sequences."""

from graphseq.sequences.batch import Batch, histories
from graphseq.sequences.examples import Examples, examples, gather
from graphseq.sequences.guided import guided_crop, guided_mask, guided_reorder
from graphseq.sequences.loader import SequenceLoader
from graphseq.sequences.negatives import UniformNegatives
from graphseq.sequences.same_target import SameTargetIndex, same_target
from graphseq.sequences.similar import insert, substitute
from graphseq.sequences.views import (
    ask_last,
    crop,
    join,
    mask,
    pick,
    random_views,
    reorder,
)

__all__ = [
    "Batch",
    "Examples",
    "SameTargetIndex",
    "SequenceLoader",
    "UniformNegatives",
    "ask_last",
    "crop",
    "examples",
    "gather",
    "guided_crop",
    "guided_mask",
    "guided_reorder",
    "histories",
    "insert",
    "join",
    "mask",
    "pick",
    "random_views",
    "reorder",
    "same_target",
    "substitute",
]
