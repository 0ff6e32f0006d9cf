"""What every auxiliary objective must do: terms, gradients, state, other parts."""

import copy
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.graphs import part_of
from graphseq.models import Auxiliary, Backbone, SequenceModel
from graphseq.nn import GRU, Encoder, Transformer
from graphseq.schema import describe
from graphseq.sequences import Batch
from graphseq.sequences.samplers import SequenceSampler
from graphseq.testing.samples import (
    batches,
    changes,
    graph_of,
    ring,
    snapshot,
    test_batch,
)
from graphseq.testing.suite import Suite, expect

Terms = dict[str, Tensor]
NUM_USERS, NUM_ITEMS, DIM, LENGTH = 24, 12, 8, 6


@dataclass(frozen=True)
class AuxiliaryCase:
    """An objective, and models that have it.

    Attributes:
        make: Returns a new objective on each call.
        encoder: Returns the encoder of width 8 that it needs.
        sampler: The sampler of the backbone.
    """

    make: Callable[[], Auxiliary]
    encoder: Callable[[], Encoder] | None = None
    sampler: SequenceSampler = "targets"

    @cached_property
    def graph(self) -> HeteroData:
        """24 users who walk a ring of 12 items, with three relations."""
        return graph_of(ring(NUM_USERS, NUM_ITEMS, 8))

    def model(
        self,
        *auxiliaries: Auxiliary,
        seed: int = 0,
        encoder: Callable[[], Encoder] | None = None,
        sampler: SequenceSampler | None = None,
    ) -> SequenceModel:
        """A model in evaluation mode; the seed decides the weights of its backbone."""
        torch.manual_seed(seed)
        make_encoder = encoder or self.encoder or (lambda: GRU(DIM, hidden=DIM))
        backbone = Backbone(
            NUM_ITEMS,
            encoder=make_encoder(),
            max_length=LENGTH,
            sampler=sampler or self.sampler,
        )
        return SequenceModel(NUM_USERS, backbone, auxiliaries).eval()

    def refreshed(self, model: SequenceModel) -> SequenceModel:
        """The model as in the first epoch in which all of its terms count."""
        with torch.no_grad():
            for epoch in range(max(model.warmup, 1) + 1):
                model.eval().refresh(self.graph, epoch)
        return model

    @cached_property
    def own(self) -> SequenceModel:
        """The model with the objective that most checks read, refreshed."""
        return self.refreshed(self.model(self.make()))

    def batch(self, model: SequenceModel) -> Batch:
        """The first training batch."""
        return batches(model, self.graph, batch_size=32)[0]

    def terms(
        self, model: SequenceModel, graph: HeteroData | None = None, seed: int = 1
    ) -> Terms:
        """The terms of the first batch in training mode, without the next item."""
        graph = self.graph if graph is None else graph
        model.train()
        torch.manual_seed(seed)
        terms = model.losses(self.batch(model), graph)
        return {name: term for name, term in terms.items() if name != "next_item"}

    def all_terms(self, model: SequenceModel) -> Terms:
        """The terms of all stages, without the next item."""
        model.train()
        torch.manual_seed(1)
        found: Terms = {}
        for number, stage in enumerate(model.stages()):
            sampler = stage.sampler or model.sampler
            batch = batches(model, self.graph, sampler=sampler)[0]
            batch = stage.prepare(batch) if stage.prepare else batch
            for step in stage.steps:
                for name, term in step.losses(batch, self.graph).items():
                    if name != "next_item":
                        found[f"{number} {name}"] = term
        return found


AUXILIARY = Suite(AuxiliaryCase)


def gap(found: Terms, expected: Terms) -> str:
    """How terms differ, as text; empty if they are equal."""
    if found.keys() != expected.keys():
        return f"terms {[*found]}, expected {[*expected]}"
    for name, term in expected.items():
        if not torch.equal(found[name], term):
            return f"{name} is {found[name].item():.8g}, expected {term.item():.8g}"
    return ""


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
def the_seed_decides_the_terms(case: AuxiliaryCase) -> None:
    """The same weights and the same seed give the same terms."""
    found = gap(case.terms(case.own), case.terms(case.own))
    advice = "draw from torch's global generator, and keep no state between batches"
    expect(not found, found, advice)


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
    try:
        same = json.loads(json.dumps(spec)) == spec
    except TypeError:
        same = False
    advice = "take numbers, texts, lists or parts of the package as options"
    expect(same, f"{spec} is not JSON data", advice)
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


def check_auxiliary(
    make: Callable[[], Auxiliary],
    *,
    encoder: Callable[[], Encoder] | None = None,
    sampler: SequenceSampler = "targets",
    skip: Collection[str] = (),
) -> None:
    """Check an auxiliary objective; :func:`checks` lists what must hold.

    Args:
        make: Returns a new objective on each call, such as ``MyLoss``.
        encoder: Returns the encoder of width 8 that it needs; by default a ``GRU``.
        sampler: The sampler of the backbone.
        skip: Names of checks that do not apply to it.

    Raises:
        CheckError: With all checks that failed.
    """
    AUXILIARY.run(make, skip=skip, encoder=encoder, sampler=sampler)
