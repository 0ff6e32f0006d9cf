"""Checks of the state of auxiliary objectives: seeds, relations, resuming."""

import copy

import torch

from graphseq.graphs import part_of
from graphseq.schema import describe
from graphseq.testing.auxiliary_case import AUXILIARY, AuxiliaryCase, gap
from graphseq.testing.samples import (
    changes,
    snapshot,
)
from graphseq.testing.suite import expect, expect_json


@AUXILIARY.add
def the_seed_decides_the_terms(case: AuxiliaryCase) -> None:
    """The same weights and the same seed give the same terms."""
    found = gap(case.terms(case.own), case.terms(case.own))
    advice = "draw from torch's global generator, and keep no state between batches"
    expect(not found, found, advice)


@AUXILIARY.add
def declared_relations_are_enough(case: AuxiliaryCase) -> None:
    """A graph with the relations that it declares in requires is enough."""
    part = part_of(case.graph, case.own.requires)
    model = case.model(case.make())
    try:
        with torch.no_grad():
            for epoch in range(max(model.warmup, 1) + 1):
                model.refresh(part, epoch)
        found = gap(case.terms(model, part), case.terms(case.own))
    except (KeyError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
    advice = "list all relations that it reads in the attribute requires"
    expect(not found, found, advice)


@AUXILIARY.add
def graph_and_batch_stay(case: AuxiliaryCase) -> None:
    """Refresh and terms change neither the graph nor the batch."""
    model, before = case.model(case.make()), snapshot(case.graph)
    batch = case.batch(model)
    items, targets = batch.items.clone(), batch.targets
    kept = None if targets is None else targets.clone()
    case.refreshed(model).train().losses(batch, case.graph)
    found = changes(case.graph, before)
    same = torch.equal(items, batch.items)
    same &= targets is None or kept is None or torch.equal(targets, kept)
    advice = "replace tensors, never write into them"
    expect(not found and same, ", ".join(found) or "the batch changed", advice)


@AUXILIARY.add
def refresh_changes_no_weight(case: AuxiliaryCase) -> None:
    """Refresh renews buffers only: all weights stay."""
    model = case.model(case.make())
    before = copy.deepcopy(dict(model.named_parameters()))
    case.refreshed(model)
    changed = [n for n, p in model.named_parameters() if not torch.equal(p, before[n])]
    advice = "keep what is renewed in buffers"
    expect(not changed, f"{', '.join(changed)} changed", advice)


@AUXILIARY.add
def a_resumed_training_has_the_same_terms(case: AuxiliaryCase) -> None:
    """Weights, epoch_state and the next refresh are all that the terms depend on."""
    model, other = case.own, case.model(case.make(), seed=9)
    other.load_state_dict(model.state_dict())
    other.epoch_state = copy.deepcopy(model.epoch_state)
    epoch = max(model.warmup, 1)
    with torch.no_grad():
        other.eval().refresh(case.graph, epoch)
        model.eval().refresh(case.graph, epoch)
    found = gap(case.terms(other), case.terms(model))
    advice = "keep state in register_buffer(…, persistent=False), not in attributes"
    expect(not found, found, advice)


@AUXILIARY.add
def a_copy_is_independent(case: AuxiliaryCase) -> None:
    """copy.deepcopy gives equal terms, and shares no weights."""
    other = copy.deepcopy(case.own)
    found = gap(case.terms(other), case.terms(case.own))
    expect(not found, found, "keep no state outside of the module")
    pairs = zip(other.parameters(), case.own.parameters(), strict=True)
    shared = sum(mine.data_ptr() == its.data_ptr() for mine, its in pairs)
    expect(not shared, f"{shared} parameters are shared", "define no __deepcopy__")


@AUXILIARY.add
def options_rebuild_it(case: AuxiliaryCase) -> None:
    """Its options are JSON data or parts, and rebuild one with the same terms."""
    auxiliary = case.make()
    spec = describe(auxiliary)
    expect_json(spec, "take numbers, texts, lists or parts of the package as options")
    again = type(auxiliary)(**copy.deepcopy(auxiliary.options))
    model = case.refreshed(case.model(again))
    model.load_state_dict(case.own.state_dict())
    found = gap(case.terms(case.refreshed(model)), case.terms(case.own))
    expect(not found, found, "read options in __init__ only")


@AUXILIARY.add
def two_of_them_combine(case: AuxiliaryCase) -> None:
    """A model can have it twice: twice the terms, with their own weights."""
    model = case.refreshed(case.model(case.make(), case.make()))
    number, alone = len(case.terms(model)), len(case.terms(case.own))
    advice = "create parameters in attach, one set for each objective"
    expect(number == 2 * alone, f"{number} terms, alone {alone}", advice)
    weights = [
        weight.data_ptr()
        for _, weight in model.auxiliaries.named_parameters(remove_duplicate=False)
    ]
    shared = len(weights) - len(set(weights))
    expect(not shared, f"{shared} parameters are shared", advice)
