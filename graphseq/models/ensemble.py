"""Ensembles: the scores of several trained models, combined."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.data.ragged import Ragged
from graphseq.errors import GraphError, RunError
from graphseq.graphs.merge import merge_graphs
from graphseq.models.base import Model, Stage
from graphseq.models.combination import Combine, Comparable, comparable
from graphseq.models.direct import DirectModel
from graphseq.models.scoring import Blocks, Scorer, rows_of_block, width
from graphseq.schema import InvalidOption, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.sequences.rows import newest


class Trained(ABC):
    """A trained model and the graph that it was trained on: a run.

    Attributes:
        record: JSON data, with the sizes and hashes of the graph in ``graph``.
    """

    record: dict[str, Any]

    @abstractmethod
    def model(self, graph: HeteroData | None = None) -> Model:
        """The trained model."""

    @abstractmethod
    def graph(self) -> HeteroData:
        """The graph that the model ranks with, or a part of it.

        Raises:
            RunError: It was not kept.
        """


@final
class Ensemble(DirectModel):
    r"""The scores of several trained models, combined for each user.

    With the scores :math:`s_m` of model m made comparable, the score of an item is

    .. math:: \sum_m w_m f(s_m), \qquad f(s)_i =
        \begin{cases} s_i - \log \sum_j e^{s_j} & \text{log\_softmax} \\
        (s_i - \bar s) / σ(s) & \text{z\_score} \\
        1 / (k + \mathrm{rank}_i) & \text{reciprocal\_rank} \end{cases}

    over all V items. The weights are scaled to a sum of 1, for ranks to a mean of 1.
    Where the history is excluded, ranks are those among the other items. A model with
    several vectors for a user has the maximum over them as its score. The models must
    know the same users and items: runs on one graph, or on graphs of the same events
    with other relations, which :func:`graphseq.graphs.merge_graphs` merges. The longest
    histories that they read may differ. They are not trained any further.

    Source:
        Cormack et al., "Reciprocal Rank Fusion outperforms Condorcet …", SIGIR 2009,
        for ``reciprocal_rank``.

    Args:
        members: Two or more trained models, or runs on graphs of the same events.
        weights: Of the members, at least one above 0; ``None``: equal ones. Choose them
            on the validation part: :func:`graphseq.choose_weights`.
        combine: How scores are made comparable. ``log_softmax`` keeps the scale of each
            model's scores; with losses or temperatures that differ, use another.
        rank_constant: k of ``reciprocal_rank``.
    """

    def __init__(
        self,
        members: Sequence[Model | Trained],
        *,
        weights: Sequence[Weight] | None = None,
        combine: Combine = "log_softmax",
        rank_constant: Size = 60,
    ) -> None:
        super().__init__()
        models = [m.model() if isinstance(m, Trained) else m for m in members]
        self.options["members"] = models
        self.members = nn.ModuleList(models)
        self.num_users, self.num_items = models[0].num_users, models[0].num_items
        self.max_length = max(model.max_length for model in models)
        given = weights or [1.0] * len(models)
        self.weights = tuple(weight / sum(given) for weight in given)
        self.combine: Combine = combine
        self.rank_constant = rank_constant

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Two or more members with the same users and items, and a weight for each."""
        members, weights = options["members"], options["weights"]
        if len(members) < 2:
            message = f"expected two or more models or runs, found {len(members)}"
            yield InvalidOption("members", message)
        if weights is not None and len(weights) != len(members):
            found = f"found {len(weights)} for {len(members)} members"
            yield InvalidOption("weights", f"expected one for each member, {found}")
        elif weights is not None and not sum(weights):
            yield InvalidOption("weights", "expected one above 0, found only 0")
        runs = [member for member in members if isinstance(member, Trained)]
        sizes = {_sizes(m) for m in members if isinstance(m, Trained | Model)}
        if len(sizes) > 1:
            found = " and ".join(f"{u} users, {v} items" for u, v in sorted(sizes))
            message = f"expected the same users and items, found {found}; train them on"
            yield InvalidOption("members", f"{message} one graph")
        elif len({run.record["graph"]["hash"] for run in runs}) > 1:
            try:
                merge_graphs([run.graph() for run in runs])
            except (GraphError, RunError) as error:
                message = "the runs were trained on different graphs"
                yield InvalidOption("members", f"{message}: {error}")

    @property
    def models(self) -> list[Model]:
        """The members."""
        return [member for member in self.members if isinstance(member, Model)]

    @property
    def requires(self) -> tuple[EdgeType, ...]:  # type: ignore[override]
        """Relations that the members read."""
        return tuple(dict.fromkeys(r for m in self.models for r in m.requires))

    @property
    def ranks_with(self) -> tuple[EdgeType, ...]:
        """Relations that the members rank with."""
        return tuple(dict.fromkeys(r for m in self.models for r in m.ranks_with))

    @property
    def has_user_embeddings(self) -> bool:  # type: ignore[override]
        """Whether a member has a vector for each user."""
        return any(model.has_user_embeddings for model in self.models)

    def stages(self) -> tuple[Stage, ...]:
        """None: nothing is trained."""
        return ()

    def scorer(self, graph: HeteroData) -> "EnsembleScorer":
        """The combined scores."""
        return EnsembleScorer(
            [(model.scorer(graph), model.max_length) for model in self.models],
            self.weights,
            comparable(self.combine, self.rank_constant),
            of_ranks=self.combine == "reciprocal_rank",
        )

    def reweighted(self, weights: Sequence[float]) -> "Ensemble":
        """The ensemble of the same models with other weights."""
        return Ensemble(
            self.models,
            weights=[*weights],
            combine=self.combine,
            rank_constant=self.rank_constant,
        )


def _sizes(member: Model | Trained) -> tuple[int, int]:
    if isinstance(member, Model):
        return member.num_users, member.num_items
    graph = member.record["graph"]
    return graph["num_users"], graph["num_items"]


class EnsembleScorer(Scorer):
    """Scores of an :class:`Ensemble`, in blocks of users.

    Args:
        members: Scorers, and the longest history that each reads.
        weights: Of the members; their sum is 1.
        f: Makes scores comparable.
        of_ranks: Whether its values are of ranks, and so depend on the excluded items.
    """

    def __init__(
        self,
        members: Sequence[tuple[Scorer, int]],
        weights: Sequence[float],
        f: Comparable,
        *,
        of_ranks: bool,
    ) -> None:
        self.members, self.f = members, f
        depend = [scorer.depends_on_candidates for scorer, _ in members]
        self.depends_on_candidates = of_ranks or any(depend)
        self.num_items = members[0][0].num_items
        self.device = members[0][0].device
        scale = len(weights) if of_ranks else 1
        self.weights = scale * torch.tensor(weights, device=self.device)

    def blocks(self, batch: Batch) -> Blocks:
        """As :meth:`.Scorer.blocks`."""
        return self.candidate_blocks(batch, no_items(len(batch)))

    def candidate_blocks(self, batch: Batch, excluded: Ragged) -> Blocks:
        """As :meth:`.Scorer.candidate_blocks`."""
        for first, parts in self.parts(batch, excluded):
            yield first, self.combined(parts, self.weights)

    def combined(
        self, parts: Float[Tensor, "M n W"], weights: Float[Tensor, "M"]
    ) -> Float[Tensor, "n W"]:
        """The weighted sum of the members' values; -inf beyond the last item."""
        scores: Tensor = torch.tensordot(weights, parts, dims=1)
        scores[:, self.num_items :] = -torch.inf
        return scores

    def parts(
        self, batch: Batch, excluded: Ragged
    ) -> Iterator[tuple[int, Float[Tensor, "M n W"]]]:
        """The comparable values of each member, in blocks of users.

        Args:
            batch: The rows, on the scorer's device.
            excluded: Items of each row that are not candidates, each once.

        Yields:
            The first row, and the values; 0 beyond the last item.
        """
        size, columns = self.num_items, width(self.num_items)
        step = rows_of_block(columns, self.device)
        found = torch.zeros(
            len(self.members), min(step, len(batch)), columns, device=self.device
        )
        for first in range(0, len(batch), step):
            rows = _rows(batch, slice(first, first + step))
            near = excluded.between(first, first + len(rows))
            for values, (scorer, longest) in zip(found, self.members, strict=True):
                for at, scores in scorer.candidate_blocks(newest(rows, longest), near):
                    end = at + len(scores)
                    out = near.between(at, end).padded(size).to(self.device)
                    values[at:end, :size] = self.f(scores[:, :size], out)
            yield first, found[:, : len(rows)]


def no_items(rows: int) -> Ragged:
    """A number of empty lists."""
    nothing = torch.zeros(rows + 1, dtype=torch.int64)
    return Ragged(nothing[:0], nothing)


def _rows(batch: Batch, rows: slice) -> Batch:
    return replace(
        batch,
        user=batch.user[rows],
        items=batch.items[rows],
        lengths=batch.lengths[rows],
    )
