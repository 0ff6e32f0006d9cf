"""The cost of a build: refused before the work if memory or disk is too small."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.cli.relations import describe_step
from graphseq.errors import ConfigError
from graphseq.runtime import available_memory, format_bytes

if TYPE_CHECKING:
    from rich.table import Table

    from graphseq.data import Interactions
    from graphseq.graphs.cost import Estimate

READING = 40  # bytes of memory per event while a log is read, with ids
GIGABYTE = 1_000_000_000


def check_size(log: str | Path, memory: float | None, format: str | None) -> None:
    """Refuse a log that cannot be read in the available memory.

    Raises:
        ConfigError: With the memory that is needed, and what to do.
    """
    from graphseq.data.readers.log import estimate_events

    limit, events = _limit(memory), estimate_events(log, format)
    if limit is not None and events is not None and READING * events > limit:
        raise ConfigError(
            f"reading {log} takes about {format_bytes(READING * events)} of memory for "
            f"about {events:,} events; {format_bytes(limit)} are available. Use a part "
            f"of the log or a machine with more memory, or raise the limit, in GB "
            f"(--memory)"
        )


def check_cost(
    train: "Interactions",
    estimates: "Sequence[Estimate]",
    output: Path,
    memory: float | None,
) -> None:
    """Refuse a build that does not fit in memory or on the disk.

    Raises:
        ConfigError: With the largest relation, and how to make it smaller.
    """
    from graphseq.graphs.cost import peak

    needed, limit = peak(estimates), _limit(memory)
    if limit is not None and needed > limit:
        largest = max(estimates, key=lambda each: each.memory)
        option, words = describe_step(largest.step)
        forms = {"transitions": "1:20", "attributes": "", "vectors": ""}
        form = forms.get(option, "count:20")
        fewer = (
            f"Keep fewer edges, such as --{option} {form}" if form else "Leave it out"
        )
        raise ConfigError(
            f"this build needs about {format_bytes(needed)} of memory; "
            f"{format_bytes(limit)} are available. The largest part is {option} "
            f"({words}): {largest.operations or 0:,} multiply-adds or pairs, "
            f"{largest.edges or 0:,} edges. {fewer}; leave out rare users and items "
            f"(--k-core 5); or raise the limit, in GB (--memory)"
        )
    folder = next(p for p in output.absolute().parents if p.exists())
    size, free = _stored(train, estimates), shutil.disk_usage(folder).free
    if size > free:
        raise ConfigError(
            f"the graph takes about {format_bytes(size)}; {format_bytes(free)} are "
            f"free on the disk of {folder}. Delete files, or choose another --output"
        )


def cost_table(
    train: "Interactions", estimates: "Sequence[Estimate]", memory: float | None
) -> "Table":
    """The steps, their options and their expected cost."""
    from rich.table import Table

    from graphseq.graphs.cost import peak

    shown = Table(header_style="bold")
    shown.add_column("step", no_wrap=True)
    shown.add_column("edges kept")
    for name in ("multiply-adds or pairs", "edges, at most about", "peak memory"):
        shown.add_column(name, justify="right")
    shown.add_row("user-item", "training events", "–", f"{len(train):,}", "–")
    for each in estimates:
        numbers = [
            "unknown" if number is None else f"{number:,}"
            for number in (each.operations, each.edges)
        ]
        needed = format_bytes(each.memory) if each.memory else "unknown"
        shown.add_row(*describe_step(each.step), *numbers, needed)
    limit = _limit(memory)
    free = "" if limit is None else f" of {format_bytes(limit)} available"
    total = format_bytes(peak(estimates))
    stored = format_bytes(_stored(train, estimates))
    shown.caption = (
        f"about {total} of memory{free}, in addition to the log; {stored} on disk"
    )
    return shown


def _stored(train: "Interactions", estimates: "Sequence[Estimate]") -> int:
    """Approximate size of the folder in bytes."""
    from graphseq.graphs.cost import EVENT

    ids = 12 * (train.num_users + train.num_items)
    return 2 * EVENT * len(train) + ids + sum(each.kept for each in estimates)


def _limit(memory: float | None) -> int | None:
    """Bytes of memory that may be used: the given limit, or the free memory."""
    return available_memory() if memory is None else round(memory * GIGABYTE)
