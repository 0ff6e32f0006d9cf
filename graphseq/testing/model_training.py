"""Checks of the training of models: losses, structure, run folders."""

import torch

from graphseq.data import by_user
from graphseq.errors import GraphError
from graphseq.evaluation import evaluate
from graphseq.graphs import build_graph
from graphseq.recommend import Recommender
from graphseq.testing.model_case import MODEL, ModelCase, hit_rate
from graphseq.testing.samples import (
    batches,
    changes,
    graph_of,
    ring,
    snapshot,
    test_batch,
)
from graphseq.testing.suite import expect
from graphseq.training.run import WEIGHTS, load_weights


@MODEL.add
def losses_are_named_finite_scalars(case: ModelCase) -> None:
    """There is a finite scalar for each name in losses, and none without parameters."""
    model = case.new()
    with torch.no_grad():
        model.refresh(case.graph, 0)
    before = snapshot(case.graph)
    terms = model.losses(case.training_batch(model), case.graph)
    trained = bool([*model.parameters()])
    advice = "return {name: weighted term}; their sum is minimised"
    expect(bool(terms) == trained, f"{len(terms)} terms", advice)
    for name, term in terms.items():
        right = name.isidentifier() and term.shape == () and term.isfinite()
        expect(right, f"{name!r}: {term}", advice)
    found = ", ".join(changes(case.graph, before))
    expect(not found, f"changed: {found}", "never write into the graph")


@MODEL.add
def every_parameter_has_a_gradient(case: ModelCase) -> None:
    """Over all stages and batches, every parameter has a finite gradient, not zero."""
    model = case.new()
    with torch.no_grad():
        for epoch in range(max(model.warmup, 1) + 1):
            model.refresh(case.graph, epoch)
    model.train()
    for stage in model.stages():
        for batch in batches(model, case.graph, sampler=stage.sampler):
            batch = stage.prepare(batch) if stage.prepare else batch
            for step in stage.steps:
                terms = step.losses(batch, case.graph)
                if terms:
                    torch.stack([*terms.values()]).sum().backward()
    for name, weight in model.named_parameters():
        gradient = weight.grad
        expect(
            gradient is not None and gradient.any() and gradient.isfinite().all(),
            f"{name} has no finite gradient other than zero",
            "use the parameter in a loss, or remove it",
        )


@MODEL.add
def the_seed_decides_weights_and_losses(case: ModelCase) -> None:
    """The same seed gives the same first losses, another one other losses."""
    found = []
    for seed in (3, 3, 4):
        model = case.new(seed=seed)
        with torch.no_grad():
            model.refresh(case.graph, 0)
        torch.manual_seed(seed)
        terms = model.train().losses(case.training_batch(model), case.graph)
        found.append([term.item() for term in terms.values()])
    first, again, other = found
    advice = "draw from torch's global generator"
    expect(first == again, f"losses {first} and {again} with one seed", advice)
    expect(not first or first != other, f"losses {first} with two seeds", advice)


@MODEL.add
def batches_of_one_row_have_finite_losses(case: ModelCase) -> None:
    """Users with few events, in batches of one row, have finite losses."""
    graph = graph_of(ring(6, 6, length=4), case.steps)
    model = case.new(graph)
    with torch.no_grad():
        model.refresh(graph, 0)
    model.train()
    advice = "guard what needs two rows, such as negatives from the batch"
    for batch in batches(model, graph, batch_size=1):
        for name, term in model.losses(batch, graph).items():
            expect(term.isfinite(), f"{name} is {term.item()}", advice)
    finite = model.eval().score(test_batch(model, graph), graph).isfinite().all()
    expect(finite, "scores are not finite", advice)


@MODEL.add
def users_without_training_events_are_ranked_or_refused(case: ModelCase) -> None:
    """With users split, it trains and ranks; a model with user vectors is refused."""
    graph = build_graph(by_user(ring(40)), case.steps)
    model = case.new(graph)
    before = sum(stage.epochs or 0 for stage in model.stages())
    advice = "set has_user_embeddings if rows of a table belong to users"
    try:
        case.train(model, graph, max_epochs=before + 1)
    except GraphError as error:
        expect(model.has_user_embeddings, str(error), advice)
        return
    expect(not model.has_user_embeddings, "users without vectors were accepted", advice)
    value = evaluate(model, graph)["kept"]["NDCG@10"]
    expect(0 <= value <= 1, f"NDCG@10 is {value}", "guard the scores of empty rows")


@MODEL.add
def it_learns_a_planted_structure(case: ModelCase) -> None:
    """It finds the structure of the log that it says it learns."""
    if case.learns == "nothing":
        return
    found = hit_rate(case.trained, case.structured)
    least = 0.9 if case.learns == "order" else 0.35
    chance = 3 / case.structured["item"].num_nodes
    advice = "raise epochs or lr; else look for targets that are shifted by one"
    message = f"HR@3 is {found:.2f}, expected {least} or more (chance is {chance:.2f})"
    expect(found >= least, message, advice)


@MODEL.add
def it_stays_at_chance_without_structure(case: ModelCase) -> None:
    """On shuffled items it does not rank better than chance: nothing leaks."""
    if case.learns == "nothing":
        return
    graph = case.structureless
    model = case.new(graph)
    case.train(model, graph, batch_size=320 if case.learns == "order" else 1024)
    chance = 3 / graph["item"].num_nodes
    most = chance + 4 * (chance * (1 - chance) / len(graph.test.user)) ** 0.5
    found = hit_rate(model, graph)
    message = (
        f"HR@3 is {found:.2f}, expected at most {most:.2f} (chance is {chance:.2f})"
    )
    expect(found < most, message, "read nothing from the held-out events")


@MODEL.add
def a_saved_run_gives_the_same_lists(case: ModelCase) -> None:
    """The weights of a run folder give the lists of the trained model."""
    expected = Recommender(case.trained, case.structured)
    users = expected.users
    assert users is not None
    other = case.new(case.structured, seed=9)
    load_weights(other, case.folder / "run" / WEIGHTS)
    found = Recommender(other, case.structured)
    some = users.ids[:20]
    lists = [r.recommend(some, k=5, history_items="keep") for r in (found, expected)]
    same = lists[0].equals(lists[1])
    expect(same, "other lists after loading", "keep all weights in the state dict")


@MODEL.add
def a_resumed_run_is_bit_equal(case: ModelCase) -> None:
    """A run that was killed in its last epoch ends with the same weights."""
    expected = case.trained.state_dict()
    folder = case.folder / "killed"
    if not folder.is_dir():
        return  # it is not trained
    model = case.new(case.structured, seed=9)
    case.train(model, case.structured, folder=folder, resume=True)
    found = model.state_dict()
    changed = [
        name for name in expected if not torch.equal(found[name], expected[name])
    ]
    advice = "keep what refresh renews in register_buffer(…, persistent=False)"
    expect(not changed, f"different: {', '.join(changed)}", advice)
