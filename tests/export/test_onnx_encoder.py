"""The ONNX file reads any number and length of histories, and matches torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.errors import ConfigError
from graphseq.export import HistoryEncoder, to_onnx
from graphseq.export.encoder import check_installed, check_onnx
from graphseq.models import MODELS, PARTS, DirectModel, SASRec
from graphseq.nn import Encoder

ENCODERS = [n for n, part in PARTS.items() if issubclass(part, Encoder)]
SIZED_BY_DATA = ("SRGNN", "GCSAN")  # a graph for each history
OF_HISTORIES = [
    name
    for name, kind in MODELS.items()
    if not issubclass(kind, DirectModel) and name not in ("BPRMF", "LightGCN")
]


def make(encoder: str, graph: HeteroData) -> SASRec:
    torch.manual_seed(0)
    part = PARTS[encoder](dim=8)
    sampler = "targets" if part.prefix_states else "prefix"
    size = graph["item"].num_nodes
    backbone = gs.Backbone(size, encoder=part, sampler=sampler)
    return SASRec(graph["user"].num_nodes, backbone).eval()


def test_histories_are_padded_with_v_and_read_as_the_model_reads_them(
    model: SASRec, graph: HeteroData
) -> None:
    encoder = HistoryEncoder(model, graph)
    raw = graph["item"].vocabulary.ids.to_list()
    recommender = gs.Recommender(model, graph)
    wanted = recommender.recommend(histories=[raw[2:7]], k=60, history_items="keep")
    with torch.no_grad():
        vector = encoder(torch.tensor([[2, 3, 4, 5, 6, 60, 60]]))
        scores = (vector @ model.item_vectors(graph).T)[0].sort(descending=True)
    assert [raw[row] for row in scores.indices] == wanted["item"].to_list()


def test_freezing_copies_the_model(model: SASRec, graph: HeteroData) -> None:
    frozen = HistoryEncoder(model, graph)
    assert not isinstance(frozen.model.backbone.features, gs.nn.Features)
    assert isinstance(model.backbone.features, gs.nn.Propagated)
    assert torch.equal(
        frozen.model.item_vectors(graph), model.item_vectors(graph).detach()
    )


def test_the_file_has_symbolic_axes_and_empty_rows_are_zero(folder: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "encoder.onnx")
    assert [axis.shape for axis in session.get_inputs()] == [["B", "L"]]
    assert session.get_outputs()[0].shape == ["B", 16]
    [found] = session.run(None, {"items": np.full((3, 2), 60)})
    assert found.shape == (3, 16)
    assert not found.any()


def test_a_file_of_another_model_is_refused(
    model: SASRec, graph: HeteroData, folder: Path
) -> None:
    other = HistoryEncoder(model, graph)
    with torch.no_grad():
        other.model.backbone.encoder.position.mul_(-2)
    with pytest.raises(ConfigError, match=r"differ by .* from torch"):
        check_onnx(other, folder / "encoder.onnx")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "onnx")
    with pytest.raises(ConfigError, match=r"onnxscript, onnxruntime.*graphseq\[onnx\]"):
        check_installed()


@pytest.mark.parametrize("name", SIZED_BY_DATA)
def test_models_whose_sizes_depend_on_the_items_are_refused(
    name: str, graph: HeteroData, tmp_path: Path, no_shapes: None
) -> None:
    pytest.importorskip("onnxscript")
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    encoder = HistoryEncoder(MODELS[name](*sizes), graph)
    with pytest.raises(ConfigError, match=f"{name} cannot be exported to ONNX"):
        to_onnx(encoder, tmp_path / "encoder.onnx")
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_is_exported(
    name: str, graph: HeteroData, tmp_path: Path, no_shapes: None
) -> None:
    to_onnx(HistoryEncoder(make(name, graph), graph), tmp_path / "encoder.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in OF_HISTORIES if n not in SIZED_BY_DATA])
def test_every_other_model_of_histories_is_exported(
    name: str, graph: HeteroData, tmp_path: Path, no_shapes: None
) -> None:
    torch.manual_seed(0)
    model = MODELS[name](graph["user"].num_nodes, graph["item"].num_nodes)
    if model.has_user_embeddings:
        pytest.skip("reads users")
    to_onnx(HistoryEncoder(model, graph), tmp_path / "encoder.onnx")
