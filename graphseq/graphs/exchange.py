"""Graphs for other tools, and back: Parquet tables, GraphML and GEXF.

* ``parquet`` is a folder: ``nodes/KIND.parquet``, ``edges/A-NAME-B.parquet`` with the
  raw ids of both ends and a column for each tensor, ``held_out/*.parquet``. All of the
  graph comes back, with the same hashes.
* ``graphml`` and ``gexf`` are one file of nodes and edges with attributes. What trains
  comes back, with the same hash; what is held out is not in them.
"""

from pathlib import Path
from typing import Literal, get_args

import polars as pl
from torch_geometric.data import HeteroData

from graphseq.atomic import new_folder
from graphseq.errors import ConfigError, GraphError, suggest
from graphseq.graphs.tables import is_exchange, read_tables, write_tables

Form = Literal["parquet", "graphml", "gexf"]


def form_of(path: str | Path, form: str | None = None) -> Form:
    """The form that was named, or that the ending of a path names.

    Raises:
        ConfigError: There is no such form.
    """
    wanted = form or Path(path).suffix.removeprefix(".").lower() or "parquet"
    if wanted not in get_args(Form):
        raise ConfigError(
            f"graphs are exchanged as parquet (a folder), graphml or gexf; got "
            f"{wanted!r}: {suggest(wanted, get_args(Form))}"
        )
    found: Form = wanted  # type: ignore[assignment]
    return found


def export_graph(graph: HeteroData, path: str | Path, form: str | None = None) -> Path:
    """Write a graph for other tools.

    Args:
        graph: Any graph; nodes without vocabulary are named by their numbers.
        path: The folder (parquet) or file to write.
        form: parquet, graphml or gexf; ``None`` goes by the ending of the path, and
            takes parquet where there is none.

    Returns:
        The path.

    Raises:
        ConfigError: There is no such form.
        GraphError: It cannot be written there, or not in that form.
    """
    path, chosen = Path(path), form_of(path, form)
    if chosen != "parquet":
        from graphseq.graphs.markup import write_markup

        return write_markup(graph, path, chosen)
    with new_folder(path, is_exchange, "exported tables") as folder:
        write_tables(graph, folder)
    return path


def import_graph(path: str | Path, form: str | None = None) -> HeteroData:
    """Read a graph that :func:`export_graph` wrote, or that has the same layout.

    Raises:
        ConfigError: There is no such form.
        GraphError: It cannot be read, or does not have the layout.
    """
    path = Path(path)
    chosen = "parquet" if path.is_dir() and form is None else form_of(path, form)
    if chosen != "parquet":
        from graphseq.graphs.markup_reader import read_markup

        return read_markup(path, chosen)
    try:
        return read_tables(path)
    except (OSError, ValueError, LookupError, pl.exceptions.PolarsError) as error:
        raise GraphError(
            f"{path} does not hold tables of a graph as graphseq export writes them: "
            f"{type(error).__name__}: {error}"
        ) from error
