"""That a choice reaches the part it is for.

An option off its default is looked up where it acts. Dropout is replayed: references
written out below draw the same masks in the same order. The options that the
contrastive models have beside those of their backbone: ``test_contrast.py``.
"""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.data import Interactions, leave_one_out
from graphseq.evaluation import evaluate
from graphseq.graphs import build_graph
from graphseq.models import GCSAN, MCLSR, MODELS, POP, SRGNN, LightGCN, S3Rec
from graphseq.nn import Embedding, Transformer, dropout
from graphseq.nn.transformer import Block
from graphseq.sequences import Batch, SequenceLoader

USERS, ITEMS = 48, 12
FEATURES, READER = Embedding(ITEMS, dim=6), Transformer(6, 50, layers=1)
Choices = dict[str, tuple[Any, str]]
"""Options: a value off the default, and the places where it is to be found."""


def inside(where: str, **values: Any) -> Choices:
    """Options that are found under their own names."""
    return {name: (value, f"{where}{name}") for name, value in values.items()}


HELD: Choices = {  # by a backbone, in which the loader takes no interest
    "dim": (10, "backbone.dim backbone.features.dim backbone.encoder.dim"),
    "max_length": (7, "max_length backbone.max_length"),
    "sampler": ("prefix", "sampler backbone.sampler"),
    "num_negatives": (3, "num_negatives backbone.num_negatives"),
} | inside("backbone.", features=FEATURES, encoder=READER, loss="gbce")
ENCODER = "backbone.encoder.options."
BLOCKS = inside(ENCODER, layers=3, heads=4, inner=20, dropout=0.35, positions="end")
PLACES: Choices = {
    "max_length": (7, "max_length backbone.max_length backbone.encoder.max_length")
}
FREE: Choices = {"dim": (10, "features.dim"), "features": (FEATURES, "features")}
SESSIONS: Choices = {
    "max_length": (7, "max_length"),
    "steps": (3, "states.network.steps"),
    "binary": (False, "states.binary"),
} | FREE
SOFTMAX: Choices = {
    "softmax": ("uniform", "next_item.keywords.softmax"),
    "num_negatives": (30, "num_negatives next_item.keywords.num_negatives"),
    "max_length": (7, "max_length position.shape.0"),
    "sampler": ("user", "sampler"),
}
CHOICES: dict[str, Choices] = {
    "POP": inside("", counts="all"),
    "BPRMF": {"dim": (10, "users.shape.1 items.shape.1")} | inside("", num_negatives=3),
    "LightGCN": {"dim": (10, "nodes.shape.1")}
    | inside("", layers=1, readout="last", decay=0.3, num_negatives=3),
    "GRU4Rec": HELD | inside(ENCODER, hidden=24, layers=2, dropout=0.45, bias=True),
    "SASRec": HELD
    | BLOCKS
    | PLACES
    | inside(ENCODER, norm="query", activation="relu", scale=True),
    "BERT4Rec": HELD
    | BLOCKS
    | PLACES
    | inside(ENCODER, attention_dropout=0.15)
    | inside("", mask_rate=0.45, drawn_by="chance", most_masked=9, last_rate=0.25),
    "S3Rec": HELD
    | PLACES
    | {
        "num_attributes": (5, "parts.attributes.shape.0"),
        "mask_rate": (0.45, "parts.mask_rate"),
        "item_weight": (0.7, "parts.weights.item"),
        "segment_weight": (0.3, "parts.weights.segment"),
        "attribute_weight": (0.4, "parts.weights.attribute"),
        "hidden_attribute_weight": (0.6, "parts.weights.hidden_attribute"),
        "pretrain_epochs": (2, "stages.0.epochs"),
        "pretrain_batch_size": (30, "stages.0.batch_size"),
        "pretrain_sampler": ("user", "stages.0.sampler"),
    },
    "DSSRec": HELD
    | inside("", keep=0.3, item_weight=0.7, sequence_weight=0.6, serve="prototypes")
    | {
        "max_length": (7, "max_length disentangle.position.shape.0"),
        "prototypes": (3, "disentangle.centres.shape.0"),
        "pretrain_epochs": (2, "stages.0.epochs"),
    },
    "ComiRec": SOFTMAX
    | FREE
    | {
        "interests": (3, "interests attention.outer.out_features"),
        "hidden": (20, "attention.inner.out_features"),
    },
    "SRGNN": SESSIONS,
    "GCSAN": SESSIONS
    | {
        "layers": (3, "attention.__len__"),
        "heads": (4, "attention.0.heads"),
        "inner": (20, "attention.0.up.out_features attention.0.down.in_features"),
        "dropout": (
            0.35,
            "attention.0.dropout.probability attention.0.attention_dropout",
        ),
        "weight": (0.9, "weight"),
    },
    "MCLSR": SOFTMAX
    | {"dim": (10, "users.shape.1 items.shape.1 position.shape.1")}
    | inside("encoder.", layers=1, readout="mean")
    | {"graph_dropout": (0.3, "encoder.dropout")}
    | inside("", alpha=0.2, interest_weight=0.7, user_weight=0.3, item_weight=0.2)
    | inside("", mask_same_user=False, key_dropout=0.2, max_contrast_items=9)
    | inside(
        "contrast.keywords.", temperature=0.7, similarity="dot", scheme="symmetric"
    ),
}
APART = {"variant": "S3Rec", "bias": "SRGNN", "shared_head": "MCLSR"}
APART |= {"positions": "MCLSR", "target_edges": "MCLSR"}
"""Options that have a test of their own, MCLSR's in ``test_mclsr.py``."""

BESIDE: dict[str, dict[str, Any]] = {  # what a choice, or a model, takes with it
    "num_negatives": {"loss": "bce", "softmax": "uniform"},
    "serve": {"sampler": "prefix"},
    "S3Rec": {"variant": "full", "num_attributes": 4},
}


def defaults(name: str) -> dict[str, Any]:
    parameters = inspect.signature(MODELS[name]).parameters.items()
    found = {name: p.default for name, p in parameters}
    return {n: d for n, d in found.items() if n not in ("num_users", "num_items")}


HOLDING = [name for name in MODELS if {"loss", "sampler"} <= set(defaults(name))]
PAIRS = [(name, option) for name, choices in CHOICES.items() for option in choices]
PAIRS += [(name, option) for name in HOLDING if name not in CHOICES for option in HELD]
PAIRS = [(name, option) for name, option in PAIRS if option in defaults(name)]


def at(thing: Any, place: str) -> Any:
    """What stands at a place: attributes, keys and indices, with dots between."""
    for step in place.split("."):
        if isinstance(thing, Mapping):
            thing = thing[step]
        else:
            thing = thing[int(step)] if step.isdigit() else getattr(thing, step)
        thing = thing() if inspect.ismethod(thing) else thing
    return thing


@pytest.mark.parametrize("name, option", PAIRS)
def test_an_option_arrives(name: str, option: str) -> None:
    value, places = CHOICES.get(name, HELD)[option]
    known, value = defaults(name), deepcopy(value)
    if option == "sampler" and known[option] == value:
        value = "targets"
    assert known[option] != value
    beside = BESIDE.get(name, {}) | BESIDE.get(option, {})
    given = {n: v for n, v in beside.items() if n in known} | {option: value}
    model = MODELS[name](USERS, ITEMS, **given)
    for place in places.split():
        found = at(model, place)
        assert found is value or found == value, place


@pytest.mark.parametrize("name", CHOICES)
def test_no_option_is_left_out(name: str) -> None:
    apart = {option for option, owner in APART.items() if owner == name}
    assert set(defaults(name)) <= set(CHOICES[name]) | apart


@pytest.mark.parametrize("name", [m for m in MODELS if "mask_token" in defaults(m)])
def test_masked_items_read_a_vector_of_their_own_where_chosen(name: str) -> None:
    for chosen in (True, False):
        model = MODELS[name](USERS, ITEMS, mask_token=chosen)
        assert (model.backbone.token is not None) == chosen


@pytest.mark.parametrize("name", ["BERT4Rec", "S3Rec"])
def test_models_that_fill_in_have_a_vector_for_what_is_hidden(name: str) -> None:
    backbone = MODELS[name](USERS, ITEMS, dim=6).backbone
    items = torch.tensor([[3, ITEMS, 5, ITEMS]])
    batch = Batch(torch.tensor([0]), items, torch.tensor([3]), ITEMS)
    table = torch.randn(ITEMS, 6)
    expected = torch.stack([table[3], backbone.token, table[5], torch.zeros(6)])
    assert torch.equal(backbone.read(table, batch)[0], expected)


@pytest.mark.parametrize(
    "variant, tasks",
    [
        ("MIP", ["item"]),
        ("ISP", ["item", "segment"]),
        ("full", ["item", "segment", "attribute", "hidden_attribute"]),
    ],
)
def test_s3recs_variants_learn_their_tasks(variant: str, tasks: list[str]) -> None:
    model = S3Rec(USERS, ITEMS, variant=variant, num_attributes=4)
    assert [*model.parts.weights] == [*model.parts.maps] == tasks


def test_only_sr_gnns_messages_have_a_bias_of_their_own_and_by_choice() -> None:
    biased, plain = SRGNN(USERS, ITEMS), SRGNN(USERS, ITEMS, bias=False)
    assert biased.states.network.bias is not None
    assert plain.states.network.bias is None
    assert GCSAN(USERS, ITEMS).states.network.bias is None


@pytest.mark.parametrize("shared", [True, False])
def test_mclsrs_interests_go_through_their_own_heads(
    cycle: HeteroData, shared: bool
) -> None:
    torch.manual_seed(0)
    model = MCLSR(USERS, ITEMS, dim=6, max_length=8, shared_head=shared)
    assert (model.general_head is None) == shared
    (batch,) = SequenceLoader(cycle, "targets", 10_000, 8)
    read: dict[str, list[Tensor]] = {"current_head": [], "general_head": []}
    for name, seen in read.items():
        if (head := getattr(model, name)) is not None:
            head.register_forward_hook(lambda _, x, y, seen=seen: seen.append(x[0]))
    model.losses(batch, cycle)["interest"].backward()
    counts = [len(seen) for seen in read.values()]
    assert counts == ([2, 0] if shared else [1, 1])
    heads = [p for n, p in model.named_parameters() if n.split(".")[0] in read]
    assert all(p.grad is not None and p.grad.any() for p in heads)


# --- Dropout, replayed ----------------------------------------------------------------


def block(
    part: Block,
    x: Tensor,
    context: Tensor,
    allowed: Tensor,
    hidden: float,
    attention: float,
    *,
    pre: bool = False,
) -> Tensor:
    """A layer with its masks drawn anew: of the weights, and of both outputs."""

    def heads(states: Tensor, which: int) -> Tensor:
        weight, bias = part.qkv.weight.chunk(3)[which], part.qkv.bias.chunk(3)[which]
        return F.linear(states, weight, bias).unflatten(2, (part.heads, -1))

    read, around = (part.norm1(x), part.norm1(context)) if pre else (x, context)
    q, k, v = heads(read, 0), heads(around, 1), heads(around, 2)
    logits = torch.einsum("bqhd,blhd->bhql", q, k) / q.shape[-1] ** 0.5
    weights = logits.masked_fill(~allowed, -torch.inf).softmax(dim=3)
    weights = dropout(weights, attention, True)
    mixed = part.out(torch.einsum("bhql,blhd->bqhd", weights, v).flatten(2))
    x = x + dropout(mixed, hidden, True)
    x = x if pre else part.norm1(x)
    fed = part.down(F.gelu(part.up(part.norm2(x) if pre else x)))
    x = x + dropout(fed, hidden, True)
    return x if pre else part.norm2(x)


def rows(dim: int) -> tuple[Tensor, Tensor]:
    mask = torch.arange(5) < torch.tensor([[5], [3], [1]])
    return torch.randn(3, 5, dim).double() * mask[..., None], mask


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "hidden, attention", [(0.4, 0.2), (0.3, None), (0.5, 0.0), (0.0, 0.5)]
)
@torch.no_grad()
def test_dropout_falls_where_the_equations_have_it(
    norm: str, causal: bool, hidden: float, attention: float | None
) -> None:
    torch.manual_seed(0)
    options = {"dropout": hidden, "attention_dropout": attention, "norm": norm}
    model = Transformer(6, 8, layers=2, causal=causal, **options).double().train()
    for weight in model.parameters():
        weight.add_(0.5 * torch.randn_like(weight))
    x, mask = rows(6)
    own = mask.sum(dim=1) - 1
    seen = mask[:, None, None, :] | torch.eye(5, dtype=torch.bool)
    seen = seen & torch.ones(5, 5).tril().bool() if causal else seen
    rates = hidden, hidden if attention is None else attention

    def replayed(last: bool) -> Tensor:
        torch.manual_seed(1)
        h = dropout(model.norm(x + model.position[:5]), hidden, True)
        for i, part in enumerate(model.blocks):
            if last and i == 1:
                at_last, before = h[torch.arange(3), own][:, None], mask[:, None, None]
                h = block(part, at_last, h, before, *rates, pre=norm == "pre")
            else:
                h = block(part, h, h, seen, *rates, pre=norm == "pre")
        h = model.final(h) if norm == "pre" else h
        return h[:, 0] if last else h * mask[..., None]

    for last, read in ((False, model.forward), (True, model.last)):
        torch.manual_seed(1)
        torch.testing.assert_close(read(x, mask), replayed(last))


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_gcsan_mixes_its_two_states_and_drops_in_its_blocks(layers: int) -> None:
    """Six tenths attention, of the last place; four of the graph's state there."""
    torch.manual_seed(0)
    model = GCSAN(1, ITEMS, dim=8, layers=layers, heads=2, dropout=0.35)
    model = model.double().train()
    for weight in model.parameters():
        weight.add_(0.3 * torch.randn_like(weight))
    for row in ([4, 5, 4, 6, 1], [7], [2, 2, 9]):
        batch = Batch(
            torch.tensor([0]), torch.tensor([row]), torch.tensor([len(row)]), ITEMS
        )
        states = deep = model.states(model.features.weight, batch.items, batch.lengths)
        torch.manual_seed(1)
        found = model.represent(batch, HeteroData())
        torch.manual_seed(1)
        causal = torch.ones(len(row), len(row)).tril().bool()
        *before, final = model.attention
        for part in before:
            deep = block(part, deep, deep, causal, 0.35, 0.35)
        own = block(final, deep[:, -1:], deep, causal[-1:], 0.35, 0.35)[:, 0]
        torch.testing.assert_close(found, 0.6 * own + 0.4 * states[:, -1])


def test_lightgcn_decays_by_a_ten_thousandth(cycle: HeteroData) -> None:
    model = LightGCN(USERS, ITEMS, dim=6)
    (batch,) = SequenceLoader(cycle, "pairs", 10_000, 8, num_negatives=2)
    lengths = model.nodes.detach().square().sum(dim=1).tolist()
    asked = torch.cat([batch.targets[:, :1], batch.negatives[:, 0]], dim=1)
    total = 0.0
    for user, items in zip(batch.user.tolist(), asked.tolist(), strict=True):
        total += lengths[user] + sum(lengths[USERS + item] for item in items)
    found = model.losses(batch, cycle)["decay"].item()
    assert found == pytest.approx(1e-4 * total / 2 / len(batch), rel=1e-4)


# --- Whose history a target is looked up in -------------------------------------------


def test_a_target_is_known_only_from_its_own_users_history() -> None:
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(30), rng.integers(3, 12, 30))
    item, time = rng.integers(0, 15, len(user)), np.arange(len(user))
    graph = build_graph(leave_one_out(Interactions.from_arrays(user, item, time)))
    held = graph.test
    own = []
    for row in range(len(held.user)):
        history = held.history[held.history_ptr[row] : held.history_ptr[row + 1]]
        for target in held.target[held.target_ptr[row] : held.target_ptr[row + 1]]:
            own.append(target.item() in history.tolist())
    assert 0 < sum(own) < len(own)
    model = POP(graph["user"].num_nodes, graph["item"].num_nodes)
    facts = evaluate(model, graph).facts
    assert facts["known_targets"] == pytest.approx(sum(own) / len(own))
