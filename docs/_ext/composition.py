"""The parts of a model with its default options, from the built model."""

import inspect
import sys
from functools import cache
from typing import Any

from graphseq import nn, objectives
from graphseq.models import MODELS, Auxiliary, Backbone, Model, SequenceModel
from graphseq.nn import Encoder, Features
from graphseq.sequences import Augmentation, GuidedAugmentation

CONTRASTS = {"contrastive", "prototypes"}
KINDS = {
    "Item features": Features,
    "Encoder": Encoder,
    "Auxiliary objectives": Auxiliary,
    "Augmentation": (Augmentation, GuidedAugmentation),
}


@cache
def example(name: str) -> Model:
    """The model with its default options, for four users and six items."""
    return MODELS[name](4, 6)


@cache
def parts(name: str) -> dict[str, list[Any]]:
    """Kind of part -> the classes and functions of that kind."""
    modules = list(example(name).modules())
    modules += [vars(m)["augmentation"] for m in modules if "augmentation" in vars(m)]
    found: dict[str, list[Any]] = {}
    for kind, base in KINDS.items():
        found[kind] = [type(m) for m in modules if isinstance(m, base)]
    found["Losses"] = _losses(modules)
    known = {value for values in found.values() for value in values}
    blocks = [type(m) for m in modules if type(m).__name__ in nn.__all__]
    found["Other blocks"] = [block for block in blocks if block not in known]
    return {kind: list(dict.fromkeys(v)) for kind, v in found.items() if v}


def contrastive(name: str) -> bool:
    """Whether one of a model's losses contrasts views, states or intents."""
    losses = parts(name).get("Losses", ())
    return any(loss.__module__.rpartition(".")[2] in CONTRASTS for loss in losses)


def _losses(modules: list[Any]) -> list[Any]:
    """The loss of the backbone, and the losses that the model's files import."""
    losses = {getattr(objectives, n) for n in objectives.__all__}
    names = {"ce": "cross_entropy", "bce": "bce", "gbce": "gbce"}
    found = [
        getattr(objectives, names[m.loss]) for m in modules if isinstance(m, Backbone)
    ]
    classes = [type(m) for m in modules if not isinstance(m, Backbone)]
    if not isinstance(modules[0], SequenceModel):  # else the backbone's loss is known
        classes += type(modules[0]).__mro__
    files = [each.__module__ for each in classes]
    files = [file for file in files if file.startswith("graphseq.models.")]
    for file in files:
        for value in filter(inspect.isfunction, vars(sys.modules[file]).values()):
            if value in losses:
                found.append(value)
            elif value.__module__.startswith("graphseq.models."):
                files += [value.__module__] * (value.__module__ not in files)
    return found
