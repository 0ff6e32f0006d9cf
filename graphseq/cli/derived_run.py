"""Runs whose models consist of trained runs: written and evaluated, not trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from graphseq.cli.app import check_folder
from graphseq.cli.evaluate import print_reports
from graphseq.config import Experiment
from graphseq.constants import Protocol
from graphseq.errors import ConfigError
from graphseq.models import Model

SECTIONS = ("data", "filters", "split", "graph", "evaluate")


def check_new(folder: Path) -> None:
    """Refuse a folder that contains a run.

    Raises:
        ConfigError: It does, or it cannot be a folder.
    """
    check_folder("--folder", folder)
    if (folder / "run.json").is_file():
        raise ConfigError(f"{folder} contains a run already; choose another --folder")


def write_run(
    model: Model,
    graph: HeteroData,
    folder: Path,
    experiment: Experiment,
    written: Mapping[str, Any],
    *,
    history: Protocol,
    name: str,
) -> None:
    """Write the run of a model that is not trained, and print its test report.

    Args:
        model: The model.
        graph: The graph of its members.
        folder: Folder of the new run.
        experiment: The experiment that evaluates it.
        written: Sections of the experiment that the new run records.
        history: History protocol of the validation.
        name: Name of the model in the report.
    """
    from graphseq.training import fit

    fit(
        model,
        graph,
        folder=folder,
        monitor="NDCG@10" if len(graph.validation.user) else None,
        history=history,
        progress=False,
        experiment={each: written[each] for each in SECTIONS if each in written},
    )
    report = experiment.evaluate(model, graph, part="test", folder=folder)
    print_reports({name: report})
