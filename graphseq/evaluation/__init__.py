"""Full ranking of the catalogue, per-user metrics, and paired comparisons."""

from graphseq.evaluation.choose_repeat_bias import choose_repeat_bias
from graphseq.evaluation.choose_weights import choose_weights
from graphseq.evaluation.compare import Comparison, compare
from graphseq.evaluation.consistency import impossible
from graphseq.evaluation.evaluate import evaluate
from graphseq.evaluation.extra_metrics import Lists
from graphseq.evaluation.metrics import accuracy, coverage, diversity, popularity
from graphseq.evaluation.report import Report

__all__ = [
    "Comparison",
    "Lists",
    "Report",
    "accuracy",
    "choose_repeat_bias",
    "choose_weights",
    "compare",
    "coverage",
    "diversity",
    "evaluate",
    "impossible",
    "popularity",
]
