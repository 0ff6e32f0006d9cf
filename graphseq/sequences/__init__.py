"""From a graph's user-item edges to batches of sequences."""

from graphseq.sequences.augment import (
    Augmentation,
    CropMaskReorder,
    InformedAugmentation,
)
from graphseq.sequences.batch import Batch, histories
from graphseq.sequences.guided_augment import (
    GuidedAugmentation,
    guided_crop,
    guided_mask,
    guided_reorder,
)
from graphseq.sequences.loader import SequenceLoader, UniformNegatives
from graphseq.sequences.operators import (
    crop,
    insert,
    join,
    mask,
    pick,
    random_views,
    reorder,
    substitute,
    with_last_targets,
)
from graphseq.sequences.same_target import SameTargetIndex, same_target
from graphseq.sequences.samplers import Examples, examples, gather

__all__ = [
    "Augmentation",
    "Batch",
    "CropMaskReorder",
    "Examples",
    "GuidedAugmentation",
    "InformedAugmentation",
    "SameTargetIndex",
    "SequenceLoader",
    "UniformNegatives",
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
    "with_last_targets",
]
