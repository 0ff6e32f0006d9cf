"""Vectors of users and items that are propagated together."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graphseq.models.base import Model


class JointTables(Model):
    """A model whose vectors of users and items are the nodes of one graph.

    They are two parameters, so that each can be matched by raw ids where a run starts
    from another. Weights of version 0.2 have both in one tensor, ``nodes``, and are
    loaded too.

    Attributes:
        users: Vectors of the users before propagation, (U, D).
        items: Vectors of the items before propagation, (V, D).
    """

    users: nn.Parameter
    items: nn.Parameter

    @property
    def nodes(self) -> Float[Tensor, "N D"]:
        """The vectors before propagation, users first."""
        return torch.cat([self.users, self.items])

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        if (nodes := state_dict.pop(f"{prefix}nodes", None)) is not None:
            users, items = nodes.split([len(self.users), len(nodes) - len(self.users)])
            state_dict |= {f"{prefix}users": users, f"{prefix}items": items}
        super()._load_from_state_dict(state_dict, prefix, *arguments)
