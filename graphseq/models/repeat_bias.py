"""A learned bias of the scores of items that the history contains already."""

from collections.abc import Iterator
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from graphseq.models.scoring import Blocks, Scorer
from graphseq.objectives import cross_entropy_and_log_mass
from graphseq.schema import Configurable, Size
from graphseq.sequences.batch import Batch

SCALE = 10.0  # of the biases, relative to their parameters
LEAST = -1 + 1e-6  # of what is added to a denominator of 1: rounding may remove it all


class Repeats(NamedTuple):
    """The items of N histories, each at its newest position.

    Attributes:
        items: Item ids, 0 where unused, (N, L).
        ages: Number of events since the item, (N, L).
        used: Whether an entry is an item at its newest position, (N, L).
    """

    items: Int[Tensor, "N L"]
    ages: Int[Tensor, "N L"]
    used: Bool[Tensor, "N L"]


@final
class RepeatBias(Configurable, nn.Module):
    r"""What an item's score gains or loses if the history contains the item.

    .. math:: \text{score}(v) = s \cdot h_v + b_{a(v)}

    The age :math:`a(v)` is the number of events since the last occurrence of item v, 0
    for the newest item; older ages share the last of the biases, and items outside the
    history have none. The biases minimise the cross-entropy of these scores. They learn
    how often users choose items again, and how soon. Where users never do so, as in
    the Amazon reviews, they learn to rank the history last: results with the history
    kept are then those with the history excluded.

    States and item vectors are constants in this cross-entropy, and are trained by the
    softmax without biases: trained with them, a model has no need to tell the next item
    from those of the history, and overfits (BSARec on Amazon Beauty: validation NDCG@10
    0.071 after 4 epochs, then falling). So the biases do not change how the other
    items are ranked. They are 10 times their parameters: a step of Adam changes a
    parameter by the learning rate, and biases of -5 would otherwise take thousands of
    steps. All start at 0.

    A training step costs the scores of the history's items, (N, L) inner products for N
    targets and rows of L items.

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

    def next_item(
        self, states: Float[Tensor, "N D"], items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, ""]:
        r"""The cross-entropy without biases, whose gradients also train the biases.

        With the softmax p without biases, and the items H of the history, the biases
        minimise :math:`\log (1 + \sum_{v \in H} p_v (e^{b_{a(v)}} - 1)) - b_{a(t)}`.

        Args:
            states: The state at the position of each target, row by row.
            items: The item vectors.
            batch: With targets.
        """
        targets = batch.target_items()
        loss, log_mass = cross_entropy_and_log_mass(states, items, targets)
        length = batch.items.shape[1]
        found = history(batch, batch.positions // length, batch.positions % length)
        known = items.detach()[found.items]
        scores = torch.einsum("nd,nld->nl", states.detach(), known)
        bias = self.of(found)
        odds = (scores - log_mass[:, None]).exp() * bias.expm1()
        added = odds.sum(dim=1).clamp(min=LEAST).log1p()
        target = (bias * (found.items == targets[:, None])).sum(dim=1)
        own = (added - target).mean()
        return loss + (own - own.detach())

    def of(self, found: Repeats) -> Float[Tensor, "N L"]:
        """The bias of each entry, 0 where unused."""
        return self.bias[found.ages.clamp(0, self.ages - 1)] * found.used

    def add_to(self, scores: Float[Tensor, "B V"], batch: Batch) -> Tensor:
        """Add the biases to scores, in place.

        Args:
            scores: Of all items for each row; columns beyond V stay as they are.
            batch: The rows.
        """
        rows = torch.arange(len(batch), device=batch.items.device)
        found = history(batch, rows, batch.lengths - 1)
        return scores.scatter_add_(1, found.items, self.of(found).to(scores.dtype))


def history(batch: Batch, row: Int[Tensor, "N"], end: Int[Tensor, "N"]) -> Repeats:
    """The items of some rows, each up to a position.

    Args:
        batch: The rows; masked items are left out.
        row: Which of them.
        end: The last position of each that counts; -1: none.
    """
    length = batch.items.shape[1]
    position = torch.arange(length, device=batch.items.device)
    same = batch.items[:, :, None] == batch.items[:, None, :]
    later = same & (position[:, None] < position)
    following = torch.where(later, position, length).amin(dim=2)  # with the same item
    ages = end[:, None] - position
    items = batch.items[row]
    newest = (ages >= 0) & (following[row] > end[:, None])
    used = newest & (items < batch.num_items)
    return Repeats(items * used, ages, used)


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
        rows = torch.arange(len(batch), device=batch.items.device)
        with torch.no_grad():
            found = history(batch, rows, batch.lengths - 1)
            values = self.repeats.of(found).float()
        for first, scores in self.scorer.blocks(batch):
            here = slice(first, first + len(scores))
            yield first, scores.scatter_add_(1, found.items[here], values[here])
