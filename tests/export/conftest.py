"""A small log, a model of it, and the folder that it is exported to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jaxtyping
import pytest
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.data.synthetic import communities
from graphseq.export import export_model
from graphseq.models import SASRec


@contextmanager
def without_shapes() -> Iterator[None]:
    """Shapes are not checked: the checks cannot read the symbolic sizes of a trace."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def no_shapes() -> Iterator[None]:
    with without_shapes():
        yield


@pytest.fixture(scope="session")
def graph() -> HeteroData:
    log = communities(num_users=60, num_items=60, num_communities=4, seed=0)
    relation = gs.CoOccurrence("item", top_k=5)
    return gs.build_graph(gs.leave_one_out(log), [relation])


@pytest.fixture(scope="session")
def model(graph: HeteroData) -> SASRec:
    """Propagated features, and a window that is shorter than some histories."""
    torch.manual_seed(0)
    size = graph["item"].num_nodes
    features = gs.nn.Propagated(size, dim=16, std=1.0)
    encoder = gs.nn.Transformer(16, 10, layers=1)
    backbone = gs.Backbone(size, features=features, encoder=encoder, max_length=10)
    return SASRec(graph["user"].num_nodes, backbone).eval()


@pytest.fixture(scope="session")
def folder(
    model: SASRec, graph: HeteroData, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The one ONNX export of the fast tests."""
    pytest.importorskip("onnxscript")
    made = tmp_path_factory.mktemp("exported") / "sasrec"
    titles = {graph["item"].vocabulary.ids[0]: "The first item"}
    with without_shapes():
        return export_model(model, graph, made, titles=titles, license="CC0-1.0")
