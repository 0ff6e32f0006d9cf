"""Batches of sequences: B users' items, padded on the right."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from graphseq.data.split import HeldOut


@dataclass(frozen=True)
class Batch:
    """B sequences of item ids, each with the targets to predict.

    Items are ``0 … V-1``. Padding is ``V``, to the right of a sequence; a batch is
    padded to its own longest row. ``V`` within a row's length is a masked item. A row
    may be empty (a user without a history).

    The number of targets, and of distinct users, items and targets, depends on the
    batch's numbers. They are found on the CPU, once, and copied to a device with the
    batch: found there, the process would wait for the device.

    Attributes:
        user: User of each row, (B,).
        items: Item ids, oldest first, (B, L).
        lengths: Number of real items in each row, (B,).
        num_items: V, which is also the padding id.
        targets: Item that follows each position, ``V`` at positions without a target,
            (B, L).
        negatives: Items sampled for each target, ``V`` where there is none, (B, L, n).
        example: Index of each row in the loader's
            :class:`~graphseq.sequences.Examples`, (B,).
        views: Augmented views of the rows that several steps on this batch share;
            2B rows (see :class:`graphseq.models.Stage`).
    """

    user: Int[Tensor, "B"]
    items: Int[Tensor, "B L"]
    lengths: Int[Tensor, "B"]
    num_items: int
    targets: Int[Tensor, "B L"] | None = None
    negatives: Int[Tensor, "B L n"] | None = None
    example: Int[Tensor, "B"] | None = None
    views: "Batch | None" = None

    def __len__(self) -> int:
        return len(self.user)

    @property
    def mask(self) -> Bool[Tensor, "B L"]:
        """True at real and at masked items, False at padding."""
        steps = torch.arange(self.items.shape[1], device=self.items.device)
        return steps < self.lengths[:, None]

    @property
    def masked(self) -> Bool[Tensor, "B L"]:
        """True at masked items: the id V within a row's length."""
        return self.mask & (self.items == self.num_items)

    @cached_property
    def positions(self) -> Int[Tensor, "N"]:
        """Where the targets are in the flattened rows: b L + l, row by row."""
        return (self._with_targets() != self.num_items).flatten().nonzero()[:, 0]

    @cached_property
    def distinct_users(self) -> Int[Tensor, "n"]:
        """The users of the rows, each once, ascending."""
        found: Tensor = self.user.unique()
        return found

    @cached_property
    def distinct_items(self) -> Int[Tensor, "m"]:
        """The items of the rows, each once, ascending; masked ones are left out."""
        found: Tensor = self.items[self.items < self.num_items].unique()
        return found

    @cached_property
    def distinct_targets(self) -> Int[Tensor, "m"]:
        """The targets, each once, ascending."""
        found: Tensor = self.target_items().unique()
        return found

    def at_targets(self, x: Shaped[Tensor, "B L *rest"]) -> Shaped[Tensor, "N *rest"]:
        """The rows of x at the positions with a target, row by row."""
        return x.flatten(0, 1)[self.positions]

    def target_positions(self) -> tuple[Bool[Tensor, "B L"], Int[Tensor, "N"]]:
        """The positions with a target as a mask, and their targets, row by row.

        On a GPU, ``x[mask]`` waits for the device; :meth:`at_targets` does not.
        """
        return self._with_targets() != self.num_items, self.target_items()

    def target_items(self) -> Int[Tensor, "N"]:
        """The N targets, row by row."""
        return self.at_targets(self._with_targets())

    def target_users(self) -> Int[Tensor, "N"]:
        """The user of each of the N targets, row by row."""
        return self.user[self.positions // self.items.shape[1]]

    def target_edges(self) -> Int[Tensor, "2 N"]:
        """The users and the items of the N targets, which training has as edges."""
        return torch.stack([self.target_users(), self.target_items()])

    def item_edges(self) -> Int[Tensor, "2 N"]:
        """The users and the items of all real items of the rows, row by row."""
        rows, positions = (self.items < self.num_items).nonzero().unbind(dim=1)
        return torch.stack([self.user[rows], self.items[rows, positions]])

    def target_negatives(self) -> Int[Tensor, "N n"]:
        """The items sampled for each of the N targets, row by row."""
        if self.negatives is None:
            raise ValueError(
                "this batch has no negatives; set num_negatives of the SequenceLoader"
            )
        return self.at_targets(self.negatives)

    def pairs(self) -> tuple[Int[Tensor, "B"], Int[Tensor, "B n"]]:
        """The one target of each row, and the negatives sampled for it."""
        if self.targets is None or self.negatives is None:
            raise ValueError("this batch has no targets with negatives")
        return self.targets[:, 0], self.negatives[:, 0]

    def last(self, states: Float[Tensor, "B L D"]) -> Float[Tensor, "B D"]:
        """The state at the last real item of each row; zero for an empty row."""
        rows = torch.arange(states.shape[0], device=states.device)
        found = states[rows, (self.lengths - 1).clamp(min=0)]
        return found * (self.lengths > 0)[:, None]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """The same batch on another device.

        Args:
            device: The device.
            non_blocking: Whether not to wait until the copies are made.
        """
        leaves = torch.device(device).type != self.items.device.type == "cpu"
        return (self._complete() if leaves else self)._map(
            lambda tensor: tensor.to(device, non_blocking=non_blocking)
        )

    def pin_memory(self) -> "Batch":
        """The same batch in memory that a GPU reads without a copy by the CPU."""
        return self._complete()._map(Tensor.pin_memory)

    def with_views(self, views: "Batch") -> "Batch":
        """The same batch, with views of its rows."""
        return self._map(lambda tensor: tensor, views=views)

    def _with_targets(self) -> Int[Tensor, "B L"]:
        if self.targets is None:
            raise ValueError("this batch has no targets; cut it with a SequenceLoader")
        return self.targets

    def _complete(self) -> "Batch":
        """Compute now what is otherwise computed on first use."""
        for name in FOUND if self.targets is not None else FOUND[:2]:
            getattr(self, name)
        return self

    def _map(self, move: Callable[[Tensor], Tensor], **changed: Any) -> "Batch":
        """The batch with all tensors mapped, those found on first use included."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            name: move(part) if isinstance(part, Tensor) else part._map(move)
            for name, part in parts.items()
            if isinstance(part, Tensor | Batch)
        }
        mapped = replace(self, **moved | changed)
        known = {name: self.__dict__[name] for name in FOUND if name in self.__dict__}
        mapped.__dict__.update({name: move(part) for name, part in known.items()})
        return mapped


FOUND = ("distinct_users", "distinct_items", "positions", "distinct_targets")
"""Properties of a batch that are found on first use."""


def histories(
    held_out: HeldOut, rows: Int[Tensor, "B"], max_length: int, num_items: int
) -> Batch:
    """The newest ``max_length`` items of some held-out users' histories.

    Args:
        held_out: Users with their histories and targets.
        rows: Which of them, as indices into ``held_out.user``.
        max_length: Longest history that is read.
        num_items: V.

    Returns:
        A batch without targets.
    """
    end = held_out.history_ptr[rows + 1]
    lengths = (end - held_out.history_ptr[rows]).clamp(max=max_length)
    items = cut(held_out.history, end - lengths, lengths, fill=num_items)
    return Batch(held_out.user[rows], items, lengths, num_items)


def cut(
    flat: Int[Tensor, "E"],
    start: Int[Tensor, "B"],
    lengths: Int[Tensor, "B"],
    fill: int,
    width: int | None = None,
) -> Int[Tensor, "B L"]:
    """Rows ``flat[start : start + length]``, padded on the right with ``fill``.

    Args:
        flat: All items.
        start: Where each row starts.
        lengths: How many items it has.
        fill: The padding.
        width: L; ``None``: the longest length, for which a GPU's process would wait.
    """
    if width is None:
        width = max(1, int(lengths.max())) if len(lengths) else 1
    steps = torch.arange(width, device=flat.device)
    index = (start[:, None] + steps).clamp(max=max(0, len(flat) - 1))
    if not len(flat):
        return torch.full_like(index, fill)
    return torch.where(steps < lengths[:, None], flat[index], fill)
