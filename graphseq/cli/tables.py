"""Tables that fit the width of a terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def fit_width(table: "Table", console: "Console") -> "list[Table]":
    """A table as one or more tables that fit the console, each with some columns.

    The leading columns of text, which name the rows, are in each of them.

    Args:
        table: The table; columns of values are those aligned to the right.
        console: Its width is the limit. A single column may still exceed it.
    """
    if _width(table, console) <= console.width:
        return [table]
    columns = range(len(table.columns))
    values = [i for i in columns if table.columns[i].justify == "right"]
    keys = [i for i in columns if i < min(values, default=0)]
    found, chosen = [], [*keys]
    for i in [i for i in columns if i not in keys]:
        is_wider = _width(_select(table, [*chosen, i]), console) > console.width
        if is_wider and len(chosen) > len(keys):
            found.append(_select(table, chosen))
            chosen = [*keys]
        chosen.append(i)
    return [*found, _select(table, chosen)]


def _select(table: "Table", chosen: list[int]) -> "Table":
    """Some columns of a table."""
    from rich.table import Table

    some = Table(header_style=table.header_style, box=table.box)
    for i in chosen:
        column = table.columns[i]
        some.add_column(
            column.header,
            justify=column.justify,
            style=column.style,
            no_wrap=column.no_wrap,
            overflow=column.overflow,
        )
    cells = [list(table.columns[i].cells) for i in chosen]
    for row, values in zip(table.rows, zip(*cells, strict=True), strict=True):
        some.add_row(*values, style=row.style, end_section=row.end_section)
    return some


def _width(table: "Table", console: "Console") -> int:
    from rich.measure import Measurement

    wide = console.options.update(max_width=2**20)
    return Measurement.get(console, wide, table).maximum
