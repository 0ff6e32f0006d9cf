"""Items without events are ranked by what describes them, and change no other score."""

import copy
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.constants import HAS_ATTRIBUTE
from graphseq.data import Interactions, hold_out_items, leave_one_out
from graphseq.data.cold_items import ColdItems
from graphseq.errors import ConfigError, GraphError
from graphseq.export import HistoryEncoder, to_onnx
from graphseq.graphs import Attributes, CoOccurrence, ItemVectors, build_graph
from graphseq.models import Model, add_items
from graphseq.sequences import Batch
from graphseq.training import load_run

SIZES = {"dim": 16, "max_length": 6}
TEXTS = {"Pretrained": {"size": 6}}
TEXTS_AND_IDS = {"Pretrained": {"size": 6, "ids": True, "trained": True}}
OVER_ITEMS = {"Propagated": {"table": TEXTS_AND_IDS}}
HAS = {"Propagated": {"relation": "has", "max_fraction": 1.0}}
HAS_LAST = {"Propagated": {**HAS["Propagated"], "readout": "last"}}


def quarters_log(num_users: int = 100) -> Interactions:
    """Users who draw 12 events from the six items of their own quarter of 24."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(num_users), 12)
    item = 6 * (user % 4) + rng.integers(6, size=len(user))
    return Interactions.from_arrays(user, item, np.tile(np.arange(12), num_users))


def steps_of(log: Interactions) -> dict[str, Any]:
    """A noisy vector of the quarter, and the quarter as an attribute."""
    ids = log.items.ids.to_list()
    noise = np.random.default_rng(1).normal(0, 0.3, (len(ids), 6))
    rows = noise + np.eye(6)[[int(item) // 6 for item in ids]]
    table = pl.DataFrame({"item": ids, "vector": rows.tolist()})
    quarters = {item: [f"quarter {int(item) // 6}"] for item in ids}
    return {"Pretrained": ItemVectors(table), "has": Attributes(quarters)}


@pytest.fixture(scope="module")
def cold() -> ColdItems:
    return hold_out_items(quarters_log(), fraction=0.25, seed=0)


@pytest.fixture(scope="module")
def steps() -> dict[str, Any]:
    return steps_of(quarters_log())


@pytest.fixture(scope="module")
def graph(cold: ColdItems, steps: dict[str, Any]) -> HeteroData:
    return build_graph(cold.split, [CoOccurrence("item"), *steps.values()])


def built(lab, features: Any, graph: HeteroData) -> Model:
    backbone = {**SIZES, "features": features}
    model: Model = lab.build("SASRec", graph, backbone=backbone)
    return model.eval()


def own_quarter(model: Model, graph: HeteroData, cold: ColdItems) -> float:
    """Fraction of test users whose best new item is of their own quarter."""
    recommender = gs.Recommender(model, graph)
    items, rows = graph["item"].vocabulary, cold.test
    ends = rows.history_ptr.tolist()
    histories = [items.decode(rows.history[a:b]) for a, b in itertools.pairwise(ends)]
    best = recommender.recommend(histories=histories, k=1, only=cold.items)["item"]
    pairs = zip(best, histories, strict=True)
    return sum(int(item) // 6 == int(h[0]) // 6 for item, h in pairs) / len(histories)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("features", "step"),
    [
        (TEXTS, "Pretrained"),
        (TEXTS_AND_IDS, "Pretrained"),
        (OVER_ITEMS, "Pretrained"),
        (HAS, "has"),
        (HAS_LAST, "has"),
    ],
)
def test_new_items_of_the_users_quarter_are_ranked_first(
    lab,
    graph: HeteroData,
    cold: ColdItems,
    steps: dict[str, Any],
    features: Any,
    step: str,
) -> None:
    """Chance is a quarter; POP, which counts no event of them, is at chance."""
    model = built(lab, features, graph)
    lab.train(model, graph, 6, lr=0.02)
    larger, extended = add_items(model, graph, [steps[step]], items=cold.items)
    assert own_quarter(larger, extended, cold) > 0.9


@pytest.mark.usefixtures("unchecked_shapes")
def test_without_structure_new_items_stay_at_chance(
    lab, cold: ColdItems, steps: dict[str, Any]
) -> None:
    shuffled = hold_out_items(lab.shuffle(quarters_log(400)), fraction=0.25, seed=0)
    graph = build_graph(shuffled.split, [steps["Pretrained"]])
    model = built(lab, TEXTS, graph)
    lab.train(model, graph, 2, lr=0.02)
    step = steps["Pretrained"]
    larger, extended = add_items(model, graph, [step], items=shuffled.items)
    assert own_quarter(larger, extended, shuffled) < 0.5


def scores(model: Model, graph: HeteroData, histories: list[list[int]]) -> Tensor:
    size = graph["item"].num_nodes
    width = max(map(len, histories))
    items = torch.tensor([row + [size] * (width - len(row)) for row in histories])
    lengths = torch.tensor([len(row) for row in histories])
    return model.score(Batch(torch.zeros_like(lengths), items, lengths, size), graph)


@pytest.mark.parametrize("features", [TEXTS, TEXTS_AND_IDS])
def test_scores_of_known_items_stay_and_twins_score_alike(
    lab, graph: HeteroData, features: Any
) -> None:
    """A new item with the vector of a known one; with ids, its row is a mean."""
    model = built(lab, features, graph)
    x, ids = graph["item"].x, graph["item"].vocabulary.ids
    twin = pl.DataFrame({"item": [100], "vector": [x[3].tolist()]})
    larger, extended = add_items(model, graph, [ItemVectors(twin)])
    histories = [[0, 5, 2], [7]]
    before = scores(model, graph, histories)
    after = scores(larger, extended, histories)
    torch.testing.assert_close(after[:, :-1], before)
    if features is TEXTS:
        torch.testing.assert_close(after[:, -1], before[:, 3])
    else:
        unit = torch.nn.functional.normalize(x.double(), dim=1)
        near = (unit @ unit[3]).topk(10).indices
        table = model.backbone.features
        expected = table.adapter(x[3] + table.change[near].mean(dim=0))
        expected = expected + table.weight[near].mean(dim=0)
        torch.testing.assert_close(larger.item_vectors(extended)[-1], expected)
    assert len(ids) == len(graph["item"].vocabulary), "the graph has changed"
    assert not larger.training


def test_attributes_are_read_over_the_larger_graph(lab, graph: HeteroData) -> None:
    """Against dense matrices in float64, item by item."""
    model = built(lab, HAS, graph).double()
    new = Attributes({100: ["quarter 0", "quarter 2"], 101: ["quarter 2"]})
    larger, extended = add_items(model, graph, [new])
    has = torch.zeros(len(extended["item"].vocabulary), 4, dtype=torch.float64)
    has[tuple(extended[HAS_ATTRIBUTE].edge_index)] = 1
    links = has @ torch.diag(1 / has.sum(dim=0)) @ has.T
    links.fill_diagonal_(0)
    root = links.sum(dim=1).rsqrt()
    table = larger.backbone.features.weight
    assert torch.equal(table[:-2], model.backbone.features.weight)
    expected = (table + root[:, None] * (links @ (root[:, None] * table))) / 2
    torch.testing.assert_close(larger.item_vectors(extended), expected)


def test_the_model_says_what_it_reads(
    lab, graph: HeteroData, steps: dict[str, Any]
) -> None:
    for features, given, found in (
        ({"Embedding": {}}, ["has"], "it reads neither vectors nor attributes"),
        (TEXTS, ["has"], r"reads their vectors; pass .*; it does not read their attr"),
        (TEXTS, ["Pretrained", "Pretrained"], "pass one ItemVectors"),
        (HAS, [], "it reads their attributes; pass one Attributes"),
    ):
        chosen = [steps[name] for name in given]
        with pytest.raises(ConfigError, match=found):
            add_items(built(lab, features, graph), graph, chosen)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_run_folder_is_enough(
    lab, graph: HeteroData, cold: ColdItems, steps: dict[str, Any], tmp_path: Path
) -> None:
    model = built(lab, TEXTS_AND_IDS, graph)
    options: dict[str, Any] = {"max_epochs": 1, "monitor": None, "progress": False}
    gs.fit(model, graph, folder=tmp_path / "run", **options)
    run = load_run(tmp_path / "run")
    kept = run.graph()
    assert torch.equal(kept["item"].x, graph["item"].x)
    step = steps["Pretrained"]
    pairs = [
        add_items(m, g, [step], items=cold.items)
        for m, g in ((model, graph), (run.model(kept), kept))
    ]
    users = graph["user"].vocabulary.ids[:5]
    lists = [gs.Recommender(*pair).recommend(users, k=20) for pair in pairs]
    assert lists[0].equals(lists[1])
    assert lists[0]["item"].is_in(cold.items.implode()).any()


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("onnx", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_exported_encoder_reads_new_items(
    lab, graph: HeteroData, steps: dict[str, Any], tmp_path: Path, onnx: bool
) -> None:
    """Frozen features score as the model does, in torch and in its ONNX file."""
    model = built(lab, TEXTS_AND_IDS, graph)
    table = pl.DataFrame({"item": [100], "vector": [[1.0, 0, 0, 0, 0, 0]]})
    larger, extended = add_items(model, graph, [ItemVectors(table)])
    encoder, size = HistoryEncoder(larger, extended), extended["item"].num_nodes
    rows = torch.tensor([[0, 3, size - 1], [5, size, size]])
    if onnx:
        ort = pytest.importorskip("onnxruntime")
        to_onnx(encoder, tmp_path / "encoder.onnx")
        session = ort.InferenceSession(tmp_path / "encoder.onnx")
        [states] = session.run(None, {"items": rows.numpy()})
        found = torch.from_numpy(states)
    else:
        found = encoder(rows)
    expected = scores(larger, extended, [[0, 3, size - 1], [5]])
    items = larger.item_vectors(extended)
    torch.testing.assert_close(found @ items.T, expected, atol=1e-5, rtol=1e-5)


def test_an_untouched_model_and_graph_are_left(
    lab, graph: HeteroData, steps: dict[str, Any], cold: ColdItems
) -> None:
    model = built(lab, OVER_ITEMS, graph)
    before = copy.deepcopy(model.state_dict())
    add_items(model, graph, [steps["Pretrained"]], items=cold.items)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    model.check(graph)


def test_a_graph_of_all_items_has_nothing_to_add(lab, steps: dict[str, Any]) -> None:
    graph = build_graph(leave_one_out(quarters_log()), [steps["Pretrained"]])
    with pytest.raises(GraphError, match="no items to add"):
        add_items(built(lab, TEXTS, graph), graph, [steps["Pretrained"]])
