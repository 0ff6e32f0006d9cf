"""Published results next to ours, and the ratios between them."""

import re
from collections.abc import Iterable, Mapping

import evidence
from composition import contrastive
from evidence import Experiment, Published, Result
from models_page import commands, rubric
from reference import heading, table

from graphseq.evaluation import impossible
from graphseq.models import MODELS

REACHED = 0.95  # a row counts as reached if every possible value is within 5 %
ONE_TARGET = {"leave_one_out"}  # splits for which HR and NDCG bound each other
SPLITS = {"leave_one_out": "leave-one-out", "by_user": "users split 8:1:1"}
NOT_YET = "*not run yet*"
METRIC = re.compile(r"(HR|Recall|NDCG)@(\d+)")

Rows = list[tuple[str, ...]]


def page() -> str:
    """A section for each data set and split with published results; Beauty first."""
    pairs = {(r.data, r.split) for r in evidence.published()}
    lines = []
    for data, split in sorted(pairs, key=lambda p: (p[0] != "amazon-beauty", p)):
        models = _by_model(data, split)
        lines += heading(f"{data}, {SPLITS[split]}", "-")
        lines += _verdicts(models)
        for model, rows in models.items():
            if aiming(rows):
                lines += _model(model, rows)
        lines += _without_experiment(models)
        lines += _others(data, split, models)
    return "\n".join(lines) + "\n"


def _by_model(data: str, split: str) -> dict[str, list[Published]]:
    """Name in the papers -> its rows, in the order of ``MODELS``."""
    grouped: dict[str, list[Published]] = {}
    for row in evidence.published():
        if (row.data, row.split) == (data, split):
            grouped.setdefault(row.model, []).append(row)
    order = list(MODELS)

    def rank(name: str) -> tuple[int, str]:
        known = evidence.identify(name)
        return (order.index(known[0]) if known else len(order), name)

    return {name: grouped[name] for name in sorted(grouped, key=rank)}


def aiming(rows: Iterable[Published]) -> list[Experiment]:
    """The experiments that aim at any of these rows."""
    rows = list(rows)
    every = evidence.experiments()
    return [e for e in every if any(evidence.matches(e, row) for row in rows)]


def doubtful(row: Published) -> dict[str, tuple[float, float]]:
    """Values of a published row that contradict the other values of that row."""
    return impossible(row.values) if row.split in ONE_TARGET else {}


def ratios(row: Published, ours: Mapping[str, float]) -> dict[str, float]:
    """Our value over the published one, for every metric that is possible."""
    wrong = doubtful(row)
    both = {n: v for n, v in row.values.items() if n in ours and n not in wrong}
    return {name: ours[name] / value for name, value in both.items()}


def nearest(row: Published) -> tuple[Result, dict[str, float]] | None:
    """The result with the largest minimum ratio, and its ratios."""
    if row.protocol is None:
        return None
    judged = []
    for experiment in aiming([row]):
        result = evidence.result(experiment)
        if result and (found := ratios(row, result.means(row.protocol))):
            judged.append((min(found.values()), experiment.path, result, found))
    if not judged:
        return None
    *_, result, found = max(judged, key=lambda j: j[:2])
    return result, found


def verdict(row: Published) -> str:
    """Whether a row is reached, by which experiment, and the range of ratios."""
    if row.protocol is None:
        return "not compared: protocol unknown"
    best = nearest(row)
    if best is None:
        return NOT_YET if aiming([row]) else "*no experiment yet*"
    result, found = best
    low, high = min(found.values()), max(found.values())
    word = "**reached**" if low >= REACHED else "missed"
    return f"{word}, {low:.2f} to {high:.2f} ({result.experiment.name})"


def _verdicts(models: Mapping[str, list[Published]]) -> list[str]:
    """One line per published row."""
    rows = [
        (name, row.source, row.history, verdict(row))
        for name, published in models.items()
        for row in published
    ]
    return _table(rows, ("model", "source", "history", "ratio, ours to published"))


def _model(name: str, published: list[Published]) -> list[str]:
    """A model's published rows and ours, by protocol."""
    runs, metrics = aiming(published), _metrics(published)
    rows: Rows = [
        (row.history, row.source, *_published(row, metrics), "")
        for row in published
        if row.protocol is None
    ]
    for protocol in evidence.PROTOCOLS:
        for row in published:
            if row.protocol == protocol:
                source = row.source + "".join(f" ({note})" for note in row.notes)
                rows.append((row.history, source, *_published(row, metrics), ""))
        rows += _block(runs, protocol, metrics)
    header = ("history", "row", *metrics, "seeds")
    return [*rubric(name), *_table(rows, header), *_commands(runs)]


def _without_experiment(models: Mapping[str, list[Published]]) -> list[str]:
    """Published rows that no experiment aims at."""
    published = [row for rows in models.values() if not aiming(rows) for row in rows]
    if not published:
        return []
    metrics = _metrics(published)
    rows: Rows = []
    for row in published:
        note = "" if evidence.identify(row.model) else " (not a model of this package)"
        cells = (row.model + note, row.source, row.history)
        rows.append((*cells, *_published(row, metrics)))
    title = "Published, without an experiment here"
    header = ("model", "source", "history", *metrics)
    return [*rubric(title), *_table(rows, header)]


def _others(data: str, split: str, models: Mapping[str, list[Published]]) -> list[str]:
    """Experiments on these data without published results."""
    published = [row for rows in models.values() for row in rows]
    aimed = aiming(published)
    shown = {run.path for run in [*aimed, *baselines(aimed)] if run}
    runs = [
        run
        for run in evidence.experiments()
        if (run.data, run.split) == (data, split) and run.path not in shown
    ]
    if not runs:
        return []
    metrics = _metrics(published)
    rows = [r for p in evidence.PROTOCOLS for r in _block(runs, p, metrics)]
    title = "Models without a row in these tables"
    header = ("history", "row", *metrics, "seeds")
    return [*rubric(title), *_table(rows, header), *_commands(runs)]


def _block(runs: list[Experiment], protocol: str, metrics: list[str]) -> Rows:
    """Our rows under one protocol, followed by the baselines of contrastive models."""
    rows: Rows = [
        (protocol, f"ours: {run.name}", *_ours(run, protocol, metrics)) for run in runs
    ]
    for baseline in baselines(runs):
        label = "SASRec, same sampler and loss: "
        if baseline is None:
            empty = [""] * (len(metrics) + 1)
            rows.append((protocol, f"{label}*no experiment yet*", *empty))
        else:
            cells = _ours(baseline, protocol, metrics)
            rows.append((protocol, label + baseline.name, *cells))
    return rows


def baselines(runs: Iterable[Experiment]) -> list[Experiment | None]:
    """SASRec with the sampler and loss of each contrastive run; ``None``: not run."""
    found: dict[str, Experiment | None] = {}
    for run in runs:
        if contrastive(run.model):
            known = evidence.baselines(run)
            known = [b for b in known if evidence.result(b)] or known
            first = known[0] if known else None
            found[first.path if first else ""] = first
    return list(found.values())


def _commands(runs: list[Experiment]) -> list[str]:
    """The commands that reproduce the rows of a table."""
    return commands(run.command for run in [*runs, *filter(None, baselines(runs))])


def _metrics(rows: Iterable[Published]) -> list[str]:
    """Published HR, Recall and NDCG at all lengths, in order."""
    names = {name for row in rows for name in row.values}
    found = [match for name in names if (match := METRIC.fullmatch(name))]
    order = ["HR", "Recall", "NDCG"]
    found.sort(key=lambda match: (order.index(match[1]), int(match[2])))
    return [match[0] for match in found]


def _published(row: Published, metrics: list[str]) -> list[str]:
    wrong = doubtful(row)
    return [
        f"{row.values[m]:.4f}{' †' if m in wrong else ''}" if m in row.values else "–"
        for m in metrics
    ]


def _ours(run: Experiment, protocol: str, metrics: list[str]) -> list[str]:
    """Means and seeds of an experiment."""
    result = evidence.result(run)
    if result is None:
        return [NOT_YET, *[""] * len(metrics)]
    means = result.means(protocol)
    cells = [f"**{means[m]:.4f}**" if m in means else "–" for m in metrics]
    return [*cells, ", ".join(map(str, result.seeds))]


def _table(rows: Rows, header: tuple[str, ...]) -> list[str]:
    """A table of results, in which ``HR@5`` is not read as an address."""
    escaped = [[cell.replace("@", "\\@") for cell in row] for row in [header, *rows]]
    return table(escaped[1:], escaped[0], "results")
