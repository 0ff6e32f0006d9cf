"""What a model is composed of, read from the imports of its file."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from graphseq.models import MODELS
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.sequences import Batch

PACKAGES = {"models", "nn", "objectives", "sequences", "graphs"}
OF_ALL = {f"graphseq.models.{name}" for name in ("base", "by_length", "stages")}
CONTRASTS = {"contrastive", "intents", "negative_views", "prototypes"}
KINDS = {
    "model": "Files that models share",
    "encoder": "Encoders",
    "features": "Item features",
    "sequences": "Examples and views",
    "objectives": "Objectives",
    "graphs": "Graphs",
    "nn": "Other blocks",
}


@cache
def parts(model: str) -> dict[str, list[Any]]:
    """Kind of part to the classes and functions that a model's file imports.

    Files of ``models`` that are no models themselves (the backbone, session graphs) are
    parts, and what they import is counted, too.
    """
    found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for value in _reached(MODELS[model].__module__, set()):
        found[_kind(value)][value.__name__] = value
    return {kind: list(named.values()) for kind, named in found.items() if named}


def contrastive(model: str) -> bool:
    """Whether one of a model's objectives compares views, states or intents."""
    objectives = [v.__module__ for v in parts(model).get("objectives", ())]
    return any(module.rpartition(".")[2] in CONTRASTS for module in objectives)


def _reached(module: str, seen: set[str]) -> Iterator[Any]:
    """What a file imports, and what other files of ``models`` import for it."""
    seen.add(module)
    models = {cls.__module__ for cls in MODELS.values()}
    for value in _imported(module):
        home = value.__module__
        if home in OF_ALL or value is Batch or inspect.isabstract(value):
            continue
        yield value
        if home.startswith("graphseq.models.") and home not in models | seen:
            yield from _reached(home, seen)


def _imported(module: str) -> Iterator[Any]:
    """Classes and functions of ``from graphseq.… import …`` anywhere in a file."""
    source = Path(importlib.import_module(module).__file__ or "").read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        top, *rest = node.module.split(".")
        if top != "graphseq" or not rest or rest[0] not in PACKAGES:
            continue
        home = importlib.import_module(node.module)
        for alias in node.names:
            value = getattr(home, alias.name, None)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield value
            elif inspect.ismodule(value):
                yield from _used(ast.parse(source), alias.name, value)


def _used(tree: ast.Module, name: str, module: Any) -> Iterator[Any]:
    """What a file uses of a module that it has imported whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            value = getattr(module, node.attr, None)
            known = inspect.isclass(value) or inspect.isfunction(value)
            if node.value.id == name and known:
                yield value


def _kind(value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, Encoder):
        return "encoder"
    if inspect.isclass(value) and issubclass(value, Features):
        return "features"
    package = str(value.__module__).split(".")[1]
    return "model" if package == "models" else package
