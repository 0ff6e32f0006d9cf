"""Training that starts from a run on an earlier graph."""

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS
from graphseq.data import Interactions, leave_one_out
from graphseq.errors import ConfigError, GraphError, RunError
from graphseq.graphs import Attributes, CoOccurrence, ItemVectors, build_graph
from graphseq.models import Model, create
from graphseq.runtime import limit_threads
from graphseq.training import Run, fit, fit_items

OLD = {
    "ann": "bread milk eggs jam",
    "bob": "milk eggs jam tea",
    "dan": "tea jam bread milk",
}
NEW = OLD | {
    "ann": "bread milk eggs ale jam ale",
    "cid": "cake bread milk eggs milk",
    "eva": "zinc zinc zinc",  # co-occurs with nothing else
}
QUIET: dict[str, Any] = {"max_epochs": 0, "monitor": None, "progress": False}


def graph_of(lines: dict[str, str]) -> HeteroData:
    rows = [
        (user, item, time)
        for user, line in lines.items()
        for time, item in enumerate(line.split())
    ]
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    split = leave_one_out(Interactions.from_frame(frame))
    return build_graph(split, [CoOccurrence("item"), CoOccurrence("user")])


def model_of(name: str, graph: HeteroData, seed: int, **options: Any) -> Model:
    torch.manual_seed(seed)
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    return create({name: options}, *sizes)


@pytest.fixture(scope="module")
def old() -> HeteroData:
    return graph_of(OLD)


@pytest.fixture(scope="module")
def new() -> HeteroData:
    return graph_of(NEW)


@pytest.fixture(scope="module")
def runs(old: HeteroData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for name in ("SASRec", "BPRMF", "LightGCN", "XSimGCL"):
        options = {"backbone": {"dim": 8}} if name == "SASRec" else {"dim": 4}
        model = model_of(name, old, 1, **options)
        made[name] = fit(model, old, folder=folder / name, **QUIET)
    return made


def test_rows_follow_their_ids_and_new_items_are_the_mean_of_their_neighbours(
    runs: dict[str, Run], old: HeteroData, new: HeteroData
) -> None:
    run = runs["SASRec"]
    model = model_of("SASRec", new, 2, backbone={"dim": 8})
    own = model.item_vectors(new).detach().clone()
    fit(model, new, start=run.folder, **QUIET)
    before = run.model().item_vectors(old).detach()
    found = model.item_vectors(new).detach()
    known = old["item"].vocabulary.ids.to_list()
    items = new["item"].vocabulary.ids.to_list()
    assert items != known
    edges = new[ITEM_CO_OCCURS]
    pairs = list(
        zip(*edges.edge_index.tolist(), edges.edge_weight.tolist(), strict=True)
    )
    filled = 0
    for row, item in enumerate(items):
        if item in known:
            assert torch.equal(found[row], before[known.index(item)]), item
            continue
        sums, total = torch.zeros(8, dtype=torch.float64), 0.0
        for a, b, weight in pairs:
            if a == row and items[b] in known:
                sums += weight * before[known.index(items[b])].double()
                total += weight
        expected = (sums / total).float() if total else own[row]
        torch.testing.assert_close(found[row], expected)
        filled += total > 0
    assert (filled, len(items) - len(known)) == (2, 3), "zinc has no known neighbour"
    for name, tensor in run.model().backbone.encoder.state_dict().items():
        assert torch.equal(model.backbone.encoder.state_dict()[name], tensor)


@pytest.mark.parametrize("kind", ["BPRMF", "LightGCN", "XSimGCL"])
def test_users_follow_their_ids_and_new_items_may_be_fresh(
    runs: dict[str, Run], old: HeteroData, new: HeteroData, kind: str
) -> None:
    model = model_of(kind, new, 2, dim=4)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit(model, new, start=runs[kind].folder, new_items="fresh", **QUIET)
    before = runs[kind].model().state_dict()
    for name, tensor in model.state_dict().items():
        [nodes] = [k for k in ("user", "item") if len(tensor) == new[k].num_nodes]
        known = old[nodes].vocabulary.ids.to_list()
        for row, raw in enumerate(new[nodes].vocabulary.ids):
            source = before[name][known.index(raw)] if raw in known else own[name][row]
            assert torch.equal(tensor[row], source), (name, raw)


def test_a_run_that_is_resumed_does_not_start_again(
    runs: dict[str, Run], new: HeteroData, tmp_path: Path
) -> None:
    options = {"start": runs["SASRec"].folder, "progress": False, "threads": 1}
    whole, parts, again = (
        model_of("SASRec", new, seed, backbone={"dim": 8}) for seed in (2, 2, 3)
    )
    run = fit(whole, new, max_epochs=2, folder=tmp_path / "a", **options)
    weights = (runs["SASRec"].folder / "weights.safetensors").read_bytes()
    origin = run.record["started_from"]
    assert origin["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert origin["graph"] == runs["SASRec"].record["graph"]["hash"]
    fit(parts, new, max_epochs=1, folder=tmp_path / "b", **options)
    fit(again, new, max_epochs=2, folder=tmp_path / "b", resume=True, **options)
    pairs = zip(whole.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_new_items_may_be_the_mean_of_items_with_their_attributes(
    runs: dict[str, Run], new: HeteroData
) -> None:
    """Zinc shares its attribute with jam and tea; ale has one of its own."""
    ids = new["item"].vocabulary.ids.to_list()
    kinds = {"zinc": "tin", "jam": "tin", "tea": "tin", "ale": "bottle"}
    graph = Attributes({item: [kind] for item, kind in kinds.items()})(new)
    run = runs["SASRec"]
    model = model_of("SASRec", graph, 2, backbone={"dim": 8})
    own = model.item_vectors(graph).detach().clone()
    fit(model, graph, start=run.folder, new_items="attributes", **QUIET)
    known = run.graph()["item"].vocabulary.ids.to_list()
    before = run.model().item_vectors(run.graph()).detach()
    found = model.item_vectors(graph).detach()
    mean = (before[known.index("jam")] + before[known.index("tea")]) / 2
    torch.testing.assert_close(found[ids.index("zinc")], mean)
    assert torch.equal(found[ids.index("ale")], own[ids.index("ale")])
    with pytest.raises(GraphError, match=r"add the step Attributes\(FILE\)"):
        fit(model, new, start=run.folder, new_items="attributes", **QUIET)


def test_new_items_are_fitted_once_after_training(
    runs: dict[str, Run], new: HeteroData, tmp_path: Path
) -> None:
    """As by hand; a run that is called again, as after a kill, keeps its weights."""
    options = {"start": runs["SASRec"].folder, "progress": False, "threads": 1}
    by_hand, fitted, again = (
        model_of("SASRec", new, 2, backbone={"dim": 8}) for _ in range(3)
    )
    fit(by_hand, new, max_epochs=1, **options)
    known = runs["SASRec"].graph()["item"].vocabulary.ids.to_list()
    ids = new["item"].vocabulary.ids.to_list()
    items = [row for row, item in enumerate(ids) if item not in known]
    with limit_threads(1):
        fit_items(by_hand, new, torch.tensor(items))
    options |= {"new_items": "fitted", "folder": tmp_path}
    fit(fitted, new, max_epochs=1, **options)
    fit(again, new, max_epochs=1, resume=True, **options)
    for name, tensor in by_hand.state_dict().items():
        assert torch.equal(fitted.state_dict()[name], tensor), name
        assert torch.equal(again.state_dict()[name], tensor), name


def test_another_model_takes_the_tensors_of_its_names_and_shapes(
    runs: dict[str, Run], old: HeteroData
) -> None:
    run = runs["SASRec"]
    model = model_of("ICLRec", old, 2, backbone={"dim": 8, "mask_token": True})
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    theirs = run.model().state_dict()
    with pytest.warns(UserWarning) as caught:
        fit(model, old, start=run.folder, **QUIET)
    found = model.state_dict()
    assert {name for name in found if name not in theirs} == {"backbone.token"}
    for name, tensor in found.items():
        assert torch.equal(tensor, theirs.get(name, own[name])), name
    [message] = [str(each.message) for each in caught if "starts from" in str(each)]
    assert "ICLRec starts from a run of SASRec" in message
    assert "It takes backbone.features.weight" in message and "and 1" in message
    assert "initial weights stay in backbone.token; of the run it leaves" in message


def test_another_model_of_other_sizes_is_refused(
    runs: dict[str, Run], new: HeteroData
) -> None:
    start = runs["SASRec"].folder
    with pytest.raises(RunError, match="a run of SASRec, cannot start BPRMF: it has"):
        fit(model_of("BPRMF", new, 0), new, start=start, **QUIET)
    wider = model_of("SASRec", new, 0, backbone={"dim": 16})
    with pytest.raises(RunError, match=r"no weights of the same shape for backbone\."):
        fit(wider, new, start=start, **QUIET)
    with pytest.raises(RunError, match="the folder does not exist"):
        fit(wider, new, start="nowhere", **QUIET)


def test_pretrained_vectors_are_those_of_the_new_graph(tmp_path: Path) -> None:
    """The adapter and the rows of known items are taken over."""

    def with_vectors(lines: dict[str, str], shift: float) -> HeteroData:
        graph = graph_of(lines)
        ids = graph["item"].vocabulary.ids
        rows = [[float(len(item)), shift] for item in ids]
        table = pl.DataFrame({"item": ids, "vector": rows})
        return ItemVectors(table)(graph)

    features = {"Pretrained": {"size": 2, "ids": True, "trained": True}}
    backbone = {"dim": 8, "features": features}
    old, new = with_vectors(OLD, 1.0), with_vectors(NEW, 2.0)
    earlier = model_of("SASRec", old, 1, backbone=backbone)
    fit(earlier, old, folder=tmp_path / "old", **QUIET)
    later = model_of("SASRec", new, 2, backbone=backbone)
    fit(later, new, start=tmp_path / "old", **QUIET)
    mine, its = later.backbone.features, earlier.backbone.features
    assert torch.equal(mine.adapter.weight, its.adapter.weight)
    known = torch.tensor(new["item"].vocabulary.encode(old["item"].vocabulary.ids))
    assert torch.equal(mine.weight[known], its.weight)
    expected = mine.adapter(new["item"].x + mine.change) + mine.weight
    assert torch.equal(mine(new), expected)


def test_objectives_take_the_weights_of_their_kind_in_any_order(
    old: HeteroData, tmp_path: Path
) -> None:
    parts = {
        "future": {"DisentangledFuture": {"prototypes": 3}},
        "views": {"LearnedViews": {}},
        "others": {"DisentangledFuture": {"prototypes": 3}},
    }

    def made(seed: int, *names: str) -> Model:
        auxiliaries = [parts[name] for name in names]
        options = {"backbone": {"dim": 8}, "auxiliaries": auxiliaries}
        return model_of("SequenceModel", old, seed, **options)

    run = fit(made(1, "future", "views"), old, folder=tmp_path, **QUIET)
    theirs = run.model().state_dict()
    model = made(2, "views", "future", "others")
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.warns(UserWarning, match=r"initial weights stay in auxiliaries\.2\."):
        fit(model, old, start=tmp_path, **QUIET)
    places = {"auxiliaries.0": "auxiliaries.1", "auxiliaries.1": "auxiliaries.0"}
    compared = 0
    for name, tensor in model.state_dict().items():
        place = ".".join(name.split(".")[:2])
        former = name.replace(place, places.get(place, place), 1)
        expected = own[name] if place == "auxiliaries.2" else theirs[former]
        assert torch.equal(tensor, expected), name
        compared += place in places
    assert compared > 4


def test_fitting_items_needs_vectors_of_items(
    runs: dict[str, Run], new: HeteroData, tmp_path: Path
) -> None:
    """Refused before anything is written."""
    options = {"start": runs["SASRec"].folder, "new_items": "fitted"}
    folder = tmp_path / "run"
    for name in ("POP", "EASE"):
        with pytest.raises(ConfigError, match=rf"{name} has no"):
            fit(model_of(name, new, 0), new, folder=folder, **QUIET, **options)
    assert not folder.exists()
