"""Pictures: what they refuse, and that one run is as good as several."""

from pathlib import Path

import pytest

from graphseq import fit
from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.models import POP, Backbone, SASRec
from graphseq.plots import plot_items, plot_learning

GRAPH = build_graph(
    leave_one_out(synthetic.cycle(30, 12, length=8)), [CoOccurrence("item", top_k=3)]
)


def test_one_run_is_drawn_like_several(tmp_path: Path) -> None:
    model = SASRec(30, Backbone(12, dim=8, max_length=8))
    run = fit(model, GRAPH, max_epochs=2, progress=False)
    plot_learning(run, tmp_path / "one.png")
    plot_learning({"SASRec": run}, tmp_path / "several.png")
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in ("one", "several")]
    assert pictures[0] == pictures[1] and pictures[0].startswith(b"\x89PNG")
    plot_items(model, GRAPH, tmp_path / "items.png")
    assert (tmp_path / "items.png").is_file()


def test_a_model_without_vectors_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="item vectors of POP have one"):
        plot_items(POP(30, 12), GRAPH, tmp_path / "items.png")
