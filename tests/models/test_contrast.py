"""The terms of every contrastive model against loops over rows read one by one.

The log has no pattern and rows of three to thirteen items, a batch many lengths; each
row is encoded alone and without padding, every option is off its default, and all is
float64 without dropout. What the views themselves do is told by their effects.
"""

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import Interactions, leave_one_out
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.models import (
    MODELS,
    SRMA,
    CL4SRec,
    CoSeRec,
    DuoRec,
    EC4SRec,
    ICLRec,
    LMA4Rec,
    MCLRec,
    Model,
)
from graphseq.models.backbone import Backbone
from graphseq.models.explaining import importances
from graphseq.models.similarity import most_similar
from graphseq.sequences import Batch, SequenceLoader
from graphseq.sequences.examples import gather
from graphseq.sequences.guided import GuidedAugmentation

SIZES: dict[str, Any] = {"dim": 8, "max_length": 12}


@pytest.fixture(scope="module")
def noise() -> HeteroData:
    """60 users of 3 to 13 events, 20 items, no pattern."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 14, 60)
    time = np.concatenate([np.arange(n) for n in lengths])
    log = Interactions.from_arrays(
        np.repeat(np.arange(60), lengths), rng.integers(0, 20, lengths.sum()), time
    )
    return build_graph(leave_one_out(log), [CoOccurrence("item", weight="iuf")])


def made(cls: type[Model], graph: HeteroData, **options: Any) -> Model:
    """A model in float64 and evaluation mode, its weights far from small."""
    torch.manual_seed(0)
    model = cls(graph["user"].num_nodes, graph["item"].num_nodes, **SIZES, **options)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.4 * torch.randn_like(weight))
    return model.double().eval()


def mixed(model: Model, graph: HeteroData, number: int = 14) -> Batch:
    """Rows of many lengths, drawn at random, with targets."""
    made = SequenceLoader(graph, model.sampler, 16, model.max_length)
    generator = torch.Generator().manual_seed(1)
    rows = torch.randperm(len(made.examples), generator=generator)[:number]
    batch = gather(made.flat, made.examples, rows, model.num_items)
    assert len(batch.lengths.unique()) > 3
    return batch


def vectors(
    backbone: Backbone,
    table: Tensor,
    rows: Batch,
    pooling: str = "last",
    *,
    places: int = 0,
    head: Callable[[Tensor], Tensor] = lambda states: states,
) -> Tensor:
    """A vector of each row, which is read alone and has no padding.

    Side by side (``flatten``), the states of shorter rows stand at the end.
    """
    found = []
    for items, length in zip(rows.items, rows.lengths.tolist(), strict=True):
        alone = Batch(
            torch.tensor([0]), items[None, :length], torch.tensor([length]), len(table)
        )
        states = head(backbone.encoder(backbone.read(table, alone), alone.mask))[0]
        if pooling == "flatten":
            lack = states.new_zeros((places - length) * states.shape[1])
            found.append(torch.cat([lack, states.flatten()]))
        else:
            found.append(states[-1] if pooling == "last" else states.mean(dim=0))
    return torch.stack(found)


def nt(first: Tensor, second: Tensor, temperature: float, spared: Any = None) -> float:
    """NT-Xent, anchor by anchor; ``spared`` tells which rows are no negatives."""
    both, number = [*first.tolist(), *second.tolist()], len(first)

    def similar(i: int, j: int) -> float:
        return sum(map(operator.mul, both[i], both[j])) / temperature

    total = 0.0
    for i in range(2 * number):
        partner = (i + number) % (2 * number)
        among = [partner]
        for j in range(2 * number):
            free = spared is None or not spared[i % number][j % number]
            among += [j] if j not in (i, partner) and free else []
        mass = sum(math.exp(similar(i, j)) for j in among)
        total += math.log(mass) - similar(i, partner)
    return total / (2 * number)


def alike(labels: Sequence[int]) -> list[list[bool]]:
    return [[one == other for other in labels] for one in labels]


def last_targets(batch: Batch) -> list[int]:
    assert batch.targets is not None
    return [
        int(row[n - 1]) for row, n in zip(batch.targets, batch.lengths, strict=True)
    ]


def after(seed: int, draw: Callable[[], Any]) -> Any:
    """What comes of a random function, the same every time."""
    torch.manual_seed(seed)
    return draw()


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[tuple[Batch, ...]]]:
    """Keeps the views that a module draws, in a list."""

    def spy(name: str) -> list[tuple[Batch, ...]]:
        module = import_module(f"graphseq.models.{name}")
        draw, seen = module.random_views, []

        def kept(*arguments: Any, **options: Any) -> tuple[Batch, Batch]:
            seen.append(draw(*arguments, **options))
            return seen[-1]

        monkeypatch.setattr(module, "random_views", kept)
        return seen

    return spy


def widest(views: Sequence[Batch]) -> int:
    return max(view.items.shape[1] for view in views)


def is_(found: Tensor, expected: float) -> None:
    assert expected != 0
    assert found.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("pooling", ["last", "mean", "flatten"])
def test_cl4srec(noise: HeteroData, spied: Any, pooling: Any) -> None:
    rates = {"crop_keep": 0.6, "mask_rate": 0.5, "reorder_rate": 0.6}
    options = {"pooling": pooling, "mask_token": True, "view_targets": True} | rates
    model = made(CL4SRec, noise, temperature=0.7, contrast_weight=0.3, **options)
    seen = spied("cl4srec")
    batch, table = mixed(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    read = partial(vectors, model.backbone, table)
    first, second = (read(v, pooling, places=widest(seen[0])) for v in seen[0])
    is_(terms["contrast"], 0.3 * nt(first, second, 0.7))
    states = torch.cat([read(view) for view in seen[0]])
    chance = (states @ table.T).log_softmax(dim=1)
    wanted = 2 * last_targets(batch)
    losses = [-chance[i, t].item() for i, t in enumerate(wanted)]
    is_(terms["views"], sum(losses) / len(losses))


@pytest.mark.parametrize("cls", [CoSeRec, LMA4Rec])
@pytest.mark.parametrize("pooling", ["mean", "flatten"])
def test_coserec_and_lma4rec(
    noise: HeteroData, spied: Any, cls: type[Model], pooling: Any
) -> None:
    options = {"threshold": 3, "pooling": pooling, "mask_token": True}
    model = made(cls, noise, temperature=0.7, contrast_weight=0.3, **options)
    seen = spied("similarity")
    batch, table = mixed(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    places = widest(seen[0])
    first, second = (
        vectors(model.backbone, table, v, pooling, places=places) for v in seen[0]
    )
    is_(terms["contrast"], 0.3 * nt(first, second, 0.7))


@pytest.mark.parametrize("cls", [CoSeRec, LMA4Rec])
def test_vectors_are_asked_after_the_offline_epochs(
    noise: HeteroData, cls: type[Model]
) -> None:
    model = made(cls, noise, offline_epochs=3, similarity="online")
    table = model.item_vectors(noise).detach()
    expected = {how: most_similar(noise, table, how) for how in ("offline", "online")}
    assert not torch.equal(*expected.values())
    for epoch, how in [(0, "offline"), (2, "offline"), (3, "online"), (9, "online")]:
        model.refresh(noise, epoch)
        assert torch.equal(model.epoch_state["similar"], expected[how]), epoch


@pytest.mark.parametrize("serve", [True, False])
def test_srma(noise: HeteroData, spied: Any, serve: bool) -> None:
    options = {"contrast_weight": 0.3, "complement_weight": 0.4, "temperature": 0.7}
    model = made(SRMA, noise, appended_serve=serve, **options)
    seen = spied("srma")
    batch, table = mixed(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    places, complement = batch.items.shape[1], model.complement
    read = partial(vectors, model.backbone, table, head=model.appended)
    first, second = (read(v, "flatten", places=places) for v in seen[0])
    other = complement.items(noise)
    whole = vectors(complement, other, batch, "flatten", places=places)
    pulled = nt(first, whole, 0.7) + nt(second, whole, 0.7)
    is_(terms["contrast"], 0.3 * nt(first, second, 0.7))
    is_(terms["complement"], 0.3 * 0.4 * pulled)
    head = model.appended if serve else (lambda states: states)
    served = vectors(model.backbone, table, batch, head=head)
    torch.testing.assert_close(model.represent(batch, noise), served)
    losses = []  # at every place of every row
    for items, targets, n in zip(
        batch.items, batch.targets, batch.lengths, strict=True
    ):
        for length in range(1, int(n) + 1):
            part = Batch(
                batch.user[:1], items[None], torch.tensor([length]), len(table)
            )
            scores = vectors(model.backbone, table, part, head=head)[0] @ table.T
            losses.append(-scores.log_softmax(dim=0)[targets[length - 1]].item())
    is_(terms["next_item"], sum(losses) / len(losses))


@pytest.mark.parametrize("fnm", ["none", "intents", "both"])
def test_iclrec(noise: HeteroData, spied: Any, fnm: Any) -> None:
    weights = {"intent_weight": 0.3, "sequence_weight": 0.2, "temperature": 0.7}
    model = made(ICLRec, noise, fnm=fnm, clusters=(4,), **weights)
    model.refresh(noise, 0)
    seen = spied("iclrec")
    batch, table = mixed(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise)
    read = partial(vectors, model.backbone, table)
    own, raw = read(batch, "mean"), model.epoch_state["centroids_0"]
    assert raw.norm(dim=1).std() > 0.05  # so that normalised ones would be others
    which = [int((row - raw).square().sum(dim=1).argmin()) for row in own]
    intents = (raw / raw.norm(dim=1, keepdim=True))[which]
    targets = last_targets(batch)
    assert len(set(targets)) < len(targets)
    newest = alike(targets) if fnm == "both" else None
    shared = None if fnm == "none" else alike(which)
    views = [read(v, "flatten", places=widest(seen[0])) for v in seen[0]]
    is_(terms["sequence"], 0.2 * nt(*views, 0.7, newest))
    halves = [nt(read(v, "mean"), intents, 0.7, shared) for v in seen[0]]
    is_(terms["intent"], 0.3 * sum(halves) / 2)


def apart(first: Tensor, second: Tensor) -> float:
    """R of MCLRec: how far positives and negatives overlap, anchor by anchor."""
    both, number = torch.cat([first, second]), len(first)
    up, down = [], []
    for i in range(2 * number):
        partner = (i + number) % (2 * number)
        own = (both[i] @ both[partner]).item()
        others = [
            (both[i] @ both[j]).item()
            for j in range(2 * number)
            if j not in (i, partner)
        ]
        up.append(max(own - max(others), 0.0))
        down += [max(max(own, *others) - other, 0.0) for other in others]
    return sum(up) / len(up) + sum(down) / len(down)


def test_mclrec(noise: HeteroData, spied: Any) -> None:
    weights = {"cl1_weight": 0.2, "cl2_weight": 0.5, "gamma": 0.07, "gamma2": 0.3}
    model = made(MCLRec, noise, **weights)
    seen = spied("mclrec")
    batch, table = mixed(model, noise), model.item_vectors(noise)
    terms = model.losses(batch, noise) | model.augmenter_losses(batch, noise)
    assert len(seen) == 1  # both steps see the same views
    h1, h2 = (vectors(model.backbone, table, view) for view in seen[0])
    z1, z2 = model.augmenters[0](h1), model.augmenters[1](h2)
    learnt = nt(z1, z2, 1) + nt(h1, z2, 1) + nt(h2, z1, 1)
    overlap = apart(z1, z2) + apart(h1, z2) + apart(h2, z1)
    is_(terms["data_views"], 0.2 * nt(h1, h2, 1))
    is_(terms["learnt_views"], 0.5 * learnt)
    is_(terms["separation"], 0.07 * overlap)
    is_(terms["augmenter_views"], learnt)
    is_(terms["augmenter_separation"], 0.3 * overlap)


def test_mclrecs_learnt_views_teach_the_encoder(noise: HeteroData) -> None:
    model = made(MCLRec, noise)
    model.losses(mixed(model, noise), noise)["learnt_views"].backward()
    assert all(w.grad is not None for w in model.backbone.encoder.parameters())


def repelled(first: Tensor, second: Tensor, negative: Tensor, t: float) -> float:
    """L_cl- of EC4SRec's code, anchor by anchor."""
    every, number, total = [*first, *second, *negative], len(first), 0.0
    for u in range(number):
        mass = sum(
            math.exp((negative[u] @ other).item() / t)
            for place, other in enumerate(every)
            if place != 2 * number + u
        )
        for v in range(number):
            own = (negative[u] @ negative[v]).item() / t
            total += 0.0 if u == v else (math.log(mass) - own) / (number - 1)
    return total / number


@pytest.mark.parametrize("sampler", ["prefix", "targets", "user"])
def test_ec4srec(noise: HeteroData, spied: Any, sampler: Any) -> None:
    weights = {"view_weight": 0.2, "negative_weight": 0.03, "target_weight": 0.4}
    options = {"temperature": 0.7, "negative_temperature": 0.3, "sampler": sampler}
    model = made(EC4SRec, noise, updates=[0], **weights, **options)
    model.refresh(noise, 0)
    batch, seen, table = (
        mixed(model, noise),
        spied("ec4srec"),
        model.item_vectors(noise),
    )
    terms = after(5, lambda: model.losses(batch, noise))
    found = after(5, lambda: model.retrieved(batch, noise))
    both = model.views(batch, noise)
    negative = after(
        5, lambda: (model.retrieved(batch, noise), model.views(batch, noise))
    )
    read = partial(vectors, model.backbone, table)
    first, second = (read(view) for view in seen[0])
    assert len(both) == 3 * len(batch)
    _, _, turned = read(negative[1]).chunk(3)
    is_(terms["same_target"], 0.4 * nt(read(batch), read(found), 0.7))
    is_(terms["views"], 0.2 * nt(first, second, 0.7))
    is_(terms["negative_views"], 0.03 * repelled(first, second, turned, 0.3))


@pytest.mark.parametrize("sampler", ["prefix", "targets", "user"])
def test_ec4srecs_importances_are_those_of_the_row(
    noise: HeteroData, sampler: Any
) -> None:
    model = made(EC4SRec, noise, updates=[0], sampler=sampler)
    model.refresh(noise, 0)
    batch, table = mixed(model, noise), model.item_vectors(noise)
    rows = model.index.of(batch)
    found = importances(model.epoch_state["scores"], model.index, rows, batch)
    for i, n in enumerate(batch.lengths.tolist()):
        x, real = table[batch.items[i, :n]][None], torch.ones(1, n, dtype=torch.bool)
        whole = (model.backbone.encoder(x, real)[0, -1] @ table.T).max()
        for place in range(n):
            less = x.clone()
            less[0, place] = 0
            best = (model.backbone.encoder(less, real)[0, -1] @ table.T).max()
            torch.testing.assert_close(found[i, place], whole - best)


@pytest.mark.parametrize("spared", [True, False])
def test_duorec(noise: HeteroData, spared: bool) -> None:
    options = {"temperature": 0.7, "weight": 0.3, "dropout_weight": 0.2}
    model = made(DuoRec, noise, mode="us", exclude_same_target=spared, **options)
    model.refresh(noise, 0)
    batch, table = mixed(model, noise, 20), model.item_vectors(noise)
    terms = after(5, lambda: model.losses(batch, noise))
    found = after(5, lambda: model.retrieved(model.index.of(batch), model.index))
    targets = last_targets(batch)
    assert len(set(targets)) < len(targets)
    same = alike(targets) if spared else None
    own, other = (vectors(model.backbone, table, rows) for rows in (batch, found))
    is_(terms["same_target"], 0.3 * nt(own, other, 0.7, same))
    is_(terms["dropout_views"], 0.2 * nt(own, own, 0.7, same))


RATES = {"crop_keep": 0.31, "mask_rate": 0.43, "reorder_rate": 0.52}
MORE = {"insert_rate": 0.22, "substitute_rate": 0.64, "threshold": 2}
DRAWN = {  # model: does a window reach the last item, do a row's operators differ
    "CL4SRec": (True, True),
    "MCLRec": (True, True),
    "CoSeRec": (False, False),
    "LMA4Rec": (False, False),
    "SRMA": (False, False),
    "ICLRec": (False, False),
}
LONG, FAR = 20, 100
"""Places of a row, and how far an item's most similar one is from it."""


def operators(model: Model) -> dict[str, Callable[[Batch], Batch]]:
    """What a model draws from, by name."""
    if hasattr(model, "operators"):
        return dict(zip(("crop", "mask", "reorder"), model.operators, strict=True))
    similar, own = torch.arange(model.num_items) + FAR, model.views
    return {
        **dict(zip(("mask", "reorder", "crop"), own.others, strict=True)),
        "insert": partial(own.insert, similar=similar),
        "substitute": partial(own.substitute, similar=similar),
    }


@pytest.mark.parametrize("name", DRAWN)
def test_operators_have_the_rates_and_the_reach_of_their_model(name: str) -> None:
    options = RATES | (MORE if name in ("CoSeRec", "LMA4Rec") else {})
    model = MODELS[name](3, 300, dim=8, max_length=2 * LONG, **options)
    items = torch.arange(LONG).repeat(400, 1)
    batch = Batch(
        torch.zeros(400, dtype=torch.long), items, torch.full((400,), LONG), 300
    )
    torch.manual_seed(0)
    views = {way: draw(batch) for way, draw in operators(model).items()}
    reach, _ = DRAWN[name]
    assert set(views["crop"].lengths.tolist()) == {6}  # of 0.31 times 20
    assert (views["crop"].items[:, 5] == LONG - 1).any() == reach
    changed = {way: views[way].items != items for way in ("mask", "reorder")}
    assert set(changed["mask"].sum(dim=1).tolist()) == {8}
    assert int(changed["reorder"].sum(dim=1).max()) == 10
    assert changed["reorder"][:, -1].any() == reach
    if "insert" in views:
        assert set(views["insert"].lengths.tolist()) == {LONG + 4}
        counts = (views["substitute"].items != items).sum(dim=1)
        assert set(counts.tolist()) == {12}


@pytest.mark.parametrize("name", DRAWN)
def test_two_views_of_a_row_may_be_of_one_kind_or_not(
    noise: HeteroData, spied: Any, name: str
) -> None:
    informed = name in ("CoSeRec", "LMA4Rec")
    model = made(
        MODELS[name], noise, crop_keep=0.34, **({"threshold": 1} if informed else {})
    )
    seen, batch = (
        spied("similarity" if informed else name.lower()),
        mixed(model, noise, 50),
    )
    for _ in range(8):
        model.losses(Batch(**vars(batch)), noise)
    twice = torch.cat(
        [
            (one.lengths < batch.lengths) & (two.lengths < batch.lengths)
            for one, two in seen
        ]
    )
    assert twice.any() == (not DRAWN[name][1])


def test_cl4srec_may_draw_one_kind_twice_and_stop_short(
    noise: HeteroData, spied: Any
) -> None:
    model = made(CL4SRec, noise, crop_keep=0.34, distinct=False, reach_last=False)
    seen, batch = spied("cl4srec"), mixed(model, noise, 50)
    for _ in range(8):
        model.losses(batch, noise)
    pairs = [[view.lengths < batch.lengths for view in views] for views in seen]
    assert torch.cat([one & two for one, two in pairs]).any()
    assert [way.keywords.get("reach_last") for way in model.operators] == [
        False,
        None,
        False,
    ]


@pytest.mark.parametrize("limit, temperature", [(1, 0.3), (512, 1.0)])
def test_ec4srecs_retrieval_has_its_options(
    noise: HeteroData, monkeypatch: pytest.MonkeyPatch, limit: int, temperature: float
) -> None:
    """At a temperature near 0 the best candidate is always drawn."""
    options = {"max_candidates": limit, "utility_temperature": temperature}
    model = made(EC4SRec, noise, updates=[0], clip=True, **options)
    model.refresh(noise, 0)
    module, seen = import_module("graphseq.models.ec4srec"), []
    share = module.shares

    def shares(scores: Tensor, mask: Tensor, *, clip: bool) -> Tensor:
        seen.append((len(scores), clip))
        return share(scores, mask, clip=clip)

    monkeypatch.setattr(module, "shares", shares)
    batch = mixed(model, noise)
    model.retrieved(batch, noise)
    ((number, clip),) = seen
    assert clip
    assert (number <= len(batch)) == (limit == 1)
    assert model.retrieve.keywords["temperature"] == temperature


@pytest.mark.parametrize("spared", [True, False])
def test_ec4srecs_retrieval_may_spare_rows_of_one_target(
    noise: HeteroData, spared: bool
) -> None:
    options = {"variant": "SL", "exclude_same_target": spared, "target_weight": 0.4}
    model = made(EC4SRec, noise, updates=[0], **options)
    model.refresh(noise, 0)
    batch, table = mixed(model, noise, 20), model.item_vectors(noise)
    terms = after(5, lambda: model.losses(batch, noise))
    found = after(5, lambda: model.retrieved(batch, noise))
    targets = last_targets(batch)
    assert len(set(targets)) < len(targets)
    same = alike(targets) if spared else None
    own, other = (vectors(model.backbone, table, rows) for rows in (batch, found))
    is_(terms["same_target"], 0.4 * nt(own, other, 1.0, same))


def test_ec4srecs_second_reading_has_a_dropout_of_its_own(noise: HeteroData) -> None:
    model = made(EC4SRec, noise, updates=[9], variant="SL").train()
    batch = mixed(model, noise)
    read, seen = model.backbone.last, []
    model.backbone.last = lambda *given: seen.append(read(*given)) or seen[-1]
    model.losses(batch, noise)
    own = [states for states in seen if len(states) == len(batch)]
    assert len(own) == 3  # the next item, once more, and what was retrieved
    assert not torch.allclose(own[0], own[1])


@pytest.mark.parametrize("order", ["time", "importance"])
def test_guided_crops_keep_the_order_that_is_asked_for(order: Any) -> None:
    """U-7 (c)."""
    batch = Batch(
        torch.tensor([0]), torch.tensor([[11, 12, 13, 14, 15]]), torch.tensor([5]), 20
    )
    importance = torch.tensor([[0.15, 0.4, 0.05, 0.3, 0.1]])
    guide = GuidedAugmentation(
        important=0.6, unimportant=0.6, order=order, ways=("crop",)
    )
    kept = guide.positive(importance)[0](batch).items[0, :3].tolist()
    left = guide.negative(batch, importance).items[0, :3].tolist()
    if order == "time":
        assert (kept, left) == ([11, 12, 14], [11, 13, 15])
    else:
        assert (kept, left) == ([11, 14, 12], [13, 15, 11])


def test_srmas_appended_layers_drop_at_their_rate(noise: HeteroData) -> None:
    model = made(SRMA, noise, appended=1, dropped=0, appended_dropout=0.8)
    layers = model.appended.train()
    states = torch.randn(1, 4000, 8, dtype=torch.float64)
    with torch.no_grad():
        for name, weight in layers.named_parameters():
            if "norm" not in name:
                weight.zero_()
                weight += name.endswith("bias")  # every answer is gelu(1)
    found, plain = layers(states), layers(states, masking=False)
    some = ((found - plain).abs() > 1e-6).any(dim=-1).double().mean().item()
    assert some == pytest.approx(1 - 0.8**8 - 0.2**8, abs=0.03)  # equal shifts vanish


@pytest.mark.parametrize("sampler", ["prefix", "targets", "user"])
def test_ec4srecs_views_are_guided_by_their_own_rows(
    noise: HeteroData, monkeypatch: pytest.MonkeyPatch, sampler: Any
) -> None:
    model = made(EC4SRec, noise, updates=[0], sampler=sampler)
    model.refresh(noise, 0)
    batch, seen = mixed(model, noise), []
    own = importances(
        model.epoch_state["scores"], model.index, model.index.of(batch), batch
    )
    positive = GuidedAugmentation.positive
    monkeypatch.setattr(
        GuidedAugmentation,
        "positive",
        lambda self, given: seen.append(given) or positive(self, given),
    )
    model.views(batch, noise)
    assert torch.equal(seen[0], own)
