"""What a training needs before it begins: examples, and epochs for all losses."""

import warnings

from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError, GraphError
from graphseq.models import Model
from graphseq.sequences.samplers import check_learnable


def check_examples(
    model: Model, graph: HeteroData, *, trained: bool, validated: bool
) -> None:
    """Refuse a graph that does not fit, or has no users to train or validate on.

    Raises:
        GraphError: If it is such a graph.
    """
    model.check(graph)
    if validated and ("validation" not in graph or not len(graph.validation.user)):
        raise GraphError(
            "the graph has no validation users, so no metric can be monitored. Build "
            "it from a split that has them, or pass monitor=None"
        )
    for stage in model.stages() if trained else ():
        check_learnable(graph, stage.sampler or model.sampler)


def check_epochs(model: Model, max_epochs: int) -> None:
    """Refuse, or warn of, epochs that end before all losses are trained.

    Raises:
        ConfigError: The last stage would not be reached.
    """
    model.check_stages()
    name = type(model).__name__
    if 0 < max_epochs <= model.warmup:
        warnings.warn(
            f"{name} trains {model.warmup} epochs before all of its losses begin, and "
            f"max_epochs is {max_epochs}. Train longer, or let them begin earlier "
            "(EC4SRec: updates, ICLRec: warm_up)",
            stacklevel=4,
        )
    check_last_stage(model, max_epochs)


def check_last_stage(model: Model, max_epochs: int) -> None:
    """Refuse epochs that end before the last stage.

    Raises:
        ConfigError: They do.
    """
    before = epochs_before_last_stage(model)
    if before and 0 < max_epochs <= before:
        raise ConfigError(
            f"{type(model).__name__} trains {before} epochs before its last stage, and "
            f"max_epochs is {max_epochs}. Raise max_epochs, or shorten the earlier "
            "stages"
        )


def epochs_before_last_stage(model: Model) -> int:
    """Epochs of all stages but the last one."""
    return sum(stage.epochs or 0 for stage in model.stages()[:-1])
