"""The parts of a model, from the names that its file imports."""

import inspect
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from graphseq.models import MODELS
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.sequences import Batch

OF_EVERY_MODEL = {f"graphseq.models.{n}" for n in ("base", "by_length", "stages")}
CONTRASTS = {"contrastive", "intents", "negative_views", "prototypes"}
KINDS = {
    "models": "Shared by models",
    "encoder": "Encoders",
    "features": "Item features",
    "sequences": "Examples and views",
    "objectives": "Objectives",
    "graphs": "Graphs",
    "nn": "Other blocks",
}


@cache
def parts(model: str) -> dict[str, list[Any]]:
    """Kind of part -> classes and functions that a model's file imports.

    Files of ``models`` that define no model themselves (the backbone, session graphs)
    are parts; their imports count, too.
    """
    found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for value in _imports(MODELS[model].__module__, set()):
        found[_kind(value)][value.__name__] = value
    return {kind: list(named.values()) for kind, named in found.items() if named}


def contrastive(model: str) -> bool:
    """Whether one of a model's objectives contrasts views, states or intents."""
    objectives = [v.__module__ for v in parts(model).get("objectives", ())]
    return any(module.rpartition(".")[2] in CONTRASTS for module in objectives)


def _imports(module: str, seen: set[str]) -> Iterator[Any]:
    """Imported classes and functions of graphseq, those of shared files included."""
    seen.add(module)
    models = {cls.__module__ for cls in MODELS.values()}
    for value in vars(sys.modules[module]).values():
        home = getattr(value, "__module__", "")
        known = inspect.isclass(value) or inspect.isfunction(value)
        if not known or home == module or not _package(home):
            continue
        if home in OF_EVERY_MODEL or value is Batch or inspect.isabstract(value):
            continue
        yield value
        if home.startswith("graphseq.models.") and home not in models | seen:
            yield from _imports(home, seen)


def _package(module: str) -> str | None:
    """The package of graphseq whose parts are listed, if a module is in one."""
    top, _, rest = module.partition(".")
    package = rest.partition(".")[0]
    return package if top == "graphseq" and package in KINDS else None


def _kind(value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, Encoder):
        return "encoder"
    if inspect.isclass(value) and issubclass(value, Features):
        return "features"
    return _package(value.__module__) or ""
