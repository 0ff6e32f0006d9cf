"""Seeded mutations of files: each is read, or refused by an error of graphseq.

Any other exception, and more than 10 seconds of one input, is a fault. Run
``pytest -m slow tests/test_fuzz_files.py`` for ten times as many inputs.
"""

import io
import json
import random
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import save_file
from torch_geometric.data import HeteroData

from graphseq.config.variants import load
from graphseq.data import by_user, read_vectors, synthetic
from graphseq.data.archives import extract
from graphseq.data.recipes import find_dataset
from graphseq.errors import GraphSeqError
from graphseq.graphs import (
    CoOccurrence,
    build_graph,
    export_graph,
    graph_hash,
    import_graph,
    load_graph,
    save_graph,
)
from graphseq.graphs.storage import load_log

SECONDS = 10  # of one input
FEW, MANY = 100, 1_000  # inputs for each of the eight kinds of file

YAML = [*"[]{}:,&*!|>'\"#%@`-?~", "\n", "  ", "- ", ": ", "!!int ", "!!map ", "<<: "]
YAML += ["&a ", "*a", "2024-13-45", "9" * 5000, "1e999", ".nan", "null", "\\ud800"]
YAML += ["[" * 3000, "0x", "!!python/name:os.system ", "\x00", "\ufeff", "- a: b\n"]
XML = ["<", ">", "&", '"', "'", "/", "NaN", "-INF", "-1", "1e999", "&lt;", "&x;"]
XML += ["<node/>", '<edge source="0" target="99"/>', "</graph>", "../../x", "\x00"]
XML += ["int", "double", "boolean", "string", "user", "item", "undirected", "<!--"]
JSON = ["[", "]", "{", "}", ",", ":", "null", "true", "-1", "1e999", "NaN", '"', "0"]
JSON += ["[" * 3000, '"../x"', "9" * 5000, '"\\ud800"', '"user"', '"test"', "[[[]]]"]

EXPERIMENT = """
data: {cycle: {num_users: 20, num_items: 9, length: 6}}
filters: [{k_core: {user: 2, item: 2}}]
split: {leave_one_out: {}}
graph: [{CoOccurrence: {kind: item, top_k: 5}}]
model: {SASRec: {}}
train: {max_epochs: 1, lr: 1e-3}
evaluate: {ks: [5, 10]}
"""
RECIPE = """
source: a shop
file: shop/log.csv
format: csv
columns: {user: 0, item: 1, time: 2}
users: 2
items: 2
interactions: 2
licence: free
filters: [{k_core: {user: 1}}]
downloads:
  - {file: shop/log.csv, urls: [https://a.shop/log.zip], archive: log.zip, member: a}
"""


def mutate(data: bytes, words: list[str], chance: random.Random) -> bytes:
    """One to four random changes: bytes, words, cuts, repeated and swapped pieces."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randint(0, len(found)) for _ in range(2))
        change = chance.randrange(7)
        if change == 0 and found:
            found[min(at, len(found) - 1)] = chance.randrange(256)
        elif change == 1:
            del found[at : min(to, at + 20)]
        elif change == 2:
            del found[at:]
        elif change == 3:
            found[at:at] = found[at : min(to, at + 200)]
        elif change == 4 and found:
            found[min(at, len(found) - 1)] ^= 1 << chance.randrange(8)
        else:
            word = chance.choice(words).encode("utf-8", "surrogatepass")
            end = at if change == 5 else min(to, at + chance.randint(1, 8))
            found[at:end] = word
    return bytes(found)


def check_all(
    seeds: int,
    path: Path,
    data: bytes,
    words: list[str],
    read: Callable[[], object],
) -> None:
    """Write mutated data to a path, and read it, for each seed."""
    read_well = 0
    for seed in range(seeds):
        path.write_bytes(mutate(data, words, random.Random(f"{path.name} {seed}")))
        begin = time.process_time()
        try:
            read()
            read_well += 1
        except GraphSeqError as error:
            assert str(error), seed
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}") from error
        assert time.process_time() - begin < SECONDS, seed
    path.write_bytes(data)
    read()  # the original is valid


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.cycle(num_users=12, num_items=7, length=6, seed=0)
    return build_graph(by_user(log), [CoOccurrence("item")])


@pytest.fixture(
    params=[FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"]
)
def seeds(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("markup", ["graphml", "gexf"])
def test_markup(markup: str, seeds: int, graph: HeteroData, tmp_path: Path) -> None:
    small = HeteroData()
    small["user"].num_nodes, small["item"].num_nodes = 2, 3
    edges = small["user", "interacts", "item"]
    edges.edge_index = torch.tensor([[0, 0, 1], [0, 1, 2]])
    edges.edge_weight = torch.tensor([1.0, 0.5, 2.0])
    path = export_graph(small, tmp_path / f"graph.{markup}")
    theirs = nx.MultiDiGraph()
    theirs.add_node("a", kind="user")
    theirs.add_node("b", kind="item")
    theirs.add_edge("a", "b", relation="interacts", weight=0.5)
    for data in (path.read_bytes(), _written(theirs, markup)):

        def read() -> None:
            made = import_graph(path)
            save_graph(made, tmp_path / "saved")
            assert graph_hash(load_graph(tmp_path / "saved")) == graph_hash(made)

        check_all(seeds // 2, path, data, XML, read)
    assert {p.name for p in tmp_path.iterdir()} == {path.name, "saved"}


def _written(network: "nx.MultiDiGraph[str]", markup: str) -> bytes:
    file = io.BytesIO()
    (nx.write_graphml_xml if markup == "graphml" else nx.write_gexf)(network, file)
    return file.getvalue()


def test_graph_folders(seeds: int, graph: HeteroData, tmp_path: Path) -> None:
    log = synthetic.cycle(num_users=12, num_items=7, length=6, seed=0)
    folder = save_graph(graph, tmp_path / "graph", log=log)

    def read() -> None:
        load_graph(folder)
        load_log(folder)

    files = sorted(folder.iterdir())
    for path in files:
        number = seeds // 3 if path.suffix == ".json" else seeds // len(files)
        check_all(number, path, path.read_bytes(), JSON, read)


def test_exchange_folders(seeds: int, graph: HeteroData, tmp_path: Path) -> None:
    folder = export_graph(graph, tmp_path / "tables", "parquet")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        number = seeds // 3 if path.suffix == ".json" else seeds // len(files)
        check_all(
            number,
            path,
            path.read_bytes(),
            JSON,
            lambda: save_graph(import_graph(folder), tmp_path / "saved"),
        )
    metadata = json.loads((folder / "exchange.json").read_text("utf-8"))
    assert metadata["held_out"] == ["validation", "test"]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2"])
def test_archives(kind: str, seeds: int, tmp_path: Path) -> None:
    path, text = tmp_path / "log", b"user,item\n" * 50
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/log.csv", text)
            archive.writestr("readme", "")
    else:
        mode = f"w:{kind.partition('.')[2]}"
        with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
            entry = tarfile.TarInfo("a/log.csv")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    (tmp_path / "out").mkdir()

    def read() -> None:
        extract(path, "a/log.csv", tmp_path / "out" / "log.csv")

    words = ["PK\x03\x04", "PK\x05\x06", "\x00" * 8, "ustar", "7777777", "\x1f\x8b"]
    check_all(seeds // 4, path, path.read_bytes(), words, read)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["log.csv"]


@pytest.mark.parametrize("suffix", ["parquet", "npy", "safetensors"])
@pytest.mark.filterwarnings("ignore")
def test_item_vectors(suffix: str, seeds: int, tmp_path: Path) -> None:
    path, ids = tmp_path / f"vectors.{suffix}", [f"item-{n}" for n in range(9)]
    rows = np.arange(36, dtype=np.float32).reshape(9, 4)
    if suffix == "parquet":
        pl.DataFrame({"item": ids, "vector": rows}).write_parquet(path)
    elif suffix == "npy":
        np.save(path, rows)
        path.with_suffix(".txt").write_text("\n".join(ids))
    else:
        save_file({"vectors": rows}, path, {"ids": json.dumps(ids)})
    check_all(seeds // 3, path, path.read_bytes(), JSON, lambda: read_vectors(path))


def test_experiment_files(seeds: int, tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    check_all(seeds, path, EXPERIMENT.encode(), YAML, lambda: load(path))


def test_recipes(seeds: int, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    check_all(
        seeds, path, RECIPE.encode(), YAML, lambda: find_dataset("shop", tmp_path)
    )
