"""``graphseq tune``: search for the options with the best validation metric."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.cli.app import check_folder
from graphseq.cli.progress import make_console
from graphseq.schema import Size

if TYPE_CHECKING:
    from graphseq.config.tune import Trial


def tune(
    experiment: str,
    /,
    *,
    folder: Path,
    trials: Size = 20,
    no_pruning: bool = False,
    data: Path | None = None,
    graph: Path | None = None,
    set: list[str] | None = None,
) -> None:
    """Search for the options of an experiment with the best validation metric.

    The section tune of the file says what varies. The test part is never read: train
    the best experiment afterwards. The same command continues a search that was
    interrupted, and with more --trials one that was complete.

    Examples:
      graphseq tune experiments/beauty/cl4srec.yaml:ours --folder studies/cl4srec
      graphseq train studies/cl4srec/best.yaml --seeds 0 1 2

    Args:
        experiment: Experiment file, or FILE.yaml:VARIANT.
        folder: Folder of the search: study.db, trials.csv, best.yaml.
        trials: Number of trials, those of earlier commands included.
        no_pruning: Train every trial to its end.
        data: Folder of the data sets.
        graph: Folder of a saved graph, instead of the data.
        set: Options to override, such as train.max_epochs=5.
    """
    check_folder("--folder", folder)
    from graphseq.config import load

    checked = load(experiment, set or ())
    if graph is not None:
        checked = checked.on_graph(graph, data)
    from graphseq.config.tune import BEST, best_of
    from graphseq.config.tune import tune as search

    found = search(
        checked,
        trials=trials,
        folder=folder,
        prune=not no_pruning,
        root=data,
        report=_print_trial,
    )
    _print_trials(found, checked.section("train").monitor)
    best = best_of(found)
    print(f"best: trial {best.number}, {folder / BEST}")
    print(f"next: graphseq train {folder / BEST}")


def _print_trial(trial: "Trial", best: "Trial") -> None:
    names = _short(trial.values)
    values = "  ".join(f"{names[n]}={_shown(v)}" for n, v in trial.values.items())
    shown = "–" if trial.value is None else f"{trial.value:.4f}"
    print(
        f"trial {trial.number}  {trial.state}  {shown}  (best {best.value:.4f}, trial "
        f"{best.number})  {values}",
        flush=True,
    )


def _short(names: Iterable[str]) -> dict[str, str]:
    """The last words of options, as few as make them differ."""
    words = {name: name.split(".") for name in names}
    for length in range(1, max(map(len, words.values()), default=0) + 1):
        short = {name: ".".join(parts[-length:]) for name, parts in words.items()}
        if len({*short.values()}) == len(words):
            return short
    return {name: name for name in words}


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _print_trials(trials: "list[Trial]", monitor: str) -> None:
    """The ten best trials."""
    from rich.table import Table

    names = list(dict.fromkeys(name for trial in trials for name in trial.values))
    columns = _short(names).values()
    table = Table("trial", "state", monitor, *columns, header_style="bold")
    order = sorted(trials, key=lambda t: (t.state != "complete", -(t.value or 0)))
    for trial in order[:10]:
        value = "–" if trial.value is None else f"{trial.value:.4f}"
        cells = [_shown(trial.values.get(name, "")) for name in names]
        table.add_row(str(trial.number), trial.state, value, *cells)
    make_console().print(table)
