"""Tables of results: one row a finished run, and reports side by side."""

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.atomic import created_parents, system_errors, write_text
from graphseq.errors import ConfigError, DataError
from graphseq.locks import lock_file

if TYPE_CHECKING:
    from rich.table import Table

    from graphseq.evaluation import Report
    from graphseq.training import Run

SEED = re.compile(r"\d+(\.0*)?")  # other programs write 0 as 0.0
KEYS = ("model", "data", "seed", "fingerprint")  # columns of every results table
UNCOMMITTED = "+uncommitted"  # after the commit of code with changes that are not in it
HEADLINE = ("HR", "Recall", "NDCG", "MRR", "coverage")


def table(reports: Mapping[str, "Report"], ks: Sequence[int] | None = None) -> "Table":
    """Compare models under each history protocol; the best accuracy is bold.

    Args:
        reports: Reports by model name, with the same protocols and list lengths.
        ks: List lengths to show; ``None`` shows all.
    """
    from rich.table import Table

    first = next(iter(reports.values()))
    _check_comparable(reports, ks)
    [means, *_], k = first.means.values(), first.facts["ks"][0]
    extra = first.facts.get("metrics", ())
    names = [name for name in (*HEADLINE, *extra) if f"{name}@{k}" in means]
    shown = Table("history", "model", "k", header_style="bold")
    for name in names:
        shown.add_column(f"{name}@k", justify="right")
    for protocol in first.means:
        shown.add_section()
        for k in ks or first.facts["ks"]:
            block = [[r[protocol][f"{n}@{k}"] for n in names] for r in reports.values()]
            best = [max(column) for column in zip(*block, strict=True)]
            for model, values in zip(reports, block, strict=True):
                cells = [
                    _cell(v, v == top and len(block) > 1 and name in HEADLINE)
                    for name, v, top in zip(names, values, best, strict=True)
                ]
                shown.add_row(protocol, model, str(k), *cells)
    return shown


def _check_comparable(
    reports: Mapping[str, "Report"], ks: Sequence[int] | None
) -> None:
    """Refuse reports that do not belong into one table.

    Raises:
        ConfigError: They are of different users, or lack a protocol, length or metric.
    """
    (base, first), *others = reports.items()
    wanted = set(ks or first.facts["ks"])
    for name, report in ((base, first), *others):
        for fact in ("part", "held_out_hash"):
            if report.facts[fact] != first.facts[fact]:
                raise ConfigError(
                    "a table compares models on the same users; the reports "
                    f"{base} and {name} have another {fact} "
                    f"({first.facts[fact]:.12} and {report.facts[fact]:.12})"
                )
        if lacks := wanted - {*report.facts["ks"]}:
            raise ConfigError(
                f"the report {name} has ks {report.facts['ks']}, and not "
                f"{sorted(lacks)}. Evaluate it again, or pass other ks"
            )
        if protocols := [p for p in first.means if p not in report]:
            raise ConfigError(f"the report {name} lacks the history {protocols[0]!r}")
        missing = {*first.facts.get("metrics", ())} - {*report.facts.get("metrics", ())}
        if missing:
            raise ConfigError(
                f"the report {name} lacks the metrics {', '.join(sorted(missing))}, "
                f"which {base} has. Evaluate it again with metrics="
            )


def _cell(value: float, best: bool) -> str:
    return f"[bold]{value:.4f}[/bold]" if best else f"{value:.4f}"


def row(
    run: "Run",
    report: "Report",
    *,
    data: str,
    experiment: str,
    settings: str = "",
    fingerprint: str = "",
) -> dict[str, Any]:
    """A finished run as one row: its identity, cost and metrics.

    Args:
        run: The run.
        report: Its report on the test part.
        data: Name of the data set or file.
        experiment: The experiment file.
        settings: Options that override it.
        fingerprint: Hash of the experiment, by which recorded runs are found.

    Returns:
        Column to value; a metric's column is named ``HR@5 excluded``.
    """
    environment = run.record["environment"]
    used = [environment, *run.record.get("resumed_in", ())]
    commits = [each["commit"] for each in used if each["commit"]]
    ids = dict.fromkeys(commit["id"][:12] for commit in commits)
    changed = any(commit["changed"] for commit in commits)
    (model,) = run.experiment["model"]
    facts = {
        "model": model,
        "data": data,
        "seed": run.experiment["train"]["seed"],
        "commit": "+".join(ids) + (UNCOMMITTED if changed else ""),
        "device": environment["device"],
        "cpu_seconds": round(run.cpu_seconds, 1),
        "epochs": run.epochs,
        "experiment": experiment,
        "settings": settings,
        "fingerprint": fingerprint,
        "graph": run.record["graph"]["hash"][:12],
    }
    metrics = {
        f"{metric} {protocol}": f"{value:.6g}"
        for protocol, means in report.means.items()
        for metric, value in means.items()
    }
    return facts | metrics


def append(path: str | Path, new: Mapping[str, Any]) -> None:
    """Append a row to a CSV file, which is created if needed.

    The file is replaced atomically, and processes that append at the same time wait for
    each other. New columns are added on the right, empty in the older rows.

    Raises:
        DataError: The file is not a table of results.
        GraphError: It cannot be written; the disk is full, for example.
    """
    path = Path(path)
    with (
        system_errors(f"add a row to {path}"),
        created_parents(path),
        _locked(path.parent),
    ):
        rows = read_table(path)
        rows.append({name: str(value) for name, value in new.items()})
        columns = dict.fromkeys(name for old in rows for name in old)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, text.getvalue())


def check_table(path: str | Path) -> None:
    """Refuse a file to which :func:`append` cannot add a row.

    Raises:
        DataError: The file exists and is not a table of results.
    """
    read_table(Path(path))


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table of results; empty if the file is missing or empty.

    Raises:
        DataError: The file is not a table of results.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            rows = list(reader)
            columns = list(reader.fieldnames or [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(
                f"{path} is not a CSV table: {error}; choose another --record"
            ) from error
    if columns and not set(KEYS) <= set(columns):
        shown = ", ".join(columns[:10]) + ", …" * (len(columns) > 10)
        raise DataError(
            f"{path} is not a table of results: it has the columns {shown}; choose "
            "another --record"
        )
    if any(None in read or None in read.values() for read in rows):
        raise DataError(
            f"{path}: some rows do not have the fields of the header. Fix the file; "
            "nothing was written"
        )
    for number, read in enumerate(rows, start=1):
        if not SEED.fullmatch(read["seed"].strip()):
            raise DataError(
                f"{path}: row {number} below the header has the seed "
                f"{read['seed']!r}, and a seed is a whole number. Fix the file; "
                "nothing was written"
            )
    return rows


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, so that one process at a time appends to its files."""
    if os.name == "nt":  # folders cannot be opened there; the last writer wins
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        lock_file(handle, wait=True)
        yield
    finally:
        os.close(handle)
