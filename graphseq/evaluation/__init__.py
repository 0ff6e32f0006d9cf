"""Full ranking of the catalogue, metrics of every user, and paired comparisons."""

from graphseq.evaluation.arithmetic import impossible
from graphseq.evaluation.diverse import diversity
from graphseq.evaluation.evaluate import evaluate
from graphseq.evaluation.metrics import accuracy, coverage, popularity
from graphseq.evaluation.report import Report
from graphseq.evaluation.significance import Comparison, compare

__all__ = [
    "Comparison",
    "Report",
    "accuracy",
    "compare",
    "coverage",
    "diversity",
    "evaluate",
    "impossible",
    "popularity",
]
