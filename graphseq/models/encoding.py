"""A batch that a backbone has encoded."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from graphseq.models.user_context import has_token
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
        every_state: The state at every position, (B, L, D), if all were computed; with
            the token of the user, if rows have one.
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

    @cached_property
    def _alone(self) -> tuple[Tensor | None, Tensor | None]:
        """All states, or the last ones, of the sequences without their users.

        Where a token of the user precedes the row, all states depend on it: the rows
        are read again without it, as views are.
        """
        if not has_token(self.backbone.users):
            return self.every_state, self.last_states
        if self.every_state is None:
            return None, self.backbone.last(self.items, self.batch)
        return self.backbone.states(self.items, self.batch), None

    @property
    def states(self) -> Float[Tensor, "B L D"]:
        """The state of the sequence alone at every position.

        Raises:
            RuntimeError: Only the last ones were computed.
        """
        every, _ = self._alone
        if every is None:
            raise RuntimeError(
                "only the last states were computed; set every_position = True in the "
                "auxiliary that reads all states"
            )
        return every

    @cached_property
    def last(self) -> Float[Tensor, "B D"]:
        """The state of the sequence alone at each row's last item."""
        _, last = self._alone
        return self.batch.last(self.states) if last is None else last

    @cached_property
    def at_targets(self) -> Float[Tensor, "N D"]:
        """The state of the sequence alone at every target, row by row."""
        _, last = self._alone
        return self.batch.at_targets(self.states) if last is None else last

    @cached_property
    def with_users(self) -> Float[Tensor, "N D"]:
        """The states that score items: those at the targets, joined by their users."""
        context, users = self.backbone.users, self.users
        if context is None or users is None:
            return self.at_targets
        if users.dim() == 3:
            users = self.batch.at_targets(users)
        if self.last_states is not None:
            return context.combine(self.last_states, users)
        assert self.every_state is not None
        return context.combine(self.batch.at_targets(self.every_state), users)
