"""Compare runs user by user: a paired bootstrap, or an interval that covers seeds."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
from annotated_types import Gt, Lt

from graphseq.constants import NOT_A_VARIANT, Part, Protocol
from graphseq.errors import ConfigError, RunError
from graphseq.evaluation.intervals import Floats, over_seeds, over_users
from graphseq.evaluation.report import Report
from graphseq.evaluation.segments import FEATURES, KEYS
from graphseq.folders import EXPERIMENT
from graphseq.plain_yaml import parse, read_text
from graphseq.schema import Size, checked

Confidence = Annotated[float, Gt(0), Lt(1)]

FEWEST_SEEDS = 2  # runs of each model for a claim about other seeds


@dataclass(frozen=True)
class Comparison:
    """Difference between two runs, with its interval and p-value.

    Attributes:
        metric: The metric compared.
        history: The history protocol.
        a: Mean of a over users.
        b: Mean of b over the same users.
        difference: Mean over users of a minus b; above 0, a is better.
        interval: Bounds of the difference at level ``confidence``; ``None`` with one
            user, from whom nothing follows for others.
        confidence: Of the interval.
        p_value: Probability of a difference this large, of either sign, under the null
            hypothesis of no difference; of a bootstrap, at least 1 / (resamples + 1).
            ``None`` with one user.
        users: Users compared.
        better: Users for whom a is better.
        worse: Users for whom b is better.
        resamples: Bootstrap samples drawn; 0 if the interval covers seeds.
        seeds: Number of runs of a, and of b.
    """

    metric: str
    history: str
    a: float
    b: float
    difference: float
    interval: tuple[float, float] | None
    confidence: float
    p_value: float | None
    users: int
    better: int
    worse: int
    resamples: int
    seeds: tuple[int, int] = (1, 1)

    @property
    def covers_seeds(self) -> bool:
        """Whether interval and p-value hold for other training seeds too."""
        return min(self.seeds) >= FEWEST_SEEDS

    def __str__(self) -> str:
        relative = f" ({self.difference / abs(self.b):+.1%})" if self.b else ""
        one, other = self.seeds
        runs = f", {one} and {other} runs" if one + other > 2 else ""
        return (
            f"{self.metric}, history {self.history}, {_count(self.users)}{runs}: "
            f"a {self.a:.4f}, b {self.b:.4f}\n"
            f"a - b = {self.difference:+.4f}{relative}, {self._verdict()}\n"
            f"a is better for {_count(self.better)}, b for {self.worse:,}, equal for "
            f"{self.users - self.better - self.worse:,}\n{self._scope()}"
        ).rstrip()

    def _verdict(self) -> str:
        if self.interval is None:
            return "without an interval or a p-value, which need two users or more"
        low, high = self.interval
        verdict = "differ" if low > 0 or high < 0 else "do not differ significantly"
        return (
            f"{100 * self.confidence:.6g}% interval [{low:+.4f}, {high:+.4f}], "
            f"p = {self.p_value:.4f}: they {verdict}"
        )

    def _scope(self) -> str:
        if self.interval is None:
            return ""
        if self.covers_seeds:
            return "the interval covers the choice of users and of training seeds"
        return (
            "these runs only: fewer than "
            f"{FEWEST_SEEDS} runs of each model support no claim about other seeds"
        )


def _count(users: int) -> str:
    return f"{users:,} user{'s' * (users != 1)}"


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
    r"""Compare two runs, or two models with several runs each, user by user.

    With lists of runs that differ in their seeds, a user's metric is the mean over
    them. From two runs of each model on, the interval covers users and seeds: its half
    width is :math:`\sqrt{\sum_i t_i^2 v_i}` over the variances of the mean difference
    due to users, to the seeds of a and to those of b, each with the quantile of
    Student's t for its own degrees of freedom. It is valid for any number of seeds, and
    wide for few: 12.7 standard errors of the seeds with two runs each, 4.3 with three.
    With fewer runs it is a bootstrap of the users, the same ones for both models, and
    says nothing about other seeds.

    The graphs may differ in the relations derived from the training events (one may
    have co-occurrences), but not in the events.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: percentile
        interval (13.3), test of a zero mean (16.4). Banerjee, "Approximate Confidence
        Interval for Linear Functions of Means of k Populations when the Population
        Variances are not Equal", Sankhya 22, 1960: the interval over seeds.

    Args:
        a: A report, a run with a saved report, or the folder of one; or a list of them,
            of one model with several seeds.
        b: The same; of the same training events and held-out users.
        metric: A per-user metric (not coverage).
        history: The history protocol.
        part: The part whose report is read from a folder.
        resamples: Samples of the bootstrap.
        confidence: Of the interval.
        seed: Of the samples.

    Raises:
        RunError: A report is missing, or the reports are of different data.
        ConfigError: A report lacks the metric or the protocol; or a list has runs of
            several models or training options, a run twice, or different noise.
    """
    left, right = [_listed(source) for source in (a, b)]
    reports = [_report(source, part) for source in (*left, *right)]
    for source, report in zip((*left, *right), reports, strict=True):
        _check_same(reports[0], report)
        _check_history(source, report, history)
    columns = np.stack([_column(report, metric, history) for report in reports])
    for runs, of_runs in (
        (left, reports[: len(left)]),
        (right, reports[len(left) :]),
    ):
        _check_one_model(of_runs)
        _check_same_options(runs)
        _check_no_copies(runs, of_runs)
    weights = [1 / len(left)] * len(left) + [-1 / len(right)] * len(right)
    each = np.array(weights) @ columns
    each[np.abs(each) < 1e-12 * np.abs(columns).max(axis=0)] = 0  # rounding
    difference = float(each.mean())
    interval, p_value, drawn = None, None, 0
    if len(each) > 1 and min(len(left), len(right)) >= FEWEST_SEEDS:
        sides = columns[: len(left)], columns[len(left) :]
        interval, p_value = over_seeds(each, *sides, confidence)
    elif len(each) > 1:
        draw, drawn = np.random.default_rng(seed), resamples
        interval, p_value = over_users(each, resamples, confidence, draw)
    return Comparison(
        metric=metric,
        history=history,
        a=float(columns[: len(left)].mean()),
        b=float(columns[len(left) :].mean()),
        difference=difference,
        interval=interval,
        confidence=confidence,
        p_value=p_value,
        users=len(each),
        better=int(np.count_nonzero(each > 0)),
        worse=int(np.count_nonzero(each < 0)),
        resamples=drawn,
        seeds=(len(left), len(right)),
    )


def _listed(source: object) -> list[object]:
    """The runs of one model, as a list."""
    listed = list(source) if isinstance(source, list | tuple) else [source]
    if not listed:
        raise ConfigError("compare needs a run, or a list of one or more; found none")
    places = [_place(source) for source in listed]
    if twice := [place for place in places if places.count(place) > 1]:
        named = twice[0] if isinstance(twice[0], Path) else "a report"
        raise ConfigError(f"{named} is given twice; list runs with different seeds")
    return listed


def _place(source: object) -> object:
    """What makes two runs of a list the same: their folder, or their report."""
    found = getattr(source, "folder", source)
    if isinstance(found, str | Path):
        path = Path(found).resolve()
        return path.parent if path.suffix == ".json" else path
    return id(getattr(source, "report", None) or source)


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


def _check_one_model(reports: Sequence[Report]) -> None:
    """Refuse a list of runs of several models, or with different noise."""
    first, *others = (dict(_leaves(r.facts.get("model"), "model")) for r in reports)
    for other in others:  # of another version, one may have more options
        differ = [n for n in first.keys() & other.keys() if first[n] != other[n]]
        if differ:
            name = min(differ, key=len)
            raise ConfigError(
                "a list has runs of one model with different seeds; found "
                f"{name}: {first[name]} and {other[name]}. Compare two models as a and "
                "b"
            )
    noises = {
        (report.facts.get("noise", 0.0), report.facts.get("noise_seed", 0))
        for report in reports
    }
    if len(noises) > 1:
        raise ConfigError(
            "a list has runs with different training seeds, evaluated alike; found the "
            f"noise (fraction, seed) {sorted(noises)}"
        )


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """The names of parts, and their options, by their places."""
    if not isinstance(value, dict):
        yield place, value
        return
    if len(value) == 1:
        [(name, inner)] = value.items()
        yield place, name
        value = inner if isinstance(inner, dict) else {name: inner}
    for name, inner in value.items():
        yield from _leaves(inner, f"{place}.{name}")


def _check_same_options(runs: Sequence[object]) -> None:
    """Refuse a list of runs that were trained with different options."""
    known = [trained for trained in map(_training, runs) if trained is not None]
    for trained in known[1:]:
        names = sorted(trained.keys() & known[0].keys())  # versions have others
        differ = [n for n in names if trained[n] != known[0][n]]
        if differ:
            found = ", ".join(f"{n}: {known[0][n]} and {trained[n]}" for n in differ)
            raise ConfigError(
                "the runs of a list may differ in their seeds only; these differ in "
                f"options of the training ({found}). Compare them as a and b"
            )


def _training(run: object) -> dict[str, Any] | None:
    """The options of a run's training that are those of all its seeds, if known."""
    folder = getattr(run, "folder", run)
    if not isinstance(folder, str | Path):
        return None
    path = Path(folder)
    file = (path.parent if path.suffix == ".json" else path) / EXPERIMENT
    if not file.is_file():
        return None
    sections = parse(read_text(file), str(file))
    train = sections.get("train") if isinstance(sections, dict) else None
    options = train if isinstance(train, dict) else {}
    return {n: value for n, value in options.items() if n not in NOT_A_VARIANT}


def _check_no_copies(runs: Sequence[object], reports: Sequence[Report]) -> None:
    """Refuse a run and its copy, or one seed twice, as different seeds."""
    for number, report in enumerate(reports):
        for earlier in range(number):
            if report.per_user.equals(reports[earlier].per_user):
                places = [
                    getattr(runs[place], "folder", runs[place])
                    for place in (earlier, number)
                ]
                named = "two reports"
                if all(isinstance(place, str | Path) for place in places):
                    named = f"{places[0]} and {places[1]}"
                raise ConfigError(
                    f"{named} of a list have the same values for every user, as copies "
                    "and runs with one seed have; list runs with different seeds"
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
    others = {*KEYS, *FEATURES}
    known = [name for name in report.per_user.columns if name not in others]
    if metric not in known:
        near = difflib.get_close_matches(metric, known, n=1)
        hint = f"did you mean {near[0]!r}? It has" if near else "it has"
        raise ConfigError(
            f"the report has no metric {metric!r} by user; {hint} {known}"
        )
    rows = report.per_user.filter(report.per_user["protocol"] == history)
    return np.asarray(rows.sort("user_index")[metric].to_numpy(), np.float64)
