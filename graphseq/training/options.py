"""What must hold before a run starts; every fault is told, not the first."""

import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from itertools import chain
from numbers import Integral, Real
from typing import Any, Literal, get_args

from torch_geometric.data import HeteroData

from graphseq.constants import Protocol
from graphseq.errors import ConfigError, GraphError
from graphseq.models import Model
from graphseq.sequences.examples import check_learnable

WHOLE = (
    "max_epochs",
    "batch_size",
    "lr_warmup",
    "lr_decay_every",
    "seed",
    "patience",
    "evaluate_every",
    "workers",
    "threads",
)
POSITIVE = (
    "batch_size",
    "lr",
    "lr_decay",
    "lr_decay_every",
    "patience",
    "evaluate_every",
    "gradient_clip",
    "threads",
)
UNSIGNED = ("max_epochs", "lr_warmup", "weight_decay", "seed", "workers")
USUAL: dict[str, tuple[Any, ...]] = {
    "accelerator": ("auto", "cpu"),
    "devices": (1, "auto"),
    "strategy": ("auto",),
    "precision": ("32-true", "bf16-softmax", "64-true"),
    "loggers": ((), []),
}
METRIC = re.compile(r"(HR|Recall|NDCG|MRR|coverage)@([1-9]\d*)|MRR")
Precision = Literal["32-true", "bf16-softmax", "bf16-mixed", "16-mixed", "64-true"]


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options of :func:`graphseq.fit` that mean nothing.

    Raises:
        ConfigError: Naming every such option.
    """
    problems = [*_numbers(options)]
    monitor = options["monitor"]
    if monitor is not None and not METRIC.fullmatch(monitor):
        problems.append(
            f"monitor is a metric whose larger values are better, such as 'NDCG@10', "
            f"'HR@5' or 'MRR', or None; found {monitor!r}"
        )
    for name, choices in (("history", Protocol), ("precision", Precision)):
        if options[name] not in get_args(choices):
            said = ", ".join(get_args(choices))
            problems.append(f"{name} is one of {said}; found {options[name]!r}")
    if problems:
        raise ConfigError("fit cannot train so:\n  " + "\n  ".join(problems))


def check_examples(model: Model, graph: HeteroData, *, validated: bool) -> None:
    """Refuse a graph without examples to learn from, or to validate on.

    Raises:
        GraphError: If there are none.
    """
    if validated and ("validation" not in graph or not len(graph.validation.user)):
        raise GraphError(
            "the graph has no validation users, so no metric can be monitored: build "
            "it from a split that has them, or pass monitor=None"
        )
    if any(weight.requires_grad for weight in model.parameters()):
        for stage in model.stages():
            check_learnable(graph, stage.sampler or model.sampler)


def check_stages(model: Model, max_epochs: int) -> None:
    """Refuse stages that cannot be trained, and warn of epochs that are too few.

    Raises:
        ConfigError: There are fewer epochs than the stages before the last one take, or
            a step moves no parameter.
    """
    plan, name = model.stages(), type(model).__name__
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    for step in chain.from_iterable(stage.steps for stage in plan):
        if names and not any(map(step.moves, names)):
            raise ConfigError(
                f"a step of {name}.stages() is to move the parameters that begin with "
                f"{step.parameters}, and none does: they are called {', '.join(names)}"
            )
    if 0 < max_epochs <= model.warmup:
        warnings.warn(
            f"{name} first trains {model.warmup} epochs without all of its losses, and "
            f"max_epochs is {max_epochs}: they never begin. Train longer, or let them "
            "begin earlier (EC4SRec: updates, ICLRec: warm_up)",
            stacklevel=3,
        )
    before = sum(stage.epochs or 0 for stage in plan[:-1])
    if before and 0 < max_epochs <= before:
        raise ConfigError(
            f"the model trains for {before} epochs before its last stage, and "
            f"max_epochs is {max_epochs}: give it more, or the model fewer"
        )


def check_machine(options: Mapping[str, Any]) -> None:
    """Refuse a device, a strategy, a precision or a logger that is not to be had here.

    Args:
        options: Of :func:`graphseq.fit`; its defaults are to be had everywhere, and
            nothing is imported to find that out.

    Raises:
        ConfigError: Naming it, with what there is.
    """
    if any(options[name] not in usual for name, usual in USUAL.items()):
        from graphseq.training.trainer import try_trainer

        try_trainer(options)


def check_compiler() -> None:
    """Refuse ``compile=True`` where there is no C++ compiler for it to call.

    Raises:
        ConfigError: If there is none.
    """
    names = (os.environ.get("CXX", "g++"), "clang++", "cl")
    if not any(shutil.which(name) for name in names):
        raise ConfigError(
            f"compile=True needs a C++ compiler; none of {names} is on the PATH. "
            "Install one (Debian: apt install g++), name it in CXX, or leave compile "
            "out: the results are the same"
        )


def _numbers(options: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys((*POSITIVE, *UNSIGNED)):
        value = options[name]
        if value is None and name not in UNSIGNED:
            continue
        if not _is_number(value, whole=name in WHOLE):
            what = "a whole number" if name in WHOLE else "a number"
            yield f"{name} must be {what}; found {value!r}"
        elif name in POSITIVE and not value > 0:
            yield f"{name} must be above 0; found {value!r}"
        elif not value >= 0:
            yield f"{name} must be 0 or above; found {value!r}"


def _is_number(value: Any, *, whole: bool) -> bool:
    kind = Integral if whole else Real
    return isinstance(value, kind) and not isinstance(value, bool)
