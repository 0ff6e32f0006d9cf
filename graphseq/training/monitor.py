"""The number that selects the best epoch, and that early stopping watches."""

import math
import numbers
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from annotated_types import Predicate

from graphseq.errors import ConfigError, RunError
from graphseq.evaluation import Report
from graphseq.schema import NAMED, format_value

METRIC = re.compile(r"(HR|Recall|NDCG|MRR|coverage)@([1-9]\d*)|MRR")
Metric = Annotated[str, Predicate(lambda name: bool(METRIC.fullmatch(name)))]
Measure: TypeAlias = Callable[[Report], float]
"""A number of the report of the validation users that grows with quality."""
NAMED[Metric] = "a metric that grows with quality, such as 'NDCG@10', 'HR@5' or 'MRR'"
NAMED[Measure] = "in Python a function of the report"
LENGTH = 10  # of the lists where the monitor does not name another


def name_of(monitor: str | Measure | None) -> str | None:
    """The name of a monitor in the history and the options of a run.

    Raises:
        ConfigError: A function has the name of a column of the history.
    """
    if monitor is None or isinstance(monitor, str):
        return monitor
    name = str(getattr(monitor, "__name__", type(monitor).__name__)).strip("<>")
    if name in ("epoch", "loss") or METRIC.fullmatch(name):
        raise ConfigError(
            f"monitor is a function with the name {name}, and the history has a column "
            "of this name. Rename the function"
        )
    return name


def list_length(monitor: str | None) -> int:
    """The length of the lists that a monitor reads: 5 for ``HR@5``."""
    match = METRIC.fullmatch(monitor or "")
    return int(match[2]) if match and match[2] else LENGTH


def measured(measure: Measure, name: str, report: Report) -> float:
    """The number that a function makes of a report.

    Args:
        measure: The function.
        name: Its name in the history.
        report: The report of the validation users.

    Raises:
        RunError: It is not a finite number, or the report has a metric of this name.
    """
    value: Any = measure(report)
    if name in next(iter(report.means.values())):
        raise RunError(
            f"monitor is a function with the name of the metric {name}; rename it"
        )
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # of torch or numpy
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Real)
        or not math.isfinite(value)
    ):
        raise RunError(
            f"monitor={name} must return a finite number that grows with quality; it "
            f"returned {format_value(value)}. Correct the function, and continue the "
            "run with resume=True"
        )
    return float(value)
