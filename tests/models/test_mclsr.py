"""MCLSR against the numbers of the specification and a second implementation."""

import math
from copy import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.models import MCLSR
from graphseq.schema import OptionError
from graphseq.sequences import Batch, SequenceLoader

Tables = tuple[Tensor, Tensor]
W1 = [[1, 0], [0, 1], [1, 1], [1, -1], [0.5, 0], [0, 0.5], [0.5, 0.5], [-0.5, 0.5]]
W2 = [[0.1, 0.2, 0.3, 0.4, -0.1, -0.2, -0.3, -0.4]]
W3 = [[1, 0.5], [0, 1]]
HEAD = [[[1.0, -1], [0.5, 2]], [0.1, -0.2], [[2.0, 0], [1, 1]], [0, 0.3]]
CASE_A = Batch(
    user=torch.tensor([0, 1]),
    items=torch.tensor([[0], [1]]),
    lengths=torch.tensor([1, 1]),
    num_items=4,
    targets=torch.tensor([[1], [2]]),
)


def micro(tables: Tables, layers: int) -> MCLSR:
    """The model of 6.7; one head serves all levels there."""
    given = {"positions": "recency", "sampler": "prefix", "max_length": 2}
    model = MCLSR(3, 4, dim=2, layers=layers, **given).double()
    values = [
        (model.users, tables[0]),
        (model.items, tables[1] / 4),
        (model.position, torch.tensor([[0.1, 0.2], [0.3, -0.1]])),
        (model.current.inner.weight, torch.tensor(W1)),
        (model.current.outer.weight, torch.tensor(W2)),
        (model.general.query.weight, torch.tensor(W3)),
    ]
    for contrast in (model.interest_contrast, model.user_contrast, model.item_contrast):
        head = contrast.first
        parts = [head.inner.weight, head.inner.bias, head.outer.weight, head.outer.bias]
        values += zip(parts, map(torch.tensor, HEAD), strict=True)
    with torch.no_grad():
        for parameter, value in values:
            parameter.copy_(value)
    return model


NUMBERS = [
    (0, 1.52183150, 1.08696605, 0.23558529, 1.08696605, 2.67492512),
    (1, 1.52862563, 1.43127903, 1.14617684, 1.05327940, 3.06987748),
    (2, 1.56141851, 1.09401137, 0.74923484, 1.09870114, 2.74782668),
]


@pytest.mark.parametrize("layers, predict, interest, users, items, total", NUMBERS)
def test_objective_of_the_specification(
    t1: HeteroData,
    t1_tables: Tables,
    layers: int,
    predict: float,
    interest: float,
    users: float,
    items: float,
    total: float,
) -> None:
    """6.7, case A: every term and their sum."""
    terms = micro(t1_tables, layers).losses(CASE_A, t1)
    assert terms["next_item"].item() == pytest.approx(predict, abs=1e-6)
    assert terms["interest"].item() == pytest.approx(interest, abs=1e-6)
    assert terms["user"].item() == pytest.approx(0.05 * users, abs=1e-6)
    assert terms["item"].item() == pytest.approx(0.05 * items, abs=1e-6)
    assert sum(terms.values()).item() == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize(
    "layers, expected",
    [
        (0, [[0.25, 0.5], [0.75, 1]]),
        (1, [[0.70710678, 0], [0.98559856, 0.98559856]]),
        (2, [[0.34150635, 0.53867513], [0.93301270, 1.24401694]]),
    ],
)
def test_general_interest_of_the_specification(
    t1: HeteroData, t1_tables: Tables, layers: int, expected: list[list[float]]
) -> None:
    model = micro(t1_tables, layers)
    nodes = torch.cat([model.users, model.items])
    both = model.encoder(t1, INTERACTS, nodes, torch.tensor([0, 1, 3, 4]))
    found = model.general(both[:2], both[2:, None], CASE_A.mask)
    tolerance = {"rtol": 0, "atol": 1e-7}
    torch.testing.assert_close(found, torch.tensor(expected).double(), **tolerance)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_scores_of_the_specification(
    t1: HeteroData, t1_tables: Tables, layers: int
) -> None:
    model = micro(t1_tables, layers)
    current = [[0.25, 0.5], [0.75, 1]]
    assert model.represent(CASE_A, t1).tolist() == current
    scores = [[0.3125, 0.6875, 1.0625, 1.4375], [0.6875, 1.5625, 2.4375, 3.3125]]
    assert model.score(CASE_A, t1).tolist() == scores


# --- A second implementation: loops over rows, prefixes and pairs, dense graphs -------


def dense(graph: HeteroData, relation: tuple[str, str, str]) -> Tensor:
    nodes = [graph[kind].num_nodes for kind in ("user", "item")]
    if relation == INTERACTS:
        a = torch.zeros(sum(nodes), sum(nodes), dtype=torch.float64)
        for u, i in graph[relation].edge_index.T.tolist():
            a[u, nodes[0] + i] = a[nodes[0] + i, u] = 1
    else:
        a = torch.zeros([graph[relation[0]].num_nodes] * 2, dtype=torch.float64)
        weights = graph[relation].edge_weight.tolist()
        edges = graph[relation].edge_index.T.tolist()
        for (i, j), weight in zip(edges, weights, strict=True):
            a[i, j] = weight
    degree = a.sum(dim=1)
    root = torch.where(degree > 0, degree.clamp(min=1e-9) ** -0.5, 0)
    return root[:, None] * a * root


def propagated(x: Tensor, a: Tensor, layers: int, readout: str) -> Tensor:
    steps = [x]
    for _ in range(layers):
        steps.append(a @ steps[-1])
    return steps[-1] if readout == "last" else sum(steps) / len(steps)


def projected(model: MCLSR, head: str, rows: list[Tensor]) -> list[Tensor]:
    w = {n: p for n, p in model.named_parameters() if n.startswith(head)}
    out = []
    for x in rows:
        x = w[f"{head}.inner.weight"] @ x + w[f"{head}.inner.bias"]
        x = torch.where(x > 0, x, x.exp() - 1)
        out.append(w[f"{head}.outer.weight"] @ x + w[f"{head}.outer.bias"])
    return out


def contrast(
    a: list[Tensor], b: list[Tensor], identity: list[int], temperature: float
) -> float:
    """Eq. (8) anchor by anchor: cosine, one-sided; no negatives of one identity."""

    def psi(x: Tensor, y: Tensor) -> float:
        cosine = (x @ y / (x.norm() * y.norm()).clamp(min=1e-12)).item()
        return math.exp(cosine / temperature)

    total = 0.0
    for i in range(len(a)):
        mass = psi(a[i], b[i])
        for j in range(len(a)):
            if identity[j] != identity[i]:
                mass += psi(a[i], b[j]) + psi(a[i], a[j])
        total -= math.log(psi(a[i], b[i]) / mass)
    return total / len(a)


def softmax_mean(logits: list[Tensor], values: list[Tensor]) -> Tensor:
    weights = torch.stack(logits).exp()
    return sum(w / weights.sum() * v for w, v in zip(weights, values, strict=True))


def naive(model: MCLSR, batch: Batch, graph: HeteroData) -> dict[str, float]:
    w = dict(model.named_parameters())
    users, items, table = w["users"], w["items"], w["position"]
    steps = model.options["layers"], model.options["readout"]
    both = propagated(torch.cat([users, items]), dense(graph, INTERACTS), *steps)
    user_ui, item_ui = both[: len(users)], both[len(users) :]
    user_uu = propagated(users, dense(graph, USER_CO_OCCURS), *steps)
    item_ii = propagated(items, dense(graph, ITEM_CO_OCCURS), *steps)
    currents, generals, owners, predict = [], [], [], 0.0
    for row in range(len(batch)):
        user = int(batch.user[row])
        history = batch.items[row, : batch.lengths[row]].tolist()
        for position, target in enumerate(batch.targets[row, : len(history)].tolist()):
            if target == batch.num_items:
                continue
            prefix, logits, scores = history[: position + 1], [], []
            for t, item in enumerate(prefix):
                step = position - t if model.recency else t
                hidden = torch.tanh(
                    w["current.inner.weight"] @ (items[item] + table[step])
                )
                logits.append((w["current.outer.weight"] @ hidden)[0])
                query = torch.tanh(w["general.query.weight"] @ user_ui[user])
                scores.append(query @ item_ui[item])
            currents.append(softmax_mean(logits, [items[i] for i in prefix]))
            generals.append(softmax_mean(scores, [item_ui[i] for i in prefix]))
            owners.append(user)
            blend = model.alpha * currents[-1] + (1 - model.alpha) * generals[-1]
            mass = sum(math.exp((blend @ h).item()) for h in items)
            predict -= math.log(math.exp((blend @ items[target]).item()) / mass)
    seen = sorted({i for i in batch.items.flatten().tolist() if i != batch.num_items})
    unique = sorted(set(owners))
    views = {
        "interest": [
            projected(model, "interest_contrast.first", currents),
            projected(model, "interest_contrast.first", generals),
            owners,
        ],
        "user": [
            projected(model, "user_contrast.first", [user_ui[u] for u in unique]),
            projected(model, "user_contrast.first", [user_uu[u] for u in unique]),
            unique,
        ],
        "item": [
            projected(model, "item_contrast.first", [item_ui[i] for i in seen]),
            projected(model, "item_contrast.first", [item_ii[i] for i in seen]),
            seen,
        ],
    }
    temperature = model.options["temperature"]
    terms = {name: contrast(*given, temperature) for name, given in views.items()}
    return {
        "next_item": predict / len(owners),
        "interest": model.interest_weight * terms["interest"],
        "user": model.user_weight * terms["user"],
        "item": model.item_weight * terms["item"],
    }


def random_model(graph: HeteroData, **options) -> MCLSR:
    """Weights large enough for every term to matter."""
    torch.manual_seed(0)
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    model = MCLSR(*sizes, **({"dim": 4, "max_length": 8} | options)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.7)
    return model


@pytest.fixture(scope="module")
def batch(cycle: HeteroData) -> Batch:
    """Twelve of the cycle's users, with rows of different lengths."""
    (whole,) = SequenceLoader(cycle, "targets", 10_000, 8)
    keep = whole.user < 12
    cut = {n: getattr(whole, n)[keep] for n in ("user", "items", "lengths", "targets")}
    lengths = cut["lengths"] - torch.arange(12) % 4
    padded = torch.arange(cut["items"].shape[1]) >= lengths[:, None]
    return Batch(
        cut["user"],
        cut["items"].masked_fill(padded, 12),
        lengths,
        12,
        cut["targets"].masked_fill(padded, 12),
    )


@pytest.mark.parametrize("layers, readout", [(0, "last"), (1, "last"), (2, "mean")])
@pytest.mark.parametrize("alpha", [0.5, 0.2])
def test_objective_is_the_paper_written_as_loops(
    cycle: HeteroData, batch: Batch, layers: int, readout: str, alpha: float
) -> None:
    """Every prefix of every row in one pass; the loops take them one by one."""
    weights = {"interest_weight": 0.7, "user_weight": 0.3, "item_weight": 0.2}
    options = {"layers": layers, "readout": readout, "alpha": alpha, **weights}
    model = random_model(cycle, **options)
    expected = naive(model.requires_grad_(False), batch, cycle)
    terms = {name: term.item() for name, term in model.losses(batch, cycle).items()}
    assert terms == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("positions", ["chronological", "recency"])
def test_objective_of_prefixes_is_the_paper_written_as_loops(
    cycle: HeteroData, positions: str
) -> None:
    """Rows with a target at their last position, from which recency counts."""
    (whole,) = SequenceLoader(cycle, "prefix", 10_000, 8)
    rows = torch.arange(0, len(whole), 9)
    cut = {n: getattr(whole, n)[rows] for n in ("user", "items", "lengths", "targets")}
    batch = Batch(**cut, num_items=12)
    options = {"sampler": "prefix", "positions": positions, "layers": 1}
    model = random_model(cycle, **options).requires_grad_(False)
    expected = naive(model, batch, cycle)
    terms = {name: term.item() for name, term in model.losses(batch, cycle).items()}
    assert terms == pytest.approx(expected, abs=1e-6)


def test_target_edges_can_be_left_out_of_a_batch(cycle: HeteroData) -> None:
    """The loops read a graph without these edges."""
    (whole,) = SequenceLoader(cycle, "prefix", 10_000, 8)
    rows = torch.arange(0, len(whole), 9)
    cut = {n: getattr(whole, n)[rows] for n in ("user", "items", "lengths", "targets")}
    batch = Batch(**cut, num_items=12)
    _, targets = batch.target_positions()
    pairs = {*zip(batch.target_users().tolist(), targets.tolist(), strict=True)}
    options = {"sampler": "prefix", "target_edges": "left_out"}
    model = random_model(cycle, **options).requires_grad_(False)
    poorer = copy(cycle)
    edges = cycle[INTERACTS].edge_index.T
    kept = [tuple(edge) not in pairs for edge in edges.tolist()]
    del poorer[INTERACTS]
    poorer[INTERACTS].edge_index = edges[torch.tensor(kept)].T
    assert 0 < sum(kept) < len(kept)
    expected = naive(model, batch, poorer)
    terms = {name: term.item() for name, term in model.losses(batch, cycle).items()}
    assert terms == pytest.approx(expected, abs=1e-6)
    with pytest.raises(OptionError, match="sampler='prefix'"):
        MCLSR(3, 4, target_edges="left_out")


def test_all_samplers_have_the_same_terms_when_sequences_fit(cycle: HeteroData) -> None:
    model = random_model(cycle)
    (windows,) = SequenceLoader(cycle, "targets", 10_000, 8)
    (apart,) = SequenceLoader(cycle, "prefix", 10_000, 8)
    torch.testing.assert_close(model.losses(apart, cycle), model.losses(windows, cycle))


# --- Scores ---------------------------------------------------------------------------


def test_scores_need_neither_graph_nor_user(lab, cycle: HeteroData) -> None:
    """6.10: also for unknown users."""
    model = random_model(cycle).eval()
    batch = lab.test_batch(model, cycle)
    expected = model.score(batch, cycle)
    assert torch.equal(model.score(batch, HeteroData()), expected)
    others = replace(batch, user=batch.user + 10_000)
    assert torch.equal(model.score(others, cycle), expected)
    with torch.no_grad():
        model.users.zero_()
    assert torch.equal(model.score(batch, cycle), expected)


def test_recency_counts_from_the_newest_item(cycle: HeteroData) -> None:
    model = random_model(cycle, positions="recency", sampler="prefix").eval()
    user, lengths = torch.tensor([0, 1]), torch.tensor([3, 1])
    batch = Batch(user, torch.tensor([[1, 2, 3], [4, 12, 12]]), lengths, 12)
    keys = model.keys(torch.zeros(2, 3, 4, dtype=torch.float64), batch)
    assert torch.equal(keys[0], model.position[[2, 1, 0]])
    assert torch.equal(keys[1, 0], model.position[0])


def test_chronological_positions_count_from_the_oldest_item(cycle: HeteroData) -> None:
    model = random_model(cycle).eval()
    batch = Batch(torch.tensor([0]), torch.tensor([[1, 2, 3]]), torch.tensor([3]), 12)
    keys = model.keys(torch.zeros(1, 3, 4, dtype=torch.float64), batch)
    assert torch.equal(keys[0], model.position[:3])


def test_parity_even_layers_do_not_mix_users_and_items(
    cycle: HeteroData, batch: Batch
) -> None:
    """1.9: at l = 2 the user-item view of the users depends on the users alone."""
    for layers, reads in ((1, "items"), (2, "users"), (3, "items")):
        model = random_model(cycle, layers=layers)
        nodes = torch.cat([model.users, model.items])
        user_ui = model.encoder(cycle, INTERACTS, nodes, torch.arange(48))
        gradients = torch.autograd.grad(user_ui.sum(), [model.users, model.items])
        touched = [
            n for n, g in zip(("users", "items"), gradients, strict=True) if g.any()
        ]
        assert touched == [reads]


# --- Options --------------------------------------------------------------------------


@pytest.mark.parametrize("softmax", ["full", "uniform", "log_uniform", "in_batch"])
@pytest.mark.parametrize("sampler", ["targets", "prefix", "user"])
def test_every_denominator_trains_with_every_sampler(
    lab, cycle: HeteroData, softmax: str, sampler: str
) -> None:
    torch.manual_seed(0)
    model = MCLSR(48, 12, dim=8, softmax=softmax, num_negatives=5, sampler=sampler)
    assert model.num_negatives == (5 if softmax == "uniform" else 0)
    losses = lab.train(model, cycle, 3, lr=0.02, batch_size=128)
    assert all(map(math.isfinite, losses)) and losses[-1] < losses[0]


def terms(model: MCLSR, batch: Batch, graph: HeteroData) -> dict[str, float]:
    return {name: term.item() for name, term in model.losses(batch, graph).items()}


def test_scheme_similarity_and_temperature_change_every_contrast(
    cycle: HeteroData, batch: Batch
) -> None:
    first = terms(random_model(cycle), batch, cycle)
    for other in (
        {"scheme": "symmetric"},
        {"scheme": "cross_only"},
        {"similarity": "dot"},
        {"temperature": 0.9},
    ):
        found = terms(random_model(cycle, **other), batch, cycle)
        assert found["next_item"] == first["next_item"]
        for name in ("interest", "user", "item"):
            assert found[name] != pytest.approx(first[name], rel=1e-5), (other, name)


@pytest.mark.parametrize("name", ["interest", "user", "item"])
def test_a_weight_of_zero_removes_the_term_and_no_other(
    cycle: HeteroData, batch: Batch, name: str
) -> None:
    whole = terms(random_model(cycle), batch, cycle)
    less = terms(random_model(cycle, **{f"{name}_weight": 0.0}), batch, cycle)
    del whole[name]
    assert less == pytest.approx(whole)


def test_weights_scale_their_terms(cycle: HeteroData, batch: Batch) -> None:
    once = terms(random_model(cycle), batch, cycle)
    given = {"interest_weight": 2.0, "user_weight": 0.1, "item_weight": 0.1}
    twice = terms(random_model(cycle, **given), batch, cycle)
    for name in ("interest", "user", "item"):
        assert twice[name] == pytest.approx(2 * once[name])


def test_rows_of_one_user_are_masked_out_by_default(
    cycle: HeteroData, batch: Batch
) -> None:
    masked = terms(random_model(cycle), batch, cycle)
    plain = terms(random_model(cycle, mask_same_user=False), batch, cycle)
    assert plain["interest"] > masked["interest"], "more negatives, a larger loss"
    for name in ("next_item", "user", "item"):
        assert plain[name] == pytest.approx(masked[name])


@pytest.mark.parametrize("shared", [True, False])
def test_interests_have_one_projection_or_two(
    cycle: HeteroData, batch: Batch, shared: bool
) -> None:
    model = random_model(cycle, shared_head=shared)
    contrast, calls = model.interest_contrast, [0, 0]
    assert (contrast.second is None) == shared
    for i, head in enumerate((contrast.first, contrast.second)):
        if head is not None:

            def count(*_: object, i: int = i) -> None:
                calls[i] += 1

            head.register_forward_hook(count)
    model.losses(batch, cycle)["interest"].backward()
    assert calls == ([2, 0] if shared else [1, 1])
    for weight in contrast.parameters():
        assert weight.grad is not None and weight.grad.any()


@pytest.mark.parametrize("option", ["graph_dropout", "key_dropout"])
def test_dropout_acts_in_training_only(
    cycle: HeteroData, batch: Batch, option: str
) -> None:
    model = random_model(cycle, **{option: 0.3})
    once, again = (terms(model.train(), batch, cycle) for _ in range(2))
    assert once != pytest.approx(again)
    quiet = [terms(model.eval(), batch, cycle) for _ in range(2)]
    assert quiet[0] == pytest.approx(quiet[1])
    if option == "graph_dropout":
        assert quiet[0] == pytest.approx(terms(random_model(cycle), batch, cycle))
    scores = [model.score(batch, cycle) for _ in range(2)]
    assert torch.equal(*scores)


def test_key_dropout_changes_attention_but_no_value(cycle: HeteroData) -> None:
    """With one item the weights are 1, whatever is dropped."""
    model = random_model(cycle, key_dropout=0.9).train()
    single = Batch(torch.tensor([0]), torch.tensor([[3]]), torch.tensor([1]), 12)
    assert torch.equal(model.represent(single, cycle)[0], model.items[3])


def test_the_number_of_contrasted_items_is_limited(
    cycle: HeteroData, batch: Batch
) -> None:
    whole = terms(random_model(cycle), batch, cycle)
    every = terms(random_model(cycle, max_contrast_items=12), batch, cycle)
    assert every == pytest.approx(whole)
    one = terms(random_model(cycle, max_contrast_items=1), batch, cycle)
    assert one["item"] == pytest.approx(0, abs=1e-12), "without a negative"
    five = terms(random_model(cycle, max_contrast_items=5), batch, cycle)
    assert 0 < five["item"] < whole["item"]


@pytest.mark.parametrize("sampler", ["targets", "user"])
def test_recency_needs_one_target_per_row(sampler: str) -> None:
    with pytest.raises(OptionError, match="sampler='prefix'"):
        MCLSR(3, 4, positions="recency", sampler=sampler)
