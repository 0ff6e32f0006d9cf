"""Compare two runs with a paired bootstrap over users."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import numpy.typing as npt
from annotated_types import Gt, Lt

from graphseq.constants import Part, Protocol
from graphseq.errors import ConfigError, RunError
from graphseq.evaluation.report import Report
from graphseq.schema import Size, checked

Floats = npt.NDArray[np.float64]
Confidence = Annotated[float, Gt(0), Lt(1)]

DRAWS = 2**21  # random numbers drawn at once: up to 32 MB
KEYS = ["user", "protocol", "targets", "best_rank"]


@dataclass(frozen=True)
class Comparison:
    """Difference between two runs, with its interval and p-value.

    Attributes:
        metric: The metric compared.
        history: The history protocol.
        a: Mean of a over users.
        b: Mean of b over the same users.
        difference: Mean over users of a minus b; above 0, a is better.
        interval: Bounds of the difference at level ``confidence``.
        confidence: Of the interval.
        p_value: Probability of a difference this large, of either sign, under the null
            hypothesis of no difference; at least 1 / (resamples + 1).
        users: Users compared.
        better: Users for whom a is better.
        worse: Users for whom b is better.
        resamples: Bootstrap samples drawn.
        seeds: Number of runs of a, and of b.
    """

    metric: str
    history: str
    a: float
    b: float
    difference: float
    interval: tuple[float, float]
    confidence: float
    p_value: float
    users: int
    better: int
    worse: int
    resamples: int
    seeds: tuple[int, int] = (1, 1)

    def __str__(self) -> str:
        low, high = self.interval
        relative = f" ({self.difference / self.b:+.1%})" if self.b else ""
        verdict = "differ" if low > 0 or high < 0 else "do not differ significantly"
        one, other = self.seeds
        runs = f", {one} and {other} runs" if one + other > 2 else ""
        return (
            f"{self.metric}, history {self.history}, {self.users:,} users{runs}: "
            f"a {self.a:.4f}, b {self.b:.4f}\n"
            f"a - b = {self.difference:+.4f}{relative}, {self.confidence:.0%} interval "
            f"[{low:+.4f}, {high:+.4f}], p = {self.p_value:.4f}: they {verdict}\n"
            f"a is better for {self.better:,} users, b for {self.worse:,}, equal for "
            f"{self.users - self.better - self.worse:,}"
        )


@checked
def compare(
    a: object,
    b: object,
    metric: str = "NDCG@10",
    *,
    history: Protocol = "excluded",
    part: Part = "test",
    resamples: Size = 10_000,
    confidence: Confidence = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two runs, or two models with several runs each, user by user.

    Users are drawn with replacement, the same ones for both runs. With one run each,
    the interval covers the choice of users, not the training seed. With lists of runs
    that differ in their seeds, the runs are drawn with replacement too, and a user's
    metric is the mean over them: then the interval covers both (roughly, with few
    seeds). The graphs may differ in the relations derived from the training events
    (one may have co-occurrences), but not in the events.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: percentile
        interval (13.3), test of a zero mean (16.4). Owen, "The Pigeonhole Bootstrap",
        2007: users and seeds drawn independently.

    Args:
        a: A report, a run with a saved report, or the folder of one; or a list of them,
            of one model with several seeds.
        b: The same; of the same graph and held-out users.
        metric: A per-user metric (not coverage).
        history: The history protocol.
        part: The part whose report is read from a folder.
        resamples: Bootstrap samples.
        confidence: Of the interval.
        seed: Of the samples.

    Raises:
        RunError: A report is missing, or the reports are of different data.
        ConfigError: A report lacks the metric or the protocol.
    """
    left, right = [_listed(source) for source in (a, b)]
    reports = [_report(source, part) for source in (*left, *right)]
    for source, report in zip((*left, *right), reports, strict=True):
        _check_same(reports[0], report)
        _check_history(source, report, history)
    columns = np.stack([_column(report, metric, history) for report in reports])
    weights = [1 / len(left)] * len(left) + [-1 / len(right)] * len(right)
    each = np.array(weights) @ columns
    difference = float(each.mean())
    means = _resampled(columns, len(left), resamples, np.random.default_rng(seed))
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    slack = 1e-12 * np.abs(each).max()  # rounding must not break ties
    extreme = np.count_nonzero(np.abs(means - difference) >= abs(difference) - slack)
    return Comparison(
        metric=metric,
        history=history,
        a=float(columns[: len(left)].mean()),
        b=float(columns[len(left) :].mean()),
        difference=difference,
        interval=(float(low), float(high)),
        confidence=confidence,
        p_value=float((extreme + 1) / (resamples + 1)),
        users=len(each),
        better=int(np.count_nonzero(each > 0)),
        worse=int(np.count_nonzero(each < 0)),
        resamples=resamples,
        seeds=(len(left), len(right)),
    )


def _listed(source: object) -> list[object]:
    """The runs of one model, as a list."""
    listed = list(source) if isinstance(source, list | tuple) else [source]
    if not listed:
        raise ConfigError("compare needs a run, or a list of one or more; found none")
    return listed


def _resampled(
    columns: Floats, number: int, resamples: int, draw: np.random.Generator
) -> Floats:
    """Differences of means of samples; the first ``number`` rows are a's runs.

    Users are drawn once for all runs, the runs separately for each side.
    """
    if len(columns) == 2:  # one run each: only the difference of each user matters
        return _resampled_means(columns[:1] - columns[1:], resamples, draw)[:, 0]
    means = _resampled_means(columns, resamples, draw)
    sides = means[:, :number], means[:, number:]
    drawn = []
    for side in sides:
        runs = side.shape[1]
        times = draw.multinomial(runs, [1 / runs] * runs, size=resamples)
        drawn.append((side * times).sum(axis=1) / runs)
    return np.asarray(drawn[0] - drawn[1])


def _resampled_means(
    values: Floats, resamples: int, draw: np.random.Generator
) -> Floats:
    """Means of samples drawn with replacement, each of the original size.

    A mean depends only on how often each distinct value is drawn, and these counts are
    multinomial. A metric at k has few distinct values; with many, users are drawn one
    by one, in blocks.

    Args:
        values: Of every run and user, (S, N).
        resamples: R.
        draw: Random number generator.

    Returns:
        Means of every sample and run, over the same users, (R, S).
    """
    runs, size = values.shape
    distinct, counts = np.unique(values, axis=1, return_counts=True)
    few = distinct.shape[1] <= max(2, size // 50)
    means = np.empty((resamples, runs))
    step = max(1, DRAWS // (len(counts) if few else size * runs))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        if few:
            times = draw.multinomial(size, counts / size, size=rows)
            means[start : start + rows] = times @ distinct.T / size
        else:
            chosen = draw.integers(0, size, (rows, size), dtype=np.int32)
            means[start : start + rows] = values[:, chosen].mean(axis=2).T
    return means


def _report(source: Any, part: Part) -> Report:
    """The report itself, the report of a run, or the one in a folder."""
    if isinstance(source, Report):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        if path.suffix != ".json":
            return Report.load(path, part)
        named: dict[str, Part] = {f"report-{p}.json": p for p in get_args(Part)}
        if path.name not in named:
            raise RunError(
                f"compare reads {' or '.join(named)} in a run's folder; found {path}"
            )
        return Report.load(path.parent, named[path.name])
    folder = getattr(source, "folder", None)
    if folder is not None:
        return Report.load(folder, part)
    report = getattr(source, "report", None)
    if isinstance(report, Report):
        return report
    raise RunError(
        f"compare reads a report, a run, or the folder of a run; found {source!r:.80}. "
        "Pass what evaluate(...) or fit(..., folder=...) returned"
    )


def _check_same(a: Report, b: Report) -> None:
    same = {
        "part": "parts of the split",
        "training_hash": "training events",
        "held_out_hash": "held-out data",
    }
    for fact, words in same.items():
        one, other = a.facts[fact], b.facts[fact]
        if one != other:
            raise RunError(
                f"users are compared one by one, and these reports are of different "
                f"{words} ({one:.12} and {other:.12}). Evaluate both models on graphs "
                "of the same split of the same log"
            )


def _check_history(source: object, report: Report, history: str) -> None:
    """Refuse a protocol under which a run was not evaluated."""
    if history not in report:
        run = source if isinstance(source, str | Path) else "RUN"
        raise ConfigError(
            f"the history protocol is {history!r}, and the report of {run} has "
            f"{', '.join(report.means)}. Evaluate it again: graphseq evaluate "
            f"{run} --history both (in Python, history='both')"
        )


def _column(report: Report, metric: str, history: str) -> Floats:
    known = [name for name in report.per_user.columns if name not in KEYS]
    if metric not in known:
        near = difflib.get_close_matches(metric, known, n=1)
        hint = f"did you mean {near[0]!r}? It has" if near else "it has"
        raise ConfigError(f"the report has no {metric!r} by user; {hint} {known}")
    rows = report.per_user.filter(report.per_user["protocol"] == history)
    return np.asarray(rows.sort("user")[metric].to_numpy(), np.float64)
