"""Vectors of items in a build, and items without events in lists."""

import json
import warnings
from pathlib import Path

import polars as pl
import pytest
import yaml

from graphseq.cli import main
from graphseq.graphs import load_graph

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / "datasets" / "tiny.csv"
EXPERIMENT = {
    "model": {"SASRec": {"backbone": {"features": {"Pretrained": {"size": 3}}}}},
    "train": {"max_epochs": 1, "progress": False},
}


def write_vectors(path: Path, items: list[str], **columns: str) -> Path:
    rows = [[float(n), 1.0, float(n % 2)] for n, _ in enumerate(items)]
    frame = pl.DataFrame({"name": items, "text": rows})
    frame.write_parquet(path)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph with vectors, and a run that reads them; both from the shell."""
    folder = tmp_path_factory.mktemp("shop")
    items = pl.read_csv(LOG)["item"].unique().sort().to_list()
    file = write_vectors(folder / "vectors.parquet", items)
    build = ["build", str(LOG), "--output", str(folder / "graph")]
    build += ["--user-user", "none", "--vectors", str(file)]
    assert main([*build, "--vector-columns", "item=name", "vector=text"]) == 0
    (folder / "file.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    train = ["train", str(folder / "file.yaml"), "--folder", str(folder / "run")]
    options = {"data": {"graph": str(folder / "graph")}, **EXPERIMENT}
    (folder / "file.yaml").write_text(yaml.safe_dump(options))
    assert main(train) == 0
    return folder


def test_the_graph_records_the_file(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = load_graph(shop / "graph")
    assert graph["item"].x.shape == (graph["item"].num_nodes, 3)
    [step] = [s for s in graph.provenance["transforms"] if "ItemVectors" in s]
    assert step["ItemVectors"]["source"] == "vectors.parquet"
    assert main(["show", str(shop / "graph")]) == 0
    assert "vectors of 14 items, 3 numbers each" in capsys.readouterr().out
    assert main(["show", str(shop / "graph"), "--provenance"]) == 0
    shown = capsys.readouterr().out
    assert f"vectors: {shop / 'vectors.parquet'}" in " ".join(shown.split())


def test_new_items_are_in_the_lists(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write_vectors(shop / "new.parquet", ["cake", "zinc", "bread"])
    (shop / "only.txt").write_text("cake\nzinc\n")
    command = ["recommend", str(shop / "run"), "--users", "ana", "--json"]
    words = ["--new-vectors", str(new), "--only", str(shop / "only.txt"), "--k", "5"]
    assert main([*command, *words]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["item"] for row in rows} == {"cake", "zinc"}
    assert main([*command, "--only", str(shop / "only.txt")]) == 2
    assert "2 unknown ids: 'cake', 'zinc'" in capsys.readouterr().err


def test_what_cannot_be_described_is_refused_in_words(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["recommend", str(shop / "run"), "--users", "ana"]
    assert main([*command, "--new-vectors", "none.parquet"]) == 2
    assert "--new-vectors takes a file" in capsys.readouterr().err
    table = shop / "kinds.json"
    table.write_text('{"cake": ["sweet"]}')
    assert main([*command, "--new-attributes", str(table)]) == 2
    assert "does not read their attributes; leave" in capsys.readouterr().err


def test_an_update_reads_the_vectors_again(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = tmp_path / "later.csv"
    later.write_text("user,item,time\nana,zinc,1904067200\n")
    update = ["update", str(shop / "graph"), str(later), "--output"]
    assert main([*update, str(tmp_path / "refused")]) == 2
    assert "1 of 15 items have no vector" in capsys.readouterr().err
    known = load_graph(shop / "graph")["item"].vocabulary.ids.to_list()
    write_vectors(shop / "vectors.parquet", [*known, "zinc"])
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # printed, not raised
        assert main([*update, str(tmp_path / "graph")]) == 0
    assert "vectors.parquet has changed since" in capsys.readouterr().err
    assert load_graph(tmp_path / "graph")["item"].x.shape == (len(known) + 1, 3)


def test_columns_need_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    build = ["build", str(LOG), "--output", "graph", "--vector-columns", "item=name"]
    assert main(build) == 2
    assert "names columns of a file: --vectors" in capsys.readouterr().err
    assert main([*build, "--vectors", "none.npy"]) == 2
    assert "--vectors takes a file; there is none" in capsys.readouterr().err
