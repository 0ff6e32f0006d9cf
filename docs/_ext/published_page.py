"""Published figures and ours, side by side."""

import re
from collections.abc import Iterable, Mapping

import evidence
from composition import contrastive
from evidence import Experiment, Published, Result

from graphseq.evaluation import impossible
from graphseq.models import MODELS

ENOUGH = 0.95  # "reached": every possible figure of the row, at least so far
ONE_TARGET = {"leave_one_out"}  # splits for which HR and NDCG bound each other
SPLITS = {"leave_one_out": "leave-one-out", "by_user": "users split 8:1:1"}
NOT_YET = "*not run yet*"
METRIC = re.compile(r"(HR|Recall|NDCG)@(\d+)")


def page() -> str:
    """A section for each data set and split that figures are published for."""
    places = dict.fromkeys((r.data, r.split) for r in evidence.published())
    lines = []
    for data, split in sorted(places, key=_rank):
        title = f"{data}, {SPLITS[split]}"
        lines += [title, "-" * len(title), ""]
        lines += _summary(data, split)
        models = _by_model(data, split)
        for model, rows in models.items():
            if aiming(rows):
                lines += _model(model, rows)
        lines += _without_experiment(models)
        lines += _others(data, split)
    return "\n".join(lines) + "\n"


def _rank(place: tuple[str, str]) -> tuple[bool, str]:
    return place[0] != "amazon-beauty", f"{place[0]} {place[1]}"


def _by_model(data: str, split: str) -> dict[str, list[Published]]:
    """Name in the papers to its rows; models of one class are neighbours."""
    grouped: dict[str, list[Published]] = {}
    for row in evidence.published():
        if (row.data, row.split) == (data, split):
            grouped.setdefault(row.model, []).append(row)
    order = list(MODELS)

    def place(name: str) -> tuple[int, str]:
        known = evidence.identify(name)
        return (order.index(known[0]) if known else len(order), name)

    return {name: grouped[name] for name in sorted(grouped, key=place)}


def aiming(rows: Iterable[Published]) -> list[Experiment]:
    """The experiments that aim at any of these rows."""
    rows = list(rows)
    every = evidence.experiments()
    return [e for e in every if any(evidence.matches(e, row) for row in rows)]


def doubtful(row: Published) -> dict[str, tuple[float, float]]:
    """Figures of a published row that contradict those beside them."""
    return impossible(row.figures) if row.split in ONE_TARGET else {}


def ratios(row: Published, ours: Mapping[str, float]) -> dict[str, float]:
    """Ours by theirs, for every figure that is possible and that both have."""
    known = {name: value for name, value in row.figures.items() if name in ours}
    wrong = doubtful(row)
    return {n: ours[n] / value for n, value in known.items() if n not in wrong}


def nearest(row: Published) -> tuple[Result, dict[str, float]] | None:
    """The result whose least ratio is largest, with its ratios."""
    if row.protocol is None:
        return None
    judged = []
    for experiment in aiming([row]):
        result = evidence.result(experiment)
        if result and (found := ratios(row, result.means(row.protocol))):
            judged.append((min(found.values()), experiment.path, result, found))
    if not judged:
        return None
    *_, result, found = max(judged, key=lambda j: (j[0], j[1]))
    return result, found


def verdict(row: Published) -> str:
    """Whether a row is reached, by which experiment, and how far."""
    if row.protocol is None:
        return "not compared: protocol unknown"
    best = nearest(row)
    if best is None:
        runs = aiming([row])
        return NOT_YET if runs else "*no experiment yet*"
    result, found = best
    low, high = min(found.values()), max(found.values())
    word = "**reached**" if low >= ENOUGH else "missed"
    return f"{word}, {low:.2f} to {high:.2f} ({result.experiment.name})"


def _summary(data: str, split: str) -> list[str]:
    """One line a published row: reached or not, and by what."""
    lines = _head(("model", "source", "history", "ours by theirs"))
    for model, rows in _by_model(data, split).items():
        for row in rows:
            lines += _row((model, row.source, row.history, verdict(row)))
    return [*lines, ""]


def _model(name: str, rows: list[Published]) -> list[str]:
    """A model's published rows and ours, protocol by protocol."""
    runs = aiming(rows)
    metrics = _metrics(rows)
    unknown = [row for row in rows if row.protocol is None]
    lines = [f".. rubric:: {name}", "", *_head(("history", "row", *metrics, "seeds"))]
    for row in unknown:
        lines += _row((row.history, row.source, *_theirs(row, metrics), ""))
    for protocol in evidence.PROTOCOLS:
        for row in (r for r in rows if r.protocol == protocol):
            notes = "".join(f" ({note})" for note in row.notes)
            cells = _theirs(row, metrics)
            lines += _row((row.history, row.source + notes, *cells, ""))
        lines += _block(runs, protocol, metrics)
    return [*lines, "", *_commands(runs)]


def _without_experiment(models: Mapping[str, list[Published]]) -> list[str]:
    """What is published and has no experiment of ours."""
    rows = [row for each in models.values() if not aiming(each) for row in each]
    if not rows:
        return []
    metrics = _metrics(rows)
    lines = [".. rubric:: Published, and without an experiment here yet", ""]
    lines += _head(("model", "source", "history", *metrics))
    for row in rows:
        here = "" if evidence.identify(row.model) else " (not a model of this package)"
        cells = _theirs(row, metrics)
        lines += _row((row.model + here, row.source, row.history, *cells))
    return [*lines, ""]


def _others(data: str, split: str) -> list[str]:
    """Experiments on these data for which no figures are published."""
    rows = [r for r in evidence.published() if (r.data, r.split) == (data, split)]
    aimed = {run.path for run in aiming(rows)}
    aimed |= {zero.path for run in aiming(rows) for zero in zeros([run]) if zero}
    runs = [
        run
        for run in evidence.experiments()
        if (run.data, run.split) == (data, split) and run.path not in aimed
    ]
    if not runs:
        return []
    metrics = _metrics(rows)
    title = "Without published figures on these data"
    lines = [f".. rubric:: {title}", "", *_head(("history", "row", *metrics, "seeds"))]
    for protocol in evidence.PROTOCOLS:
        lines += _block(runs, protocol, metrics)
    return [*lines, "", *_commands(runs)]


def _block(runs: list[Experiment], protocol: str, metrics: list[str]) -> list[str]:
    """Our rows under one protocol, and the zero of those that contrast."""
    lines = []
    for run in runs:
        lines += _row((protocol, f"ours: {run.name}", *_ours(run, protocol, metrics)))
    for zero in zeros(runs):
        if zero is None:
            words = "SASRec, same sampler and loss: *no experiment yet*"
            lines += _row((protocol, words, *[""] * (len(metrics) + 1)))
        else:
            words = f"SASRec, same sampler and loss: {zero.name}"
            lines += _row((protocol, words, *_ours(zero, protocol, metrics)))
    return lines


def zeros(runs: Iterable[Experiment]) -> list[Experiment | None]:
    """What the gain of contrast is counted from, each once; ``None``: not there."""
    found: dict[str, Experiment | None] = {}
    for run in runs:
        if not contrastive(run.model):
            continue
        known = evidence.zeros(run)
        done = [zero for zero in known if evidence.result(zero)] or known
        zero = done[0] if done else None
        found[zero.path if zero else ""] = zero
    return list(found.values())


def _commands(runs: list[Experiment]) -> list[str]:
    """What repeats the rows of a table."""
    shown = [*runs, *(zero for zero in zeros(runs) if zero)]
    unique = dict.fromkeys(run.command for run in shown)
    return [".. code-block:: bash", "", *(f"   {c}" for c in unique), ""]


def _metrics(rows: Iterable[Published]) -> list[str]:
    """HR, Recall and NDCG of all lengths for which any is published, in order."""
    names = {name for row in rows for name in row.figures}
    order = ["HR", "Recall", "NDCG"]

    def place(name: str) -> tuple[int, int]:
        kind, _, length = name.partition("@")
        return order.index(kind), int(length)

    return sorted(filter(METRIC.fullmatch, names), key=place)


def _theirs(row: Published, metrics: list[str]) -> list[str]:
    wrong = doubtful(row)
    return [
        f"{row.figures[m]:.4f}{' †' if m in wrong else ''}" if m in row.figures else "–"
        for m in metrics
    ]


def _ours(run: Experiment, protocol: str, metrics: list[str]) -> list[str]:
    """Figures and seeds of an experiment, as the cells of a row."""
    result = evidence.result(run)
    if result is None:
        return [NOT_YET, *[""] * len(metrics)]
    means = result.means(protocol)
    cells = [f"**{means[m]:.4f}**" if m in means else "–" for m in metrics]
    return [*cells, ", ".join(map(str, result.seeds))]


def _head(names: Iterable[str]) -> list[str]:
    return [
        ".. list-table::",
        "   :class: figures",
        "   :header-rows: 1",
        "",
        *_row(names),
    ]


def _row(cells: Iterable[str]) -> list[str]:
    cells = (cell.replace("@", "\\@") for cell in cells)  # HR@5 is no address
    return [
        f"   {'*' if place == 0 else ' '} - {cell}".rstrip()
        for place, cell in enumerate(cells)
    ]
