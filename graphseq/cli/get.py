"""``graphseq get``: download and check published data sets."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.cli.progress import make_console
from graphseq.cli.results import check_output, give_json
from graphseq.errors import ConfigError, quantity
from graphseq.runtime import is_quiet

if TYPE_CHECKING:
    from rich.progress import Progress

    from graphseq.data import Dataset, Fetched

MARKS = 10  # lines of a download without a terminal


def get(
    name: str | None = None,
    /,
    *,
    list: bool = False,
    root: Path | None = None,
    url: str | None = None,
    json: bool = False,
    output: Path | None = None,
) -> None:
    """Download a published data set, check it, and count its events.

    Existing files are not downloaded again; an interrupted download is resumed, if the
    server allows it. The files go to --root, to the folder in GRAPHSEQ_DATA, or to the
    cache; experiments and load_dataset read them from there.

    Examples:
      graphseq get --list
      graphseq get ml-1m
      graphseq get amazon-beauty --root ../data
      graphseq get gowalla --url https://mirror.example/loc-gowalla_totalCheckins.txt.gz

    Args:
        name: Name of the data set; --list shows all.
        list: List all data sets with their sizes, and which are present.
        root: Folder to download to.
        url: Another address of the log, or of the archive that contains it.
        json: Print the list as JSON.
        output: Also write the list as JSON to this file.
    """
    if name is not None and (json or output is not None):
        raise ConfigError("--json and --output are options of get --list")
    check_output(output)
    if list == (name is not None):
        raise ConfigError("get takes the NAME of a data set, or --list to see all")
    if name is None:
        _show_all(root, json, output)
        return
    from graphseq.data import fetch_dataset
    from graphseq.data.recipes import find_dataset

    facts = find_dataset(name)
    print(f"{name}: {facts.source}\nterms: {facts.licence}")
    with warnings.catch_warnings(record=True) as doubts, _watching() as watch:
        warnings.simplefilter("always")
        found = fetch_dataset(name, root, url=url, progress=watch, report=_print)
    for doubt in doubts:
        print(f"warning: {doubt.message}", file=sys.stderr)
    _sum_up(found, root)


def _print(line: str) -> None:
    print(line, flush=True)


def _sum_up(found: "Fetched", root: Path | None) -> None:
    facts, log = found.dataset, found.log
    for file, digest in found.sha256.items():
        kind = "sha256 once unpacked" if file.endswith(".gz") else "sha256"
        print(f"{file}: {kind} {digest}")
    counts = ", ".join(
        [
            quantity(log.num_users, "user"),
            quantity(log.num_items, "item"),
            quantity(len(log), "event"),
        ]
    )
    same = (log.num_users, log.num_items, len(log)) == facts.sizes
    print(f"read: {counts}{', as expected' if same else ''}")
    if facts.note:
        print(facts.note)
    print(f"next, in an experiment:  data: {{dataset: {facts.name}}}")
    if root is not None:
        print(f"with --data {root}, or: export GRAPHSEQ_DATA={root.resolve()}")


def _show_all(root: Path | None, json: bool, output: Path | None) -> None:
    """A table of all data sets."""
    from rich.table import Table

    from graphseq.data import catalog
    from graphseq.data.datasets import data_folders, find_file

    folders = data_folders(root)
    facts: dict[str, dict[str, Any]] = {
        each.name: {
            **dict(zip(("users", "items", "events"), each.sizes, strict=True)),
            "download": _effort(each),
            "present": bool(find_file(each.file, folders)),
        }
        for each in catalog().values()
    }
    if give_json(facts, printed=json, output=output):
        return
    shown = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("name", no_wrap=True)
    for title in ("users", "items", "events"):
        shown.add_column(title, justify="right", no_wrap=True)
    shown.add_column("download", no_wrap=True)
    shown.add_column("here", no_wrap=True)
    for name, row in facts.items():
        *sizes, download, present = row.values()
        numbers = [f"{size:,}" for size in sizes]
        shown.add_row(name, *numbers, download, "yes" if present else "")
    console = make_console()
    console.print(shown)
    console.print(f"Downloads go to {folders[0]}; see --root and GRAPHSEQ_DATA.")


def _effort(facts: "Dataset") -> str:
    """Size of the download."""
    if not facts.downloads or not facts.downloads[0].urls:
        return "by hand"
    size = facts.downloads[0].bytes
    return "size unknown" if size is None else f"{size / 1e6:,.1f} MB"


@contextmanager
def _watching() -> Iterator[Callable[[str], Callable[[int, int | None], None]]]:
    """A bar on a terminal, else a line now and then; nothing if quiet."""
    if is_quiet():
        yield lambda _: _ignore
        return
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        yield _Lines
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, transient=True) as shown:
        yield lambda name: _bar(shown, name)


def _bar(shown: "Progress", name: str) -> Callable[[int, int | None], None]:
    task = shown.add_task(name, total=None)
    return lambda done, total: shown.update(task, completed=done, total=total)


def _ignore(done: int, total: int | None) -> None:
    """Show nothing."""


class _Lines:
    """A line for every tenth of a file."""

    def __init__(self, name: str) -> None:
        self.name, self.printed = name, 0

    def __call__(self, done: int, total: int | None) -> None:
        mark = done * MARKS // total if total else 0
        if total and mark > self.printed:
            self.printed = mark
            _print(f"{self.name}: {done:,} of {total:,} bytes")
