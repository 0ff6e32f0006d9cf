"""Checks of the weights, options and graphs of models."""

import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file

from graphseq.constants import INTERACTS
from graphseq.errors import GraphError
from graphseq.models import Model
from graphseq.models.registry import SUPPLIED, model_table, part_table
from graphseq.schema import Configurable, describe, refuse
from graphseq.spec_reader import Reader
from graphseq.testing.model_case import MODEL, ModelCase
from graphseq.testing.model_scores import apart
from graphseq.testing.samples import graph_of, ring
from graphseq.testing.suite import expect


@MODEL.add
def weights_survive_a_file(case: ModelCase) -> None:
    """A new model with the saved weights has the same scores."""
    other = case.new(seed=9)
    with TemporaryDirectory() as folder:
        save_file(case.model.state_dict(), Path(folder) / "weights")
        other.load_state_dict(load_file(Path(folder) / "weights"))
    found = other.score(case.batch, case.graph)
    expected = case.model.score(case.batch, case.graph)
    advice = "register tensors as parameters or buffers"
    expect(torch.equal(found, expected), apart(found, expected), advice)


@MODEL.add
def its_description_rebuilds_it(case: ModelCase) -> None:
    """describe(model) is JSON data from which an equal model is built."""
    model = case.model
    try:
        spec = json.loads(json.dumps(describe(model)))
    except TypeError as error:
        spec, advice = None, "take numbers, texts, lists or parts as options"
        expect(False, str(error), advice)
    own = {type(p).__name__: type(p) for p in model.modules() if is_part(p)}
    reader = Reader({**part_table(), **own}, SUPPLIED, ignore_supplied=True)
    read = reader.pick({**model_table(), **own}, spec, "model")
    refuse("model", reader.problems)
    assert read is not None
    sizes = {"num_users": model.num_users, "num_items": model.num_items}
    other: Model = read.build(**sizes).eval()
    advice = "read options in __init__ only, and name the sizes num_users, num_items"
    same = describe(other) == describe(model)
    expect(same, f"{describe(other)}, not {describe(model)}", advice)
    for name in ("max_length", "sampler", "num_negatives"):
        mine, its = getattr(model, name), getattr(other, name)
        expect(mine == its, f"{name} is {its!r}, not {mine!r}", advice)
    other.load_state_dict(model.state_dict())
    found, expected = (m.score(case.batch, case.graph) for m in (other, model))
    expect(torch.equal(found, expected), apart(found, expected), advice)


def is_part(module: object) -> bool:
    """Whether a module has options."""
    return isinstance(module, Configurable)


@MODEL.add
def a_copy_is_independent(case: ModelCase) -> None:
    """copy.deepcopy gives an equal model that shares no weights."""
    other = copy.deepcopy(case.model)
    found, expected = (m.score(case.batch, case.graph) for m in (other, case.model))
    advice = "keep tensors in the module, and define no __deepcopy__"
    expect(torch.equal(found, expected), apart(found, expected), advice)
    pairs = zip(other.parameters(), case.model.parameters(), strict=True)
    shared = sum(mine.data_ptr() == its.data_ptr() for mine, its in pairs)
    expect(not shared, f"{shared} parameters are shared", advice)


@MODEL.add
def missing_relations_are_refused(case: ModelCase) -> None:
    """A graph without one of the relations in requires is refused by check."""
    for relation in case.model.requires:
        graph = copy.copy(case.graph)
        del graph[relation]
        advice = "list the relations in requires, and do not override check"
        try:
            case.model.check(graph)
        except GraphError:
            continue
        expect(False, f"a graph without {relation} was accepted", advice)
    needed = [*dict.fromkeys((*case.model.requires, INTERACTS))]
    part = copy.copy(case.graph)
    for relation in case.graph.edge_types:
        if relation not in needed:
            del part[relation]
    advice = "list all relations that it reads in requires"
    try:
        case.model.score(case.batch, part)
    except (KeyError, AttributeError) as error:
        expect(False, f"it reads what it does not declare: {error}", advice)


@MODEL.add
def another_graph_is_refused(case: ModelCase) -> None:
    """A graph with another number of items is refused by check."""
    other = graph_of(ring(NUM_OTHER, NUM_OTHER), case.steps)
    try:
        case.model.check(other)
    except GraphError:
        return
    advice = "set self.num_users and self.num_items, and do not override check"
    expect(False, f"a graph of {NUM_OTHER} items was accepted", advice)


NUM_OTHER = 10
