"""The map of the items: what it names, and what it refuses."""

from pathlib import Path

import pytest

from graphseq import fit
from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.models import POP, Backbone, SASRec
from graphseq.plots import plot_items
from graphseq.training import Run

LOG = synthetic.cycle(30, 12, length=8)
GRAPH = build_graph(leave_one_out(LOG), [CoOccurrence("item", top_k=3)])
MODEL = SASRec(30, Backbone(12, dim=8, max_length=8))
IDS = [*LOG.items.ids]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("items") / "run"
    return fit(MODEL, GRAPH, folder=folder, max_epochs=1, progress=False)


def test_a_run_is_drawn_like_its_model_and_graph(run: Run, tmp_path: Path) -> None:
    one = plot_items(run, tmp_path / "run.svg")
    model = run.model(GRAPH)
    other = plot_items(model, tmp_path / "model.svg", graph=GRAPH)
    text = one.read_text("utf-8")
    assert text == other.read_text("utf-8")
    assert "Items of SASRec: PCA" in text and "of the variance)" in text
    assert "training events" in text


def test_categories_and_labels_are_named(tmp_path: Path) -> None:
    colours = {name: f"kind {n % 8}" for n, name in enumerate(IDS[:11])}
    path = plot_items(
        MODEL,
        tmp_path / "items.svg",
        graph=GRAPH,
        colour=colours,
        labels={name: f"t{n}" for n, name in enumerate(IDS)},
        max_items=10,
    )
    text = path.read_text("utf-8")
    assert sum(f">t{n}<" in text for n in range(12)) >= 3
    assert "10 of 12 items shown, those with the most" in text
    assert "value (items)" in text and ">kind 0 (2)<" in text


def test_communities_are_drawn(tmp_path: Path) -> None:
    path = plot_items(MODEL, tmp_path / "a.svg", graph=GRAPH, colour="communities")
    assert "community 1 (" in path.read_text("utf-8")


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="item vectors of POP have one"):
        plot_items(POP(30, 12), tmp_path / "items.png", graph=GRAPH)
    with pytest.raises(GraphError, match="none was given: pass graph"):
        plot_items(MODEL, tmp_path / "items.png")
    with pytest.raises(ConfigError, match="perplexity 30 needs"):
        plot_items(MODEL, tmp_path / "items.png", graph=GRAPH, method="tsne")
