"""Metrics that an evaluation computes on request, and those that users write.

The first four repeat HR, MRR or NDCG where each user has one target; the others
describe the lists.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import HAS_ATTRIBUTE
from graphseq.data.ragged import Ragged
from graphseq.errors import ConfigError, GraphError, suggest
from graphseq.evaluation.metrics import best_gains, gains
from graphseq.schema import plain


class Lists(NamedTuple):
    """The recommended lists of N users, and their targets.

    Attributes:
        items: Dense ids of the first k items, -1 where there are no more,
            (N, min(k, V)).
        ranks: Rank of each target, from 1; ``inf`` for a miss, (P,).
        targets: The targets of each user, each once.
        counts: Training events of each item, (V,).
        graph: The graph of the evaluation.
        k: The requested length of the lists.
    """

    items: Int[Tensor, "N m"]
    ranks: Float[Tensor, "P"]
    targets: Ragged
    counts: Int[Tensor, "V"]
    graph: HeteroData
    k: int


Metric = Callable[[Lists], Tensor | float]
"""A value for each user, (N,), or one for all users."""


def precision(lists: Lists) -> Float[Tensor, "N"]:
    """Targets among the first k, divided by k."""
    hit = (lists.ranks <= lists.k).double()
    return _per_user(lists, hit) / lists.k


def capped_recall(lists: Lists) -> Float[Tensor, "N"]:
    """Targets among the first k, divided by the number that can be there: min(k, |T|).

    Source:
        Liang et al., *Variational Autoencoders for Collaborative Filtering*, WWW 2018,
        section 4.2.
    """
    hit = (lists.ranks <= lists.k).double()
    return _per_user(lists, hit) / lists.targets.lengths.clamp(max=lists.k)


def comirec_ndcg(lists: Lists) -> Float[Tensor, "N"]:
    """DCG divided by that of the targets *found*, at the first ranks.

    One of ten targets found, at rank 1, gives 1. It is never below NDCG@k, and not
    comparable with it.

    Source:
        Cen et al., ComiRec, KDD 2020, its released code.
    """
    hit = (lists.ranks <= lists.k).double()
    number = _per_user(lists, hit).long()
    ideal = best_gains(max(1, int(number.max()) if len(number) else 0))
    return _per_user(lists, hit * gains(lists.ranks)) / ideal[number.clamp(min=1) - 1]


def mean_average_precision(lists: Lists) -> Float[Tensor, "N"]:
    r"""Average precision of each user, whose mean is the MAP.

    .. math:: \frac{1}{\min(k, |T|)} \sum_{r \le k} \frac{|\{r' \le r\}|}{r}
    """
    rows = lists.targets.rows
    order = lists.ranks.argsort(stable=True)
    order = order[rows[order].argsort(stable=True)]  # by user, then by rank
    ranks = lists.ranks[order]
    found = torch.arange(1, len(ranks) + 1) - lists.targets.ptr[:-1][rows]
    gain = torch.where(ranks <= lists.k, found / ranks, 0.0)
    return _per_user(lists, gain) / lists.targets.lengths.clamp(max=lists.k)


def novelty(lists: Lists) -> Float[Tensor, "N"]:
    r"""Mean self-information of the items, :math:`-\log_2 (n_i / \sum_j n_j)`, in bits.

    Source:
        Zhou et al., PNAS 2010, with the fraction of events instead of users.

    Departs from the source:
        An item without training events counts as one with a single event.
    """
    bits = -torch.log2(lists.counts.clamp(min=1).double() / lists.counts.sum())
    listed = lists.items >= 0
    total = (bits[lists.items.clamp(min=0)] * listed).sum(1)
    return total / listed.sum(1).clamp(min=1)


def gini(lists: Lists) -> float:
    """Gini coefficient of how often each item of the catalogue is recommended.

    0: all equally often; towards 1: one item only.
    """
    shown = _shown(lists).double().sort().values
    size = len(shown)
    weights = 2 * torch.arange(1, size + 1, dtype=torch.float64) - size - 1
    return float((weights * shown).sum() / (size * shown.sum()).clamp(min=1))


def personalization(lists: Lists) -> float:
    """One minus the mean fraction of items that the lists of two users share.

    As ``LinkPredPersonalization`` of PyG, of all pairs of users, without making them:
    how many other lists have an item follows from how often it is recommended. A list
    of fewer than k items counts by its own length, and an empty one is left out.
    """
    listed, shown = lists.items >= 0, _shown(lists)
    others = (shown[lists.items.clamp(min=0)] - 1) * listed
    shared = others.sum(1) / listed.sum(1).clamp(min=1).double()
    users = int(listed.any(1).sum())
    return float(1 - shared.sum() / max(users * (users - 1), 1))


def diversity(lists: Lists) -> Float[Tensor, "N"]:
    """One minus the mean cosine similarity of two items of a list, by attributes.

    Items are vectors of ones for their attributes in the graph. An item without
    attributes is similar to none. Of a list of one item it is 0.

    Raises:
        GraphError: The graph has no attributes of items.
    """
    if HAS_ATTRIBUTE not in lists.graph.edge_types:
        raise GraphError(
            "diversity compares items by their attributes, and the graph has no "
            "relation (item, has, attribute). Build it with the step Attributes"
        )
    item, attribute = lists.graph[HAS_ATTRIBUTE].edge_index.cpu().numpy()
    lengths = np.bincount(item, minlength=len(lists.counts))
    vectors = csr_array(
        (lengths[item] ** -0.5, (item, attribute)),
        shape=(len(lists.counts), int(attribute.max(initial=-1)) + 1),
    )
    listed = (lists.items >= 0).numpy()
    users, positions = listed.nonzero()
    chosen = lists.items.numpy()[users, positions]
    ones = np.ones(len(users))
    member = csr_array((ones, (users, chosen)), shape=(len(listed), len(lists.counts)))
    sums = member @ vectors
    # The similarities of all ordered pairs of two items: |sum|² minus each with itself.
    pairs = torch.from_numpy((sums**2).sum(axis=1) - member @ (lengths > 0))
    size = torch.from_numpy(listed.sum(axis=1))
    mean = pairs / (size * (size - 1)).clamp(min=1)
    return torch.where(size > 1, 1 - mean, 0.0)


METRICS: dict[str, Metric] = {
    "Precision": precision,
    "Recall-capped": capped_recall,
    "NDCG-ComiRec": comirec_ndcg,
    "MAP": mean_average_precision,
    "novelty": novelty,
    "Gini": gini,
    "personalization": personalization,
    "diversity": diversity,
}


ALWAYS = frozenset({"HR", "Recall", "NDCG", "MRR", "popularity", "coverage"})
"""Metrics that every report has."""


def named_metrics(requested: Sequence[Any]) -> dict[str, Metric]:
    """The metrics by name; a function has its own name.

    Raises:
        ConfigError: A name is unknown, or something is neither a name nor a function.
    """
    if isinstance(requested, str):
        raise ConfigError(f"metrics is a list, as in [{requested!r}]")
    found: dict[str, Metric] = {}
    problems = []
    for each in requested:
        if callable(each):
            name = getattr(each, "__name__", type(each).__name__)
            if name in found or name in METRICS or name in ALWAYS:
                problems.append(f"two metrics are named {name}; rename your function")
            found[name] = each
        elif isinstance(each, str) and each in METRICS:
            found[each] = METRICS[each]
        elif isinstance(each, str) and each.partition("@")[0] in ALWAYS:
            problems.append(f"{each} is in every report; leave it out of metrics")
        else:
            problems.append(f"unknown metric {each!r}; {suggest(str(each), METRICS)}")
    if problems:
        raise ConfigError("\n".join(problems))
    return found


def compute(
    metrics: Mapping[str, Metric], lists: Lists, ks: Sequence[int]
) -> tuple[dict[str, Float[Tensor, "N"]], dict[str, float]]:
    """Each metric at each k: those with a value for each user, and the others.

    Raises:
        ConfigError: A metric returns neither, or a value that is not finite.
    """
    users: dict[str, Tensor] = {}
    overall: dict[str, float] = {}
    for name, metric in metrics.items():
        for k in ks:
            given = lists._replace(items=lists.items[:, :k], k=k)
            if metric is not METRICS.get(name):  # a function may change what it gets
                given = _copied(given)
            value = plain(metric(given))
            if isinstance(value, Tensor) and not value.dim():
                value = value.item()
            if isinstance(value, Tensor) and value.shape == (len(lists.items),):
                users[f"{name}@{k}"] = value.double()
            elif isinstance(value, float | int):
                overall[f"{name}@{k}"] = float(value)
            else:
                raise ConfigError(
                    f"the metric {name} must return a number, or a tensor of a value "
                    f"for each of {len(lists.items):,} users; found "
                    f"{getattr(value, 'shape', value)!r}"
                )
            finite = torch.as_tensor(value).isfinite()
            if not finite.all():
                raise ConfigError(
                    f"the metric {name}@{k} must return finite numbers; "
                    f"{int((~finite).sum()):,} of its {finite.numel():,} values are "
                    "not. Give users without a value the number that they count with, "
                    "such as 0"
                )
    return users, overall


def _copied(lists: Lists) -> Lists:
    """The same lists in other memory; the graph is shared."""
    return lists._replace(
        items=lists.items.clone(),
        ranks=lists.ranks.clone(),
        targets=Ragged(*(column.clone() for column in lists.targets)),
        counts=lists.counts.clone(),
    )


def _per_user(lists: Lists, values: Float[Tensor, "P"]) -> Float[Tensor, "N"]:
    """The sum over the targets of each user."""
    total = values.new_zeros(len(lists.targets.lengths))
    return total.scatter_add(0, lists.targets.rows, values)


def _shown(lists: Lists) -> Int[Tensor, "V"]:
    """How many users each item is recommended to."""
    listed = lists.items[lists.items >= 0]
    return listed.bincount(minlength=len(lists.counts))
