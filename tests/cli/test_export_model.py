"""The command writes the folder, and refuses in one message without a traceback."""

import shutil
from pathlib import Path

import pytest

import graphseq as gs
from graphseq.cli import main
from graphseq.data.synthetic import communities
from graphseq.exported import ExportedModel


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph, and runs of models that export without ONNX, or not at all."""
    folder = tmp_path_factory.mktemp("runs")
    log = communities(num_users=40, num_items=60, num_communities=4, seed=0)
    graph = gs.build_graph(gs.leave_one_out(log))
    gs.save_graph(graph, folder / "graph")
    for name in ("BPRMF", "ItemKNN"):
        model = getattr(gs.models, name)(log.num_users, log.num_items)
        epochs = 1 if name == "BPRMF" else 0
        gs.fit(model, graph, folder=folder / name, max_epochs=epochs, progress=False)
    return folder


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """These runs need no ONNX; where it is not installed, they are tested too."""
    from graphseq.export import encoder

    monkeypatch.setattr(encoder, "check_installed", lambda: None)


def test_a_run_is_exported_with_titles(runs: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "titles.csv").write_text("title,item\nTea,item-0\nRye,elsewhere\n")
    made = tmp_path / "model"
    words = ["export-model", str(runs / "BPRMF"), str(made)]
    words += ["--graph", str(runs / "graph"), "--license", "MIT"]
    text = (tmp_path / "titles.csv").read_text().replace("title,item", "name,asin")
    (tmp_path / "named.csv").write_text(text)
    named = ["--titles", str(tmp_path / "named.csv"), "--title-columns"]
    assert main([*words, *named, "item=asin", "title=name"]) == 0
    assert ExportedModel(made).titles is not None
    shutil.rmtree(made)
    assert main([*words, "--titles", str(tmp_path / "titles.csv")]) == 0
    assert f"exported to {made}" in capsys.readouterr().out
    exported = ExportedModel(made)
    assert exported.card["license"] == "MIT"
    assert exported.titles is not None
    assert exported.titles[exported.items.index("item-0")] == "Tea"
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert ExportedModel(made).titles is None


def test_a_model_without_vectors_is_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export-model", str(runs / "ItemKNN"), str(tmp_path / "model")]
    assert main([*words, "--graph", str(runs / "graph")]) == 2
    assert "ItemKNN cannot be exported" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
