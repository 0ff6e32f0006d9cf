"""``graphseq report``: one HTML page about several runs."""

from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.errors import ConfigError, quantity
from graphseq.folders import check_run

if TYPE_CHECKING:
    from graphseq.training import Run


def report(
    runs: list[str],
    /,
    *,
    html: Path = Path("report.html"),
    metric: str = "NDCG@10",
) -> None:
    """Write one HTML page about evaluated runs, to read, print or send.

    It holds the test metrics, curves, segments of users, paired tests against the first
    run, the protocol, and all options. It needs no other file and no network.

    Examples:
      graphseq report runs/sasrec-beauty-0 runs/mclsr-beauty-0
      graphseq report "runs/*" --html results.html --metric HR@10

    Args:
        runs: Run folders, or patterns of run folders.
        html: File to write.
        metric: Metric of the curves, segments and tests.
    """
    loaded = load_runs(runs)
    from graphseq.report_page import write_page

    write_page(loaded, html, metric)
    print(f"{quantity(len(loaded), 'run')} in {html}")


def load_runs(patterns: list[str]) -> "dict[str, Run]":
    """Runs by the names of their folders, or by their paths if names are equal.

    Args:
        patterns: Run folders, or patterns of run folders.

    Raises:
        ConfigError: A pattern matches nothing.
        RunError: A folder holds no run.
    """
    folders: dict[str, Path] = {}
    for pattern in patterns:
        found = sorted(glob(pattern)) if not Path(pattern).is_dir() else [pattern]
        if not found:
            raise ConfigError(f"no run folder matches {pattern}; check the path")
        folders |= {str(Path(name)): Path(name) for name in found}
    for folder in folders.values():
        check_run(folder)
    from graphseq.training import load_run

    short = {path.name for path in folders.values()}
    return {
        path.name if len(short) == len(folders) else name: load_run(path)
        for name, path in folders.items()
    }
