"""One HTML page about several runs: metrics, curves, segments, tests and options."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import zip_longest
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from graphseq.atomic import system_errors, write_text
from graphseq.constants import Protocol
from graphseq.drawing import svg
from graphseq.errors import ConfigError, GraphSeqError, RunError, suggest
from graphseq.evaluation import compare
from graphseq.plots import by_variant, learning_figure, segments_figure
from graphseq.report import HEADLINE
from graphseq.training import Run

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; color: #222; }
h1, h2 { line-height: 1.2; }  h2 { margin-top: 2.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
td.best { font-weight: 700; }
svg { max-width: 100%; height: auto; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; }
"""
PROTOCOLS: tuple[Protocol, ...] = ("kept", "excluded")
SEGMENTS = {
    "history_length": "By the number of events in the history",
    "target_events": "By the number of training events of the target",
}


def write_page(runs: Mapping[str, Run], path: Path, metric: str = "NDCG@10") -> None:
    """Write the page. It needs no other file and no network, and runs no script.

    Args:
        runs: Evaluated runs on the same held-out users, by their names on the page; the
            others are compared with the first.
        path: File to write.
        metric: Metric of the segments and tests, and of the curves, if validation of a
            run has it; else they show NDCG@10, or another that it has.

    Raises:
        RunError: A run has no report, or the reports are of other held-out users or
            have no protocol in common.
        ConfigError: A report has no value of the metric for each user.
        GraphError: The page cannot be written.
    """
    reports = [run.report for run in runs.values()]
    protocols = _check(runs, metric)
    parts = ["<h2>Runs</h2>", _table(*_facts(runs))]
    for protocol in protocols:
        parts.append(f"<h2>Test metrics, history {protocol}</h2>")
        parts.append(_metrics(runs, protocol))
    parts += ["<h2>Validation by epoch</h2>", _curves(runs, metric)]
    same_events = len({report.facts["training_hash"] for report in reports}) == 1
    for column in SEGMENTS:
        if column == "target_events" and not same_events:
            continue  # its segments are other users in each run
        parts += _segments(runs, column, protocols[-1], metric)
    parts += _tests(runs, protocols, metric)
    parts += ["<h2>Protocol</h2>", _pre(reports[0].protocol_text())]
    parts.append("<h2>Options</h2>")
    for name, run in runs.items():
        options = _pre(yaml.safe_dump(run.experiment, sort_keys=False))
        shown = f"<summary>{escape(name)}</summary>{options}"
        parts.append(f"<details>{shown}</details>")
    title = escape(", ".join(runs))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f"<h1>{title}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
    with system_errors(f"write {path}"):
        write_text(path, page)


def _check(runs: Mapping[str, Run], metric: str) -> list[Protocol]:
    """The protocols that all reports have.

    Raises:
        RunError: There are none, or the reports are of other held-out users.
        ConfigError: A report has no value of the metric for each user.
    """
    (base, first), *others = ((name, run.report) for name, run in runs.items())
    for name, report in others:
        if report.facts["held_out_hash"] != first.facts["held_out_hash"]:
            raise RunError(
                "a page shows runs on the same held-out users, and those of "
                f"{name} are others than those of {base}. Write a page for each data "
                "set and split"
            )
    for run in runs.values():
        table = run.report.per_user
        if metric not in (known := _metrics_of_users(table)):
            raise ConfigError(
                f"the report of {run.folder} has no metric {metric!r} of users; "
                f"{suggest(metric, known)}"
            )
        if missing := [name for name in SEGMENTS if name not in table.columns]:
            raise RunError(
                f"the report of {run.folder} has no {' and no '.join(missing)}: an "
                "older graphseq wrote it. Evaluate the run again: graphseq evaluate "
                f"{run.folder}"
            )
    found = [p for p in PROTOCOLS if all(p in r.report for r in runs.values())]
    if not found:
        listed = (f"{name} with {[*run.report.means]}" for name, run in runs.items())
        raise RunError(
            "the runs were evaluated under different history protocols: "
            f"{', '.join(listed)}. Evaluate them with --history both"
        )
    return found


def _metrics_of_users(table: pl.DataFrame) -> list[str]:
    return [name for name in table.columns if name == "MRR" or "@" in name]


def _facts(runs: Mapping[str, Run]) -> tuple[list[str], list[list[str]]]:
    """Model, seed, cost and code of each run."""
    rows = []
    for name, run in runs.items():
        environment = run.record["environment"]
        commit = environment["commit"] or {"id": "unknown", "changed": False}
        rows.append(
            [
                name,
                *run.experiment["model"],
                str(run.record["seed"]),
                str(run.epochs),
                f"{run.cpu_seconds:,.0f}",
                commit["id"][:12] + "+" * bool(commit["changed"]),
                run.record["graph"]["hash"][:12],
            ]
        )
    return ["run", "model", "seed", "epochs", "CPU s", "commit", "graph"], rows


def _metrics(runs: Mapping[str, Run], protocol: str) -> str:
    """A row for each headline metric at each k, and for those that were requested."""
    means = [run.report[protocol] for run in runs.values()]
    facts = next(iter(runs.values())).report.facts
    kinds = (*HEADLINE, *facts.get("metrics", ()))
    rows, best = [], []
    for name in (f"{kind}@{k}" for k in facts["ks"] for kind in kinds):
        values = [mean[name] for mean in means if name in mean]
        if len(values) < len(means):
            continue
        rows.append([name, *(f"{value:.4f}" for value in values)])
        ours = name.split("@")[0] in HEADLINE and len(values) > 1
        best.append(1 + values.index(max(values)) if ours else None)
    return _table(["metric", *runs], rows, best)


def _curves(runs: Mapping[str, Run], metric: str) -> str:
    """The metric by epoch, of the runs that have it.

    If no run has it, NDCG@10, or else the metric that chose the epochs of the first.
    """
    chosen = [run.experiment["train"]["monitor"] for run in runs.values()]
    for name in (metric, "NDCG@10", *filter(None, chosen)):
        found = {
            each: run
            for each, run in runs.items()
            if any(row.get(name) is not None for row in run.history)
        }
        if found:
            return svg(learning_figure(by_variant(found), name))
    return "<p>No run was validated.</p>"


def _segments(
    runs: Mapping[str, Run], column: str, protocol: str, metric: str
) -> Iterator[str]:
    """A picture of the metric by quarters of the users."""
    values = next(iter(runs.values())).report.per_user[column]
    bounds = np.unique(np.quantile(values.to_numpy(), [0.25, 0.5, 0.75]).round())
    bins = [int(bound) for bound in bounds if bound > values.min()]
    if not bins:
        return
    rows = {
        name: run.report.by(column, bins).filter(pl.col("protocol") == protocol)
        for name, run in runs.items()
    }
    yield f"<h2>{SEGMENTS[column]}, history {protocol}</h2>"
    yield svg(segments_figure(rows, column, metric))


def _tests(
    runs: Mapping[str, Run], protocols: Sequence[Protocol], metric: str
) -> Iterator[str]:
    """Each run compared with the first one, user by user."""
    (base, first), *others = runs.items()
    if others:
        yield f"<h2>Compared with {escape(base)}, user by user</h2>"
    for name, run in others:
        for protocol in protocols:
            try:
                found = str(compare(run, first, metric, history=protocol))
            except GraphSeqError as error:
                found = str(error)
            yield f"<p>a: {escape(name)}, b: {escape(base)}</p>{_pre(found)}"


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    best: Sequence[int | None] = (),
) -> str:
    """A table; ``best`` is the bold column of each row, if there is one."""
    lines = ["".join(f"<th>{escape(name)}</th>" for name in header)]
    for row, bold in zip_longest(rows, best):
        cells = [
            f"<td{' class=best' if column == bold else ''}>{escape(value)}</td>"
            for column, value in enumerate(row)
        ]
        lines.append("".join(cells))
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f'<div class="wide"><table>\n{body}</table></div>'


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"
