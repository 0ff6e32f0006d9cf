"""A batch that a backbone has encoded."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from graphseq.sequences.batch import Batch

if TYPE_CHECKING:
    from graphseq.models.backbone import Backbone
else:  # which imports this module
    Backbone = Any


@dataclass(frozen=True)
class Encoding:
    """A training batch read once by a backbone.

    Attributes:
        backbone: The backbone.
        items: The item vectors, (V, D).
        batch: The sequences, B rows of up to L items, with N targets.
        every_state: The state at every position, (B, L, D), if all were computed.
        last_states: The state at each row's last item, (B, D), if only these were.
        users: The vectors of the users that join the states, at every position,
            (B, L, D), or of rows with one target, (B, D); ``None``: none join.
    """

    backbone: Backbone
    items: Float[Tensor, "V D"]
    batch: Batch
    every_state: Float[Tensor, "B L D"] | None = None
    last_states: Float[Tensor, "B D"] | None = None
    users: Float[Tensor, "B L D"] | Float[Tensor, "B D"] | None = None

    @property
    def states(self) -> Float[Tensor, "B L D"]:
        """The state at every position.

        Raises:
            RuntimeError: Only the last ones were computed.
        """
        if self.every_state is None:
            raise RuntimeError(
                "only the last states were computed; set every_position = True in the "
                "auxiliary that reads all states"
            )
        return self.every_state

    @cached_property
    def last(self) -> Float[Tensor, "B D"]:
        """The state at each row's last item."""
        if self.last_states is not None:
            return self.last_states
        return self.batch.last(self.states)

    @cached_property
    def at_targets(self) -> Float[Tensor, "N D"]:
        """The state at every position that has a target, row by row."""
        if self.last_states is not None:
            return self.last_states
        return self.batch.at_targets(self.states)

    @cached_property
    def with_users(self) -> Float[Tensor, "N D"]:
        """:attr:`at_targets` joined by their users: the states that score items."""
        context, users = self.backbone.users, self.users
        if context is None or users is None:
            return self.at_targets
        if users.dim() == 3:
            users = self.batch.at_targets(users)
        return context.combine(self.at_targets, users)
