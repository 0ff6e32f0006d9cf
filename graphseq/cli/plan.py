"""What a build will cost, shown and weighed before it begins."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.cli.relations import spelt as step_spelt
from graphseq.errors import ConfigError
from graphseq.runtime import available_memory as available
from graphseq.runtime import format_bytes as spelt

if TYPE_CHECKING:
    from rich.table import Table

    from graphseq.data import Interactions
    from graphseq.graphs.cost import Estimate

READING = 40  # bytes of memory that an event takes while it is read, with ids
GIGABYTE = 1_000_000_000


def check_memory(memory: float | None) -> None:
    """Refuse to work in less than nothing.

    Raises:
        ConfigError: As said.
    """
    if memory is not None and not memory > 0:
        raise ConfigError(f"--memory is above 0, in gigabytes; got {memory:g}")


def check_size(log: str, memory: float | None, format: str | None = None) -> None:
    """Refuse a file that cannot be read in the memory there is.

    Raises:
        ConfigError: As said, with what to do.
    """
    from graphseq.data.readers.log import estimate_events

    room, events = _room(memory), estimate_events(log, format)
    if room is None or events is None:
        return
    need = READING * events
    if need > room:
        raise ConfigError(
            f"reading {log} takes about {spelt(need)} of memory for its {events:,} "
            f"events or so; there are {spelt(room)}. Take a part of the log, or a "
            f"machine of more memory; or say how much may be used, in GB (--memory)"
        )


def check_room(
    train: "Interactions",
    estimates: "Sequence[Estimate]",
    output: str,
    memory: float | None,
) -> None:
    """Refuse a build that does not fit in memory or on the disk.

    Raises:
        ConfigError: As said, with what to change.
    """
    from graphseq.graphs.cost import peak

    need, room = peak(train, estimates), _room(memory)
    if room is not None and need > room:
        largest = max(estimates, key=lambda each: each.memory)
        raise ConfigError(
            f"this build needs about {spelt(need)} of memory; there are {spelt(room)}. "
            f"{_figures(largest)}. {_cure(largest)}"
        )
    place = next(p for p in Path(output).absolute().parents if p.exists())
    size, free = stored(train, estimates), shutil.disk_usage(place).free
    if size > free:
        raise ConfigError(
            f"the graph takes about {spelt(size)}; on the disk of {place} there are "
            f"{spelt(free)}. Make room, or choose another --output"
        )


def stored(train: "Interactions", estimates: "Sequence[Estimate]") -> int:
    """Bytes of the folder, about."""
    from graphseq.graphs.cost import EVENT

    ids = 12 * (train.num_users + train.num_items)
    return 2 * EVENT * len(train) + ids + sum(each.kept for each in estimates)


def plan_table(
    train: "Interactions", estimates: "Sequence[Estimate]", memory: float | None
) -> "Table":
    """The steps, their options and their costs."""
    from rich.table import Table

    from graphseq.graphs.cost import peak

    shown = Table(header_style="bold")
    shown.add_column("step", no_wrap=True)
    shown.add_column("edges kept")
    for name in (
        "multiply-adds or pairs",
        "edges, at most about",
        "memory at its peak",
    ):
        shown.add_column(name, justify="right")
    shown.add_row("user-item", "training events", "–", f"{len(train):,}", "–")
    for each in estimates:
        figures = [
            "not known" if amount is None else f"{amount:,}"
            for amount in (each.operations, each.edges)
        ]
        need = spelt(each.memory) if each.memory else "not known"
        shown.add_row(*step_spelt(each.step), *figures, need)
    room = _room(memory)
    free = "" if room is None else f" of {spelt(room)} that may be used"
    shown.caption = (
        f"about {spelt(peak(train, estimates))} of memory{free}, beside the log; "
        f"{spelt(stored(train, estimates))} on disk"
    )
    return shown


def _room(memory: float | None) -> int | None:
    """Bytes that may be used: what was said, or what is free."""
    return available() if memory is None else round(memory * GIGABYTE)


def _figures(largest: "Estimate") -> str:
    name, words = step_spelt(largest.step)
    return (
        f"Most of it is for {name} ({words}): {largest.operations or 0:,} "
        f"multiply-adds or pairs, {largest.edges or 0:,} edges"
    )


def _cure(largest: "Estimate") -> str:
    """What would make the largest step smaller."""
    option, _ = step_spelt(largest.step)
    form = {"transitions": "1:20", "attributes": ""}.get(option, "count:20")
    fewer = f"Keep fewer edges, such as --{option} {form}" if form else "Leave it out"
    return (
        f"{fewer}; leave out rare users and items (--k-core 5); or say how much memory "
        f"may be used, in GB (--memory)"
    )
