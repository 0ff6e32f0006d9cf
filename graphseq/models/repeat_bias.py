"""A learned bias of the scores of items that the history contains already."""

from collections.abc import Iterator
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from graphseq.models.scoring import Blocks, Scorer
from graphseq.objectives import Offsets
from graphseq.schema import Configurable, Size
from graphseq.sequences.batch import Batch

SCALE = 10.0  # of the biases, relative to their parameters


@final
class RepeatBias(Configurable, nn.Module):
    r"""What an item's score gains or loses if the history contains the item.

    .. math:: \text{score}(v) = s \cdot h_v + b_{a(v)}

    The age :math:`a(v)` is the number of events since the last occurrence of item v, 0
    for the newest item; older ages share the last of the biases, and items outside the
    history have none. The softmax of the training has the same biases, so they learn
    how often users choose items again, and how soon. Where users never do so, as in
    the Amazon reviews, they learn to rank the history last: results with the history
    kept are then those with the history excluded. All biases start at 0. They are 10
    times their parameters: a step of Adam changes a parameter by the learning rate, and
    biases of -5 would otherwise take thousands of steps.

    A training step costs a sum over (N, L), for N targets and rows of L items.

    Source:
        Own. That repeated and new items need separate scores is from Ren et al.,
        RepeatNet, AAAI 2019.

    Args:
        ages: Number of biases.
    """

    def __init__(self, *, ages: Size = 10) -> None:
        super().__init__()
        self.ages = ages
        self.theta = nn.Parameter(torch.zeros(ages))

    @property
    def bias(self) -> Float[Tensor, "a"]:
        """The biases by age."""
        return SCALE * self.theta

    @staticmethod
    def check_loss(repeats: Any, loss: str) -> Iterator[str]:
        """Why the bias cannot be learned; nothing if it can.

        Args:
            repeats: The part, its specification in a file, or ``None``.
            loss: The next-item loss.
        """
        if repeats is not None and loss != "ce":
            yield (
                "is learned from the softmax over all items; set loss='ce' (found "
                f"{loss!r})"
            )

    def at_targets(self, batch: Batch) -> Offsets:
        """The biases for each of the N targets, by the items before it.

        Args:
            batch: With targets.
        """
        length = batch.items.shape[1]
        return self._of(batch, batch.positions // length, batch.positions % length)

    def at_ends(self, batch: Batch) -> Offsets:
        """The biases for each of the B rows, by all of its items.

        Args:
            batch: Histories.
        """
        rows = torch.arange(len(batch), device=batch.items.device)
        return self._of(batch, rows, batch.lengths - 1)

    def _of(
        self, batch: Batch, row: Int[Tensor, "N"], end: Int[Tensor, "N"]
    ) -> Offsets:
        """The biases of the items of rows, each up to a position."""
        items = batch.items[row]
        age = end[:, None] - torch.arange(items.shape[1], device=items.device)
        newest = (age >= 0) & (_next(batch.items)[row] > end[:, None])
        used = newest & (items < batch.num_items)
        values: Float[Tensor, "N L"] = self.bias[age.clamp(0, self.ages - 1)]
        return Offsets(items * used, values * used)


def _next(items: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """The next position with the same item, L if there is none."""
    length = items.shape[1]
    position = torch.arange(length, device=items.device)
    later = position[:, None] < position
    same = (items[:, :, None] == items[:, None, :]) & later
    return torch.where(same, position, length).amin(dim=2)


class WithRepeats(Scorer):
    """Scores of another scorer, with the biases of the items of each history.

    Args:
        scorer: Scores before the biases.
        repeats: The biases.
    """

    def __init__(self, scorer: Scorer, repeats: RepeatBias) -> None:
        self.scorer, self.repeats = scorer, repeats
        self.num_items, self.device = scorer.num_items, scorer.device

    def blocks(self, batch: Batch) -> Blocks:
        """As :meth:`.Scorer.blocks`."""
        with torch.no_grad():
            items, values = self.repeats.at_ends(batch)
        for first, scores in self.scorer.blocks(batch):
            rows = slice(first, first + len(scores))
            Offsets(items[rows], values[rows]).add_to(scores)
            yield first, scores
