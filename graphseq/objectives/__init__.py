"""Loss functions of tensors; torch only."""

from graphseq.objectives.contrastive import (
    contrastive_regularization,
    negative_contrast,
    nt_xent,
    same_id_mask,
)
from graphseq.objectives.cross_entropy import cross_entropy, products_in
from graphseq.objectives.intents import intent_contrast, prototype_contrast
from graphseq.objectives.pretraining import attribute_loss, double_sigmoid
from graphseq.objectives.prototypes import seq2item, seq2seq
from graphseq.objectives.ranking import bce, bpr, gbce
from graphseq.objectives.sampled_softmax import (
    in_batch_softmax,
    log_expected_count,
    log_uniform_probability,
    log_uniform_sample,
    sampled_softmax,
    uniform_sample,
)

__all__ = [
    "attribute_loss",
    "bce",
    "bpr",
    "contrastive_regularization",
    "cross_entropy",
    "double_sigmoid",
    "gbce",
    "in_batch_softmax",
    "intent_contrast",
    "log_expected_count",
    "log_uniform_probability",
    "log_uniform_sample",
    "negative_contrast",
    "nt_xent",
    "products_in",
    "prototype_contrast",
    "same_id_mask",
    "sampled_softmax",
    "seq2item",
    "seq2seq",
    "uniform_sample",
]
