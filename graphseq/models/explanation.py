"""Importance of every item of every training prefix, by the model's own scores."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.user_context import has_token
from graphseq.nn import importance
from graphseq.nn.importance import Method
from graphseq.sequences.batch import Batch
from graphseq.sequences.same_target import SameTargetIndex

BY_MODEL: dict[str, Callable[..., Tensor]] = {
    "saliency": importance.saliency,
    "occlusion": importance.occlusion,
    "gradients": importance.integrated_gradients,
}
ROWS = 1024  # prefixes that are explained at a time


def explain(
    backbone: Backbone,
    items: Float[Tensor, "V D"],
    batch: Batch,
    graph: HeteroData,
    method: Method,
    count: Int[Tensor, "V"],
    targets: Int[Tensor, "B"] | None = None,
) -> Float[Tensor, "B L"]:
    """Importance of a batch's positions; zero at padding.

    Args:
        backbone: The model. A ``UserContext`` is a part of what is explained.
        items: The item vectors, as constants.
        batch: Sequences.
        graph: The graph, which the vectors of the users may come from.
        method: How they are explained.
        count: Events of each item, for ``popularity``.
        targets: The item of each row whose score is explained; ``None``: the one that
            the model ranks first, again for every change of the sequence.
    """
    mask = batch.mask
    if method == "popularity":
        return importance.popularity(batch.items, mask, count)
    if method == "random":
        return importance.random_scores(mask)
    x, users = backbone.embed(items, batch).detach(), backbone.users
    nodes = None if users is None else users.nodes(items, batch, graph)
    if method == "attention":
        encoder: Any = backbone.encoder
        z = None if users is None else users.of_vectors(x, mask, nodes)
        attention: Tensor = encoder.attention(*backbone.with_token(x, mask, z))
        return attention[:, has_token(users) :]

    def score(x: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
        own = None if nodes is None else nodes.rows(rows)
        states = backbone.represent_vectors(x, mask, own)
        if targets is None:
            return importance.top_score(states, items)
        return (states * items[targets[rows]]).sum(dim=1)

    return BY_MODEL[method](score, x, mask)


@torch.no_grad()
def explain_all(
    backbone: Backbone,
    items: Float[Tensor, "V D"],
    index: SameTargetIndex,
    graph: HeteroData,
    method: Method,
    *,
    of_targets: bool = False,
    needed: Int[Tensor, "R"] | None = None,
) -> Float[Tensor, "P"]:
    """Importance of the positions of all training prefixes, concatenated.

    Args:
        backbone: The model.
        items: The item vectors, as constants.
        index: The prefixes.
        graph: The graph, which the vectors of the users may come from.
        method: How they are explained.
        of_targets: Explain the score of each prefix's target, not of the first item.
        needed: The prefixes to explain; ``None``: all. The scores of others are 0.
    """
    length = index.examples.length
    count = torch.bincount(index.flat, minlength=index.num_items)
    scores = torch.zeros(int(length.sum()), dtype=items.dtype, device=items.device)
    every = torch.arange(len(length), device=length.device)
    chosen = every if needed is None else needed.unique()
    if method == "occlusion" and _shares_states(backbone):
        _, group, size = index.examples.start[chosen].unique(
            return_inverse=True, return_counts=True
        )
        alone = size[group] == 1  # its last state is enough, and cheaper
        _occlude(backbone, items, index, chosen[~alone], of_targets, scores)
        chosen = chosen[alone]
    for rows in _blocks(length, chosen):
        batch = index.gather(rows)
        targets = index.target[rows] if of_targets else None
        found = explain(backbone, items, batch, graph, method, count, targets)
        found = found.to(scores.dtype)
        scores[_positions(length, rows, batch.mask)[batch.mask]] = found[batch.mask]
    return scores


def _shares_states(backbone: Backbone) -> bool:
    """Whether a state is that of every prefix up to it: users join whole prefixes."""
    encoder, users = backbone.encoder, backbone.users
    return encoder.prefix_states and not encoder.counts_from_end and users is None


def _occlude(
    backbone: Backbone,
    items: Float[Tensor, "V D"],
    index: SameTargetIndex,
    chosen: Int[Tensor, "R"],
    of_targets: bool,
    scores: Float[Tensor, "P"],
) -> None:
    """Write the occlusion of the chosen prefixes; those with the same start share work.

    A state does not depend on later items. So one pass over the longest prefix, with
    the vector at i set to zero, has the states of all that contain i: n passes over n
    positions for the prefixes of n items, instead of about n²/2 over n/2.
    """
    start, length = index.examples.start, index.examples.length
    begin = length.cumsum(0) - length  # of each prefix in ``scores``
    chosen = chosen[length[chosen].argsort(stable=True)]
    chosen = chosen[start[chosen].argsort(stable=True)]  # by start, then by length
    size = start[chosen].unique_consecutive(return_counts=True)[1]
    stop = size.cumsum(0)
    longest = chosen[stop - 1]

    def score(states: Tensor, prefix: Tensor) -> Tensor:
        if of_targets:
            return (states * items[index.target[prefix]]).sum(dim=1)
        return importance.top_score(states, items)

    groups = torch.arange(len(longest), device=start.device)
    for part in _blocks(length[longest], groups):
        batch = index.gather(longest[part])
        x, mask = backbone.embed(items, batch), batch.mask
        owner, nth = _members(size[part])
        prefix = chosen[(stop - size)[part][owner] + nth]
        end = length[prefix] - 1
        whole = score(backbone.encoder(x, mask)[owner, end], prefix)
        first = size[part].cumsum(0) - size[part]  # prefix of each row
        for row, at in importance.replicas(mask, x.shape[2]):
            replica = x[row]
            replica[torch.arange(len(row), device=x.device), at] = 0
            states = backbone.encoder(replica, mask[row])
            which, nth = _members(size[part][row])
            own = first[row][which] + nth
            contains = end[own] >= at[which]
            which, own = which[contains], own[contains]
            left = score(states[which, end[own]], prefix[own])
            scores[begin[prefix[own]] + at[which]] = (whole[own] - left).to(scores)


def _blocks(
    length: Int[Tensor, "N"], chosen: Int[Tensor, "R"]
) -> Sequence[Int[Tensor, "r"]]:
    """The chosen sequences in blocks of similar length; none without any."""
    return chosen[length[chosen].argsort()].split(ROWS) if len(chosen) else ()


def _members(size: Int[Tensor, "N"]) -> tuple[Int[Tensor, "M"], Int[Tensor, "M"]]:
    """The group of each member, and its number within the group, from 0."""
    owner = torch.repeat_interleave(size)
    nth = torch.arange(len(owner), device=size.device)
    return owner, nth - (size.cumsum(0) - size)[owner]


def importances(
    scores: Float[Tensor, "P"],
    index: SameTargetIndex,
    rows: Int[Tensor, "B"],
    batch: Batch,
) -> Float[Tensor, "B L"]:
    """The scores of some prefixes' positions; zero at padding.

    Args:
        scores: Of all prefixes, from :func:`explain_all`.
        index: The prefixes.
        rows: Indices of the prefixes.
        batch: Their sequences.
    """
    position = _positions(index.examples.length, rows, batch.mask)
    return scores[position.clamp(max=len(scores) - 1)] * batch.mask


def normalise(
    scores: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"], *, clip: bool
) -> Float[Tensor, "B L"]:
    """Eq. (5): each score over the sum of its row; equal if all are zero.

    Args:
        scores: Of every position, of either sign.
        mask: True at real items.
        clip: Whether negative scores count as zero; otherwise by their absolute value.
    """
    size = scores.clamp(min=0) if clip else scores.abs()
    total = size.sum(dim=1, keepdim=True)
    equal = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(total > 0, size / total, equal)


def _positions(length: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
    """Indices of some prefixes' positions among those of all prefixes."""
    start = length.cumsum(0) - length
    return start[rows][:, None] + torch.arange(mask.shape[1], device=rows.device)
