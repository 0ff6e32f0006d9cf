"""Checks for parts of your own: the claims that the package's parts pass."""

from graphseq.testing.augmentation import check_augmentation
from graphseq.testing.auxiliary import check_auxiliary
from graphseq.testing.checks import checks
from graphseq.testing.encoder import check_encoder
from graphseq.testing.graph_step import check_graph_step
from graphseq.testing.model import check_model
from graphseq.testing.suite import Check, CheckError, Failure

__all__ = [
    "Check",
    "CheckError",
    "Failure",
    "check_augmentation",
    "check_auxiliary",
    "check_encoder",
    "check_graph_step",
    "check_model",
    "checks",
]
