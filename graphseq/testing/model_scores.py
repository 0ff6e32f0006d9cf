"""Checks of the scores of models: items, padding, batches, histories."""

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.errors import ConfigError
from graphseq.models import DirectModel
from graphseq.recommend import Recommender
from graphseq.sequences import Batch
from graphseq.testing.model_case import MODEL, ModelCase
from graphseq.testing.samples import changes, snapshot
from graphseq.testing.suite import expect


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal up to float32 rounding."""
    return found.shape == expected.shape and torch.allclose(
        found, expected, rtol=1e-4, atol=1e-5
    )


def apart(found: Tensor, expected: Tensor) -> str:
    """How far scores differ, as text."""
    if found.shape != expected.shape:
        return f"shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
    return f"scores differ by up to {(found - expected).abs().max().item():.2g}"


def rows(batch: Batch, chosen: Tensor) -> Batch:
    """Some rows of a batch without targets."""
    picked = {
        name: getattr(batch, name)[chosen] for name in ("user", "items", "lengths")
    }
    return replace(batch, **picked)


@MODEL.add
def scores_are_one_finite_number_for_each_item(case: ModelCase) -> None:
    """Scores have the shape (B, V), without padding, and are finite."""
    found = case.model.score(case.batch, case.graph)
    shape = len(case.batch), case.model.num_items
    advice = "return (V, D) from item_vectors, and (B, D) or (B, K, D) from represent"
    expect(found.shape == shape, f"shape {tuple(found.shape)}, not {shape}", advice)
    number = int((~found.isfinite()).sum())
    expect(not number, f"{number} scores are NaN or infinite", "guard divisions")
    expect(not found.requires_grad, "scores have a gradient", "do not override score")


@MODEL.add
@torch.no_grad()
def scores_are_inner_products(case: ModelCase) -> None:
    """Scores are represent @ item_vectors, of K interests the best."""
    model, batch, graph = case.model, case.batch, case.graph
    if isinstance(model, DirectModel):
        return
    vectors = model.item_vectors(graph)
    expected = model.represent(batch, graph) @ vectors.T
    expected = expected.amax(dim=1) if expected.dim() == 3 else expected
    found = model.score(batch, graph)
    advice = "derive a model without vectors from DirectModel"
    expect(close(found, expected), apart(found, expected), advice)


@MODEL.add
@torch.no_grad()
def ranking_reads_these_scores(case: ModelCase) -> None:
    """The blocks of scorer, which evaluation reads, are the scores of score."""
    blocks = [b.clone() for _, b in case.model.scorer(case.graph).blocks(case.batch)]
    found, number = torch.cat(blocks), case.model.num_items
    expected = case.model.score(case.batch, case.graph)
    advice = "override scorer and score together, or neither"
    expect(
        close(found[:, :number], expected), apart(found[:, :number], expected), advice
    )
    expect(
        found[:, number:].eq(-torch.inf).all(), "columns beyond V have a score", advice
    )


@MODEL.add
def padding_changes_no_score(case: ModelCase) -> None:
    """Scores do not depend on the padding of the batch."""
    model, graph, size = case.model, case.graph, case.model.num_items
    short = replace(
        case.batch,
        items=case.batch.items[:, :2],
        lengths=case.batch.lengths.clamp(max=2),
    )
    longer = replace(short, items=F.pad(short.items, (0, 2), value=size))
    found, expected = model.score(longer, graph), model.score(short, graph)
    advice = "read batch.mask, and the last item by batch.last(states)"
    expect(close(found, expected), apart(found, expected), advice)


@MODEL.add
def rows_do_not_depend_on_their_batch(case: ModelCase) -> None:
    """The scores of a row are the same alone, and in another order."""
    model, graph, batch = case.model, case.graph, case.batch
    together = model.score(batch, graph)
    order = torch.arange(len(batch)).flip(0)
    advice = "compute nothing over the batch, such as batch normalisation"
    found = model.score(rows(batch, order), graph)
    expect(close(found, together[order]), apart(found, together[order]), advice)
    for row in (0, 1, len(batch) - 1):
        alone = rows(batch, torch.tensor([row]))
        alone = replace(alone, items=alone.items[:, : int(alone.lengths.max())])
        found = model.score(alone, graph)
        expect(close(found, together[[row]]), apart(found, together[[row]]), advice)


@MODEL.add
def an_empty_history_has_finite_scores(case: ModelCase) -> None:
    """A user without items in the history has finite scores."""
    size = case.model.num_items
    empty = torch.full((2, 1), size)
    batch = Batch(torch.tensor([0, 1]), empty, torch.tensor([0, 0]), size)
    number = int((~case.model.score(batch, case.graph).isfinite()).sum())
    advice = "guard the division by batch.lengths, or the softmax over no item"
    expect(not number, f"{number} scores are NaN or infinite", advice)


@MODEL.add
def new_users_are_ranked_by_their_histories_or_refused(case: ModelCase) -> None:
    """A history of known items has a list; a model with user vectors refuses it."""
    recommender = Recommender(case.model, case.graph)
    items = recommender.items.ids[:3].to_list()
    advice = "represent rows by batch.items, or set has_user_embeddings"
    try:
        found = recommender.recommend(histories=[items], k=3)
    except ConfigError as error:
        expect(case.model.has_user_embeddings, str(error), advice)
        return
    expect(not case.model.has_user_embeddings, "a new user was ranked", advice)
    unknown = [item for item in found["item"] if item in items]
    expect(
        len(found) == 3 and not unknown, f"a list of {found['item'].to_list()}", advice
    )


@MODEL.add
def scoring_is_repeatable(case: ModelCase) -> None:
    """Two calls of score are equal, and change no weight, no mode and no graph."""
    model, graph = case.model, case.graph
    weights, before = copy.deepcopy(model.state_dict()), snapshot(graph)
    first, second = (model.score(case.batch, graph) for _ in range(2))
    advice = "drop values and draw noise only if self.training"
    expect(torch.equal(first, second), apart(first, second), advice)
    changed = [
        n for n, t in model.state_dict().items() if not torch.equal(t, weights[n])
    ]
    changed += changes(graph, before) + ["the mode"] * model.training
    expect(
        not changed, f"changed: {', '.join(changed)}", "compute without side effects"
    )
