"""Which of the sequences with the same target to take: one that shares what matters."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.utils import scatter, softmax

from graphseq.sequences.batch import Batch

Utility = Literal["code", "paper"]
NOTHING = 0.01  # what the code calls the importance of no shared item


def retrieve(
    batch: Batch,
    owner: Int[Tensor, "M"],
    others: Batch,
    importance: Float[Tensor, "M L"],
    *,
    utility: Utility = "code",
    temperature: float = 1.0,
) -> Int[Tensor, "B"]:
    """Which candidate each sequence gets (eg-retrieval).

    Source:
        Wang et al., EC4SRec, CIKM 2022, section 4.3.

    Args:
        batch: B sequences.
        owner: Which of them each candidate is for, ascending; each has one at least.
        others: M candidates.
        importance: Of the candidates' places, in sum 1 a row.
        utility: Whose probabilities, see :func:`probabilities`.
        temperature: T, of the code's.

    Returns:
        Indices into the candidates.
    """
    a, number = shared(batch, owner, others, importance)
    own = batch.lengths[owner]
    probability = probabilities(
        a,
        number,
        own,
        others.lengths,
        owner,
        utility=utility,
        temperature=temperature,
    )
    return draw(probability, owner, len(batch))


def shared(
    batch: Batch,
    owner: Int[Tensor, "M"],
    others: Batch,
    importance: Float[Tensor, "M L"],
) -> tuple[Float[Tensor, "M"], Int[Tensor, "M"]]:
    """What of each other sequence stands in the sequence that it is a candidate for.

    Args:
        batch: B sequences.
        owner: Which of them each candidate is for.
        others: M candidates.
        importance: Of the candidates' places, in sum 1 a row.

    Returns:
        The importance of the shared items, and their number; an item that a candidate
        holds twice counts twice.
    """
    within = torch.zeros(
        len(batch), batch.num_items + 1, dtype=torch.bool, device=owner.device
    )
    within.scatter_(1, batch.items, True)
    both = within[owner[:, None], others.items] & others.mask
    both &= others.items != batch.num_items
    return (importance * both).sum(dim=1), both.sum(dim=1)


def probabilities(
    importance: Float[Tensor, "M"],
    number: Int[Tensor, "M"],
    own: Int[Tensor, "M"],
    other: Int[Tensor, "M"],
    owner: Int[Tensor, "M"],
    *,
    utility: Utility = "code",
    temperature: float = 1.0,
) -> Float[Tensor, "M"]:
    r"""How likely each candidate is to be retrieved.

    With the importance a of the items that the candidate w shares with u, and their
    number o, the authors' code draws by :math:`\mathrm{softmax}(e^a b / T)` with
    :math:`b = o / \max(|u|, |w|)`, the paper in proportion to :math:`a\, o / |u ∪ w|`.

    Departs from the source:
        Where no candidate shares anything, the paper's are all equally likely (it
        divides zero by zero).

    Args:
        importance: a.
        number: o.
        own: \|u\|, the length of the sequence that each candidate is for.
        other: \|w\|, the length of the candidate.
        owner: Which row each is a candidate for; ascending.
        utility: Which of the two.
        temperature: T, of the code's.
    """
    rows = int(owner.max()) + 1 if len(owner) else 0
    if utility == "code":
        a = torch.where(number > 0, importance, NOTHING)
        b = number / torch.maximum(own, other)
        likely: Tensor = softmax(a.exp() * b / temperature, owner, num_nodes=rows)
        return likely
    worth = importance * number / (own + other - number)
    total = scatter(worth, owner, dim_size=rows)
    size = torch.bincount(owner, minlength=rows)
    even = 1 / size[owner]
    return torch.where(total[owner] > 0, worth / total[owner], even)


def draw(
    probability: Float[Tensor, "M"], owner: Int[Tensor, "M"], rows: int
) -> Int[Tensor, "B"]:
    r"""One candidate of each row, by its probability.

    The largest of :math:`\log p + g` with g from Gumbel's distribution is a draw by p.

    Args:
        probability: Of each candidate; in sum 1 a row.
        owner: The row of each, ascending; every row has a candidate.
        rows: B.

    Returns:
        Indices into the candidates.
    """
    chance = torch.rand(probability.shape, dtype=torch.float64, device=owner.device)
    key = probability.double().log() - (-chance.log()).log()
    best = scatter(key, owner, dim_size=rows, reduce="max")
    nth = torch.arange(len(owner), device=owner.device)
    winner = torch.where(key == best[owner], nth, len(owner))
    first: Tensor = scatter(winner, owner, dim_size=rows, reduce="min")
    return first
