"""What a model reads: the sequences of B users, padded on the right."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from graphseq.data.split import HeldOut


@dataclass(frozen=True)
class Batch:
    """B sequences of item ids, each with the targets it is to predict.

    Items are ``0 … V-1``; padding is ``V`` and stands only to the right of a sequence,
    which is padded to the longest row of its own batch. ``lengths`` may hold zeros (a
    user of whom nothing is known but the id).

    Attributes:
        user: User of each row, (B,).
        items: Item ids, oldest first, (B, L).
        lengths: Number of real items in each row, (B,).
        num_items: V, which is also the padding id.
        targets: Item that follows each position, ``V`` where none is asked for, (B, L).
        negatives: Items drawn against each target, ``V`` where there is none,
            (B, L, n).
        example: Which training example each row is, an index into the loader's
            :class:`~graphseq.sequences.Examples`, (B,).
    """

    user: Int[Tensor, "B"]
    items: Int[Tensor, "B L"]
    lengths: Int[Tensor, "B"]
    num_items: int
    targets: Int[Tensor, "B L"] | None = None
    negatives: Int[Tensor, "B L n"] | None = None
    example: Int[Tensor, "B"] | None = None

    def __len__(self) -> int:
        return len(self.user)

    @property
    def mask(self) -> Bool[Tensor, "B L"]:
        """True where a real item stands."""
        steps = torch.arange(self.items.shape[1], device=self.items.device)
        return steps < self.lengths[:, None]

    def target_positions(self) -> tuple[Bool[Tensor, "B L"], Int[Tensor, "N"]]:
        """The places with a target, and the targets there, row by row."""
        if self.targets is None:
            raise ValueError("this batch holds no targets to learn from")
        asked = self.targets != self.num_items
        return asked, self.targets[asked]

    def target_negatives(self) -> Int[Tensor, "N n"]:
        """The items drawn against each of the N targets, row by row."""
        if self.negatives is None:
            raise ValueError("this batch holds no negatives; draw them in the loader")
        return self.negatives[self.target_positions()[0]]

    def pairs(self) -> tuple[Int[Tensor, "B"], Int[Tensor, "B n"]]:
        """The one target of each row, and the negatives drawn against it."""
        if self.targets is None or self.negatives is None:
            raise ValueError("this batch holds no targets with negatives to pair")
        return self.targets[:, 0], self.negatives[:, 0]

    def last(self, states: Float[Tensor, "B L D"]) -> Float[Tensor, "B D"]:
        """The state at the last real item of each row; zero for an empty row."""
        rows = torch.arange(len(self), device=states.device)
        found = states[rows, (self.lengths - 1).clamp(min=0)]
        return found * (self.lengths > 0)[:, None]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """The same batch on another device."""

        def move(tensor: Tensor | None) -> Tensor | None:
            if tensor is None:
                return None
            return tensor.to(device, non_blocking=non_blocking)

        return replace(
            self,
            user=self.user.to(device, non_blocking=non_blocking),
            items=self.items.to(device, non_blocking=non_blocking),
            lengths=self.lengths.to(device, non_blocking=non_blocking),
            targets=move(self.targets),
            negatives=move(self.negatives),
            example=move(self.example),
        )


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
) -> Int[Tensor, "B L"]:
    """Rows ``flat[start : start + length]``, padded on the right with ``fill``."""
    steps = torch.arange(max(1, int(lengths.max())) if len(lengths) else 1)
    steps = steps.to(flat.device)
    index = (start[:, None] + steps).clamp(max=max(0, len(flat) - 1))
    if not len(flat):
        return torch.full_like(index, fill)
    return torch.where(steps < lengths[:, None], flat[index], fill)
