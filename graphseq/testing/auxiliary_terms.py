"""Checks of the terms of auxiliary objectives: values, gradients, other parts."""

import copy
from collections.abc import Callable

import torch

from graphseq.errors import ConfigError
from graphseq.models import Auxiliary
from graphseq.nn import GRU, Encoder, Transformer
from graphseq.sequences.samplers import SequenceSampler
from graphseq.testing.auxiliary_case import AUXILIARY, DIM, AuxiliaryCase
from graphseq.testing.samples import (
    batches,
    test_batch,
)
from graphseq.testing.suite import expect


@AUXILIARY.add
def it_is_an_auxiliary_with_terms(case: AuxiliaryCase) -> None:
    """It is an Auxiliary with a term, in the joint training or in an earlier stage."""
    auxiliary = case.make()
    advice = "derive the class from graphseq.models.Auxiliary, and define terms"
    expect(isinstance(auxiliary, Auxiliary), f"a {type(auxiliary).__name__}", advice)
    expect(case.all_terms(case.own), "no term in any stage", advice)


@AUXILIARY.add
def terms_are_named_finite_scalars(case: AuxiliaryCase) -> None:
    """Terms have an identifier as a name, the shape (), and a finite value."""
    for name, term in case.all_terms(case.own).items():
        _, _, short = name.partition(" ")
        advice = "name terms like columns of a table: they are logged"
        expect(short.isidentifier(), f"a term named {short!r}", advice)
        shape = tuple(getattr(term, "shape", ("no tensor",)))
        expect(shape == (), f"{short} has the shape {shape}", "return a mean")
        advice = "guard logarithms, divisions and empty sets"
        expect(term.isfinite(), f"{short} is {term.item()}", advice)


@AUXILIARY.add
def gradients_reach_the_backbone(case: AuxiliaryCase) -> None:
    """The terms have a gradient for weights of the backbone."""
    model = case.refreshed(case.model(case.make()))
    total = sum(case.all_terms(model).values(), torch.zeros(()))
    if total.requires_grad:
        total.backward()
    weights = [p.grad for p in model.backbone.parameters() if p.grad is not None]
    advice = "read encoding.states or encoding.items without detach"
    expect(any(w.any() for w in weights), "no weight of it has a gradient", advice)


@AUXILIARY.add
def every_own_parameter_has_a_gradient(case: AuxiliaryCase) -> None:
    """Every parameter of the objective has a finite gradient that is not zero."""
    model = case.refreshed(case.model(case.make()))
    terms = [case.all_terms(model), case.terms(model, seed=2)]
    total = sum((t for found in terms for t in found.values()), torch.zeros(()))
    if total.requires_grad:
        total.backward()
    for name, weight in model.auxiliaries.named_parameters():
        gradient = weight.grad
        expect(
            gradient is not None and gradient.any() and gradient.isfinite().all(),
            f"{name.partition('.')[2]} has no finite gradient other than zero",
            "use the parameter in a term, or remove it",
        )


@AUXILIARY.add
def the_next_item_loss_stays(case: AuxiliaryCase) -> None:
    """The next-item loss is that of a model without the objective."""
    losses = []
    for model in (case.model(), case.refreshed(case.model(case.make()))):
        model.train()
        torch.manual_seed(1)
        losses.append(model.losses(case.batch(model), case.graph)["next_item"].item())
    advice = "change nothing of the backbone, its modes included"
    expect(losses[0] == losses[1], f"{losses[1]:.8g}, without {losses[0]:.8g}", advice)


@AUXILIARY.add
def ranking_stays(case: AuxiliaryCase) -> None:
    """Before training, the scores are those of a model without the objective."""
    scores = [
        m.eval().score(test_batch(m, case.graph), case.graph)
        for m in (case.model(), case.own)
    ]
    same = torch.equal(*scores)
    advice = "create parameters in attach, and change none of the backbone"
    expect(same, f"scores differ by {(scores[0] - scores[1]).abs().max():.2g}", advice)


@AUXILIARY.add
def a_weight_of_zero_leaves_no_term(case: AuxiliaryCase) -> None:
    """With its options named weight or …_weight at 0, all terms are 0 or absent."""
    auxiliary = case.make()
    names = [n for n in auxiliary.options if n == "weight" or n.endswith("_weight")]
    if not names:
        return  # it has no weight
    options = {**copy.deepcopy(auxiliary.options), **dict.fromkeys(names, 0.0)}
    model = case.refreshed(case.model(type(auxiliary)(**options)))
    left = [name for name, term in case.terms(model).items() if term.item()]
    advice = f"multiply the terms by {', '.join(names)}"
    expect(not left, f"{', '.join(left)} is not 0", advice)


@AUXILIARY.add
def a_batch_of_one_row_is_read(case: AuxiliaryCase) -> None:
    """A batch of one row has finite terms, or none."""
    loader = batches(case.own, case.graph, sampler="user", batch_size=1)
    case.own.train()
    for name, term in case.own.losses(loader[0], case.graph).items():
        advice = "guard what has no negatives: a row alone has none"
        expect(term.isfinite(), f"{name} is {term.item()}", advice)


@AUXILIARY.add
def every_sampler_is_read(case: AuxiliaryCase) -> None:
    """Rows of each sampler (targets, user, prefix) have finite terms."""
    samplers: tuple[SequenceSampler, ...] = ("targets", "user", "prefix")
    for sampler in samplers:
        try:
            model = case.model(case.make(), sampler=sampler)
        except ConfigError:
            continue  # refused, with a message
        model = case.refreshed(model)
        advice = "set every_position = True if encoding.states is read"
        try:
            terms = case.terms(model)
        except (RuntimeError, ValueError, IndexError) as error:
            expect(False, f"sampler {sampler!r}: {error}", advice)
        bad = [name for name, term in terms.items() if not term.isfinite()]
        expect(not bad, f"sampler {sampler!r}: {bad} not finite", advice)


@AUXILIARY.add
def every_encoder_is_read_or_refused(case: AuxiliaryCase) -> None:
    """On a GRU and on a Transformer, terms are finite, or the encoder is refused."""
    kinds: tuple[Callable[[], Encoder], ...] = (
        lambda: GRU(DIM, hidden=DIM),
        lambda: Transformer(DIM, layers=1),
    )
    for encoder in kinds:
        try:
            model = case.model(case.make(), encoder=encoder)
        except ConfigError:
            continue  # refused, with a message
        terms = case.terms(case.refreshed(model))
        bad = [name for name, term in terms.items() if not term.isfinite()]
        advice = "read states only, or override check_encoder"
        expect(not bad, f"{type(model.backbone.encoder).__name__}: {bad}", advice)
