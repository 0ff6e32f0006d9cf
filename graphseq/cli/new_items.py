"""Items without events for the commands that use a run: described by files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.errors import ConfigError

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from graphseq.models import Model


def check_files(vectors: Path | None, attributes: Path | None) -> None:
    """Refuse files that are not there.

    Raises:
        ConfigError: There is such a file.
    """
    for option, file in (("--new-vectors", vectors), ("--new-attributes", attributes)):
        if file is not None and not file.is_file():
            raise ConfigError(
                f"{option} takes a file that describes new items; there is none at "
                f"{file}. Check the path"
            )


def with_new_items(
    model: "Model",
    graph: "HeteroData",
    vectors: Path | None,
    attributes: Path | None,
) -> "tuple[Model, HeteroData]":
    """The model and graph with all items that the files describe and the graph lacks.

    Files are read as those of the graph were: with the same columns.

    Args:
        model: The model.
        graph: Its graph.
        vectors: File of vectors; ``None``: there is none.
        attributes: File of attributes; ``None``: there is none.
    """
    if vectors is None and attributes is None:
        return model, graph
    from graphseq.graphs import Attributes, ItemVectors
    from graphseq.models import add_items

    made = getattr(graph, "provenance", {}).get("transforms") or []
    steps = []
    for file, kind in ((vectors, ItemVectors), (attributes, Attributes)):
        if file is not None:
            options: dict[str, Any] = {}
            for step in made:
                if isinstance(step, dict):
                    options |= step.get(kind.__name__, {})
            options |= {"source": str(file.absolute()), "root": "."}
            options.pop("ids", None)  # of another file
            steps.append(kind(**options))
    return add_items(model, graph, steps)
