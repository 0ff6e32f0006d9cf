"""Choose the biases of items in the history on the validation part."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from annotated_types import MinLen
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.evaluation.choose_weights import length_of
from graphseq.evaluation.evaluate import evaluate
from graphseq.evaluation.held_out import by_length, held_out_users
from graphseq.evaluation.ranking import eval_mode
from graphseq.models.base import Model
from graphseq.models.ensemble import Trained
from graphseq.models.repeat_bias import RepeatBias, occurrences
from graphseq.schema import Positive, Size, checked
from graphseq.sequences.batch import histories
from graphseq.sequences.rows import newest

PENALTY = 1e-4  # of squared biases, so that those of items that never repeat are finite
LEAST = -1 + 1e-9  # of what biases add to a denominator of 1


class Collected(NamedTuple):
    """Scores that the likelihood of validation targets depends on, for one temperature.

    Attributes:
        row: The target that each item of a history belongs to, (P,).
        age: Age of the item, (P,).
        probability: Of the item, without biases, (P,).
        hit: Whether it is the target, (P,).
        number: N, the number of targets.
    """

    row: Int[Tensor, "P"]
    age: Int[Tensor, "P"]
    probability: Float[Tensor, "P"]
    hit: Bool[Tensor, "P"]
    number: int


@checked
def choose_repeat_bias(
    model: Model | Trained,
    graph: HeteroData,
    *,
    ages: Size = 10,
    metric: str = "NDCG@10",
    temperatures: Annotated[Sequence[Positive], MinLen(1)] = (
        1.0,
        1.5,
        2.0,
        3.0,
        4.0,
        6.0,
    ),
    batch_size: Size = 512,
) -> RepeatBias:
    r"""The model with the biases of the history's items that validation chooses.

    For each temperature T, the biases b maximise the likelihood of the validation
    targets under :math:`\mathrm{softmax}(s / T + b)`, where s are the scores and b is
    that of an item's age, 0 outside the history. Of the biases Tb, those with the best
    metric (validation part, history kept) are chosen. The test part is not read.

    The temperature is needed because trained scores are too sure: with T = 1, items
    outside the history have too large probabilities, and those that users repeat get
    biases that are too small.

    Args:
        model: The trained model, or its run; it is not changed. Its scores are those of
            a softmax; for others, give ``temperatures`` of their scale.
        graph: The graph that it was trained on.
        ages: Number of biases.
        metric: Such as ``NDCG@10``.
        temperatures: T.
        batch_size: Users whose histories are read at once; changes no result.

    Source:
        Temperatures: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Raises:
        ConfigError: The metric is unknown.
        GraphError: The graph does not fit, or has no validation users.
    """
    length = length_of(metric)
    plain = RepeatBias(model)
    found = []
    for collected, temperature in zip(
        _collect(plain, graph, temperatures, batch_size), temperatures, strict=True
    ):
        bias = [temperature * value for value in most_likely(collected, ages)]
        biased = RepeatBias(plain.model, bias=bias)
        report = evaluate(
            biased, graph, part="validation", ks=(length,), history="kept"
        )
        found.append((report["kept"][metric], biased))
    return max(found, key=lambda pair: pair[0])[1]


def most_likely(collected: Collected, ages: int) -> list[float]:
    """The biases that maximise the likelihood.

    Args:
        collected: Of the validation targets.
        ages: Number of biases.
    """
    row, age, probability, hit, number = collected
    age = age.clamp(max=ages - 1)
    bias = torch.zeros(ages, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [bias], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-12
    )

    def loss() -> float:
        optimizer.zero_grad()
        added = torch.zeros(number, dtype=torch.float64)
        added = added.index_add(0, row, probability * bias[age].expm1())
        value = added.clamp(min=LEAST).log1p().sum() - (bias[age] * hit).sum()
        value = value / number + PENALTY * bias.square().sum()
        value.backward()
        return value.item()

    optimizer.step(loss)
    chosen: list[float] = bias.tolist()
    return chosen


@torch.no_grad()
def _collect(
    model: RepeatBias,
    graph: HeteroData,
    temperatures: Sequence[float],
    batch_size: int,
) -> list[Collected]:
    """What the likelihood depends on, for every temperature, in one pass."""
    model.check(graph, model.ranks_with)
    held_out = held_out_users(graph, "validation")
    rows = by_length(held_out)
    shared: list[tuple[Tensor, Tensor, Tensor]] = []  # row, age, hit
    probabilities: list[list[Tensor]] = [[] for _ in temperatures]
    number = 0
    with runtime.limit_threads(), eval_mode(model):
        scorer = model.model.scorer(graph)
        for start in range(0, len(rows.order), batch_size):
            chosen = rows.order[start : start + batch_size]
            batch = histories(held_out, chosen, model.max_length, model.num_items)
            batch = batch.to(scorer.device)
            seen = occurrences(batch)
            for first, block in scorer.blocks(newest(batch, model.model.max_length)):
                near = seen.between(first, first + len(block))
                target = rows.targets.between(start + first, start + first + len(block))
                user, wanted = (x.to(block.device) for x in (target.rows, target.items))
                pair, entry = _pairs(user, near.row)
                hit = near.item[entry] == wanted[pair]
                shared.append(((number + pair).cpu(), near.age[entry].cpu(), hit.cpu()))
                number += len(user)
                scores = block[:, : model.num_items].double()
                for found, temperature in zip(probabilities, temperatures, strict=True):
                    mass = (scores / temperature).logsumexp(dim=1)
                    own = scores[near.row, near.item] / temperature - mass[near.row]
                    found.append(own.exp()[entry].cpu())
    row, age, hit = (torch.cat(column) for column in zip(*shared, strict=True))
    return [
        Collected(row, age, torch.cat(found), hit, number) for found in probabilities
    ]


def _pairs(
    user: Int[Tensor, "T"], row: Int[Tensor, "P"]
) -> tuple[Int[Tensor, "M"], Int[Tensor, "M"]]:
    """Each target of a user with each entry of the user's row, both ascending."""
    low = torch.searchsorted(row, user)
    count = torch.searchsorted(row, user, right=True) - low
    pair = torch.arange(len(user), device=user.device).repeat_interleave(count)
    start = (count.cumsum(0) - count)[pair]
    entry = low[pair] + torch.arange(len(pair), device=user.device) - start
    return pair, entry
