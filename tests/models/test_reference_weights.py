"""With the weights that ICLRec published, our encoder gives its published ranks."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out, read_log
from graphseq.graphs import build_graph
from graphseq.models import SASRec
from graphseq.sequences import histories

SCRIPT = Path(__file__).parents[2] / "experiments" / "published_weights.py"


@pytest.fixture(scope="module")
def graph(shared: Path) -> HeteroData:
    log = read_log(shared / "data/amazon-beauty/Beauty.txt", format="sequences")
    return build_graph(leave_one_out(log))


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, np.ndarray]:
    folder = shared / "reference/iclrec_beauty"
    names = ("targets", "ranks_kept", "ranks_excluded")
    return {name: np.load(folder / f"{name}.npy") for name in names}


@pytest.fixture(scope="module")
def ranks(shared: Path, graph: HeteroData) -> dict[str, np.ndarray]:
    """Ours, under both history protocols; only higher scores count."""
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    encoder = {"Transformer": {"layers": 1, "positions": "end"}}
    backbone = SASRec.default_backbone(sizes[1], encoder=encoder)
    model = SASRec(sizes[0], backbone).eval()
    weights = load_file(shared / "reference/iclrec_beauty/weights.safetensors")
    raw = [int(item) for item in graph["item"].vocabulary.ids]
    assert raw == [*range(1, len(raw) + 1)]  # their rows, after the padding
    model.load_state_dict(runpy.run_path(str(SCRIPT))["converted"](weights, len(raw)))
    model.double()
    items, found = model.item_vectors(graph), {"kept": [], "excluded": []}
    pointers = graph.test.history_ptr
    for rows in torch.arange(len(graph.test.user)).split(1024):
        batch = histories(graph.test, rows, model.max_length, model.num_items)
        scores = model.score(batch, graph, items)
        target = scores.gather(1, graph.test.target[rows][:, None])
        above = scores > target
        found["kept"].append(1 + above.sum(dim=1))
        seen = torch.zeros_like(above)
        counts = pointers[rows + 1] - pointers[rows]
        events = slice(int(pointers[rows[0]]), int(pointers[rows[-1] + 1]))
        row = torch.arange(len(rows)).repeat_interleave(counts)
        seen[row, graph.test.history[events]] = True
        found["excluded"].append(1 + (above & ~seen).sum(dim=1))
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def test_users_and_targets_are_those_of_the_published_ranks(
    graph: HeteroData, published: dict[str, np.ndarray]
) -> None:
    raw = graph["item"].vocabulary.decode(graph.test.target.numpy())
    assert [int(item) for item in raw] == published["targets"].tolist()


@pytest.mark.parametrize("history", ["kept", "excluded"])
def test_ranks_are_the_published_ones_user_by_user(
    ranks: dict[str, np.ndarray], published: dict[str, np.ndarray], history: str
) -> None:
    """Rounding changes a few by one, where two scores are almost equal."""
    off = np.abs(ranks[history] - published[f"ranks_{history}"])
    assert off.max() <= 1 and np.count_nonzero(off) <= 8


HIT = {"excluded": (0.04999, 0.07436, 0.10580), "kept": (0.03761, 0.06368, 0.09936)}
NDCG = {"excluded": (0.03258, 0.04032, 0.04826), "kept": (0.01942, 0.02783, 0.03682)}


@pytest.mark.parametrize("history", ["kept", "excluded"])
def test_metrics_are_the_published_ones(
    ranks: dict[str, np.ndarray], history: str
) -> None:
    rank = ranks[history]
    for k, hit, ndcg in zip((5, 10, 20), HIT[history], NDCG[history], strict=True):
        assert (rank <= k).mean() == pytest.approx(hit, abs=2e-5)
        gain = np.where(rank <= k, 1 / np.log2(rank + 1), 0)
        assert gain.mean() == pytest.approx(ndcg, abs=2e-5)
