"""``graphseq report``: one HTML page about several runs."""

from glob import glob
from pathlib import Path

from graphseq.errors import ConfigError, quantity
from graphseq.folders import check_run


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
    folders: dict[str, Path] = {}
    for pattern in runs:
        found = sorted(glob(pattern)) if not Path(pattern).is_dir() else [pattern]
        if not found:
            raise ConfigError(f"no run folder matches {pattern}; check the path")
        folders |= {str(Path(name)): Path(name) for name in found}
    for folder in folders.values():
        check_run(folder)
    from graphseq.report_page import write_page
    from graphseq.training import load_run

    short = {path.name for path in folders.values()}
    loaded = {
        path.name if len(short) == len(folders) else name: load_run(path)
        for name, path in folders.items()
    }
    write_page(loaded, html, metric)
    print(f"{quantity(len(loaded), 'run')} in {html}")
