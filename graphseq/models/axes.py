"""The dimensions of a model's tensors that grow with the users or items."""

from typing import Any

import torch

from graphseq.constants import ITEM, USER
from graphseq.errors import ConfigError
from graphseq.models.base import Model
from graphseq.models.registry import create
from graphseq.schema import describe

PROBE = {USER: 1009, ITEM: 1013}  # sizes of models that are only compared


def growing_axes(model: Model) -> dict[str, dict[int, str]]:
    """The dimensions of each tensor of a model that grow, and with which nodes.

    Models of the same options are compared that differ by one user, or by one item. It
    holds for every model and part, whatever the names of its tensors.

    Args:
        model: The model; it is left as it is.

    Returns:
        For each tensor of its state: dimension -> ``user`` or ``item``.

    Raises:
        ConfigError: A dimension grows with both, so that its rows cannot be told apart.
    """
    shapes = _shapes(model, PROBE)
    found: dict[str, dict[int, str]] = {name: {} for name in shapes}
    for kind in PROBE:
        larger = _shapes(model, {**PROBE, kind: PROBE[kind] + 1})
        for name, shape in shapes.items():
            for dim, (size, more) in enumerate(zip(shape, larger[name], strict=True)):
                if size != more and dim in found[name]:
                    raise ConfigError(
                        f"{type(model).__name__}.{name} has rows of users and items, "
                        "which cannot be told apart. Keep them in two tensors, and "
                        "join these where they are read: torch.cat([users, items])"
                    )
                if size != more:
                    found[name][dim] = kind
    return found


def with_sizes(model: Model, num_users: int, num_items: int) -> Model:
    """A new model of the same options for other numbers of users and items."""
    with torch.random.fork_rng(devices=[]):
        return create(_without_sizes(describe(model)), num_users, num_items)


def _shapes(model: Model, sizes: dict[str, int]) -> dict[str, torch.Size]:
    probe = with_sizes(model, sizes[USER], sizes[ITEM])
    return {name: tensor.shape for name, tensor in probe.state_dict().items()}


def _without_sizes(options: Any) -> Any:
    if isinstance(options, list):
        return [_without_sizes(option) for option in options]
    if not isinstance(options, dict):
        return options
    sizes = ("num_users", "num_items")
    return {k: _without_sizes(v) for k, v in options.items() if k not in sizes}
