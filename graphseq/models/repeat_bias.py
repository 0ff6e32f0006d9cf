"""Another model's scores, with a bias for the items of the history."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple, final

import torch
from annotated_types import MinLen
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.data.ragged import Ragged
from graphseq.models.base import Model, Stage
from graphseq.models.direct import DirectModel
from graphseq.models.ensemble import Trained
from graphseq.models.scoring import Blocks, Scorer
from graphseq.sequences.batch import Batch
from graphseq.sequences.rows import newest


@final
class RepeatBias(DirectModel):
    r"""What an item's score gains or loses if the history contains the item.

    .. math:: \text{score}(v) = s_v + b_{a(v)}

    Here s are the scores of another model. The age :math:`a(v)` is the number of events
    since the last occurrence of item v, 0 for the newest item; older ages share the
    last of the biases. Items outside the history have none. The whole history is read,
    of which the other model sees the newest items, as many as it reads.
    :func:`graphseq.evaluation.choose_repeat_bias` chooses them on the validation part.

    Nothing is trained. With the history excluded, the results are those of the model.

    Source:
        Own. That repeated and new items need separate scores is from Ren et al.,
        RepeatNet, AAAI 2019.

    Args:
        model: The trained model, or its run.
        bias: The biases by age.
    """

    def __init__(
        self,
        model: Model | Trained,
        *,
        bias: Annotated[Sequence[float], MinLen(1)] = (0.0,),
    ) -> None:
        super().__init__()
        self.model = model.model() if isinstance(model, Trained) else model
        self.options["model"] = self.model
        self.num_users, self.num_items = self.model.num_users, self.model.num_items
        self.bias = tuple(bias)

    @property
    def requires(self) -> tuple[EdgeType, ...]:  # type: ignore[override]
        """Relations that the model reads."""
        return self.model.requires

    @property
    def ranks_with(self) -> tuple[EdgeType, ...]:
        """Relations that the model ranks with."""
        return self.model.ranks_with

    @property
    def has_user_embeddings(self) -> bool:  # type: ignore[override]
        """Whether the model has a vector for each user."""
        return self.model.has_user_embeddings

    def stages(self) -> tuple[Stage, ...]:
        """None: nothing is trained."""
        return ()

    def scorer(self, graph: HeteroData) -> "BiasedScorer":
        """The model's scores with the biases."""
        scorer = self.model.scorer(graph)
        bias = torch.tensor(self.bias, device=scorer.device)
        return BiasedScorer(scorer, self.model.max_length, bias)


class Occurrences(NamedTuple):
    """The distinct items of each row of a batch.

    Attributes:
        row: Ascending, (P,).
        item: Item ids, (P,).
        age: Number of events since the last occurrence, (P,).
    """

    row: Int[Tensor, "P"]
    item: Int[Tensor, "P"]
    age: Int[Tensor, "P"]

    def between(self, start: int, stop: int) -> "Occurrences":
        """Those of the rows from ``start`` to before ``stop``, counted from 0."""
        ends = self.row.new_tensor([start, stop])
        here = slice(*torch.searchsorted(self.row, ends).tolist())
        return Occurrences(self.row[here] - start, self.item[here], self.age[here])


def occurrences(batch: Batch) -> Occurrences:
    """The distinct items of each row; masked items are left out.

    Args:
        batch: The histories.
    """
    size = batch.num_items
    row, position = (batch.mask & (batch.items < size)).nonzero(as_tuple=True)
    pairs = row * size + batch.items[row, position]
    pair, place = torch.unique(pairs, return_inverse=True)
    newest = torch.zeros_like(pair).scatter_reduce_(0, place, position, "amax")
    row = pair // size
    return Occurrences(row, pair % size, batch.lengths[row] - 1 - newest)


class BiasedScorer(Scorer):
    """Scores of another scorer, with the biases of the items of each history.

    Args:
        scorer: Scores before the biases.
        max_length: The longest history that it reads.
        bias: The biases by age.
    """

    def __init__(
        self, scorer: Scorer, max_length: int, bias: Float[Tensor, "a"]
    ) -> None:
        self.scorer, self.max_length, self.bias = scorer, max_length, bias
        self.num_items, self.device = scorer.num_items, scorer.device
        self.depends_on_candidates = scorer.depends_on_candidates

    def blocks(self, batch: Batch) -> Blocks:
        """As :meth:`.Scorer.blocks`."""
        rows = newest(batch, self.max_length)
        return self._biased(batch, self.scorer.blocks(rows))

    def candidate_blocks(self, batch: Batch, excluded: Ragged) -> Blocks:
        """As :meth:`.Scorer.candidate_blocks`."""
        rows = newest(batch, self.max_length)
        return self._biased(batch, self.scorer.candidate_blocks(rows, excluded))

    def _biased(self, batch: Batch, blocks: Blocks) -> Blocks:
        found = occurrences(batch)
        for first, scores in blocks:
            row, item, age = found.between(first, first + len(scores))
            scores[row, item] += self.bias[age.clamp(max=len(self.bias) - 1)]
            yield first, scores
