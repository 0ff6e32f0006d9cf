"""Whether a run can be resumed: with the same model, graph and training options."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphseq.errors import RunError
from graphseq.training.run import Run

CHANGEABLE = (
    "max_epochs",
    "progress",
    "workers",
    "threads",
    "loggers",
)
"""Training options that a resumed run may change."""
SAME_START = ("neighbours", "fitted")  # values of new_items with the same first rows


def check_same(
    run: Run,
    experiment: Mapping[str, Any],
    graph: Mapping[str, Any],
    *,
    schedule_ends: bool,
) -> None:
    """Refuse to resume a run with another model, graph or training options.

    Raises:
        RunError: With every difference.
    """
    model, theirs = experiment["model"], run.experiment["model"]
    if [*theirs] == [*model]:
        found = [*_differences("model", theirs, model)]
        lines = []
    else:
        found = []
        lines = [f"the run is of {', '.join(theirs)}, this file of {', '.join(model)}"]
    found += _differences("train", run.experiment["train"], experiment["train"])
    found += _differences("graph", run.record["graph"], graph)
    changeable = {f"train.{option}" for option in CHANGEABLE}
    if schedule_ends:
        changeable.remove("train.max_epochs")
    lines += [
        f"{name}: the run has {former!r}, requested is {requested!r}"
        for name, former, requested in found
        if name not in changeable
        and not (name == "train.new_items" and {former, requested} <= {*SAME_START})
    ]
    if lines:
        raise RunError(
            f"{run.folder} contains another run:\n  "
            + "\n  ".join(lines)
            + "\nResume it with its own options, or train in a new folder"
        )


def _differences(
    name: str, former: Any, requested: Any
) -> Iterator[tuple[str, Any, Any]]:
    """Keys at which two nested dicts differ."""
    if not (isinstance(former, dict) and isinstance(requested, dict)):
        if former != requested:
            yield name, former, requested
        return
    for key in dict.fromkeys([*former, *requested]):
        yield from _differences(f"{name}.{key}", former.get(key), requested.get(key))
