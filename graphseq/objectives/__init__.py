"""Numbers from tensors: what a model is to minimise. Torch only."""

from graphseq.objectives.contrastive import nt_xent, same
from graphseq.objectives.ranking import bce, bpr, gbce
from graphseq.objectives.softmax import (
    cross_entropy,
    in_batch_softmax,
    log_expected_count,
    log_uniform_probability,
    log_uniform_sample,
    sampled_softmax,
    uniform_sample,
)

__all__ = [
    "bce",
    "bpr",
    "cross_entropy",
    "gbce",
    "in_batch_softmax",
    "log_expected_count",
    "log_uniform_probability",
    "log_uniform_sample",
    "nt_xent",
    "same",
    "sampled_softmax",
    "uniform_sample",
]
