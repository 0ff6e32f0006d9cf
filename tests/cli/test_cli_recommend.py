"""``graphseq recommend`` on one small run."""

import json
import warnings
from pathlib import Path

import polars as pl
import pytest
import yaml

import graphseq as gs
from graphseq.cli import main
from graphseq.data import Interactions
from graphseq.models import POP
from graphseq.recommend import Recommender
from graphseq.training import load_run

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = {
    "data": {"path": str(ROOT / "datasets" / "tiny.csv")},
    "split": {"leave_one_out": {}},
    "model": {"SASRec": {"backbone": {"Backbone": {"dim": 8}}}},
    "train": {"max_epochs": 1, "progress": False},
    "evaluate": {"ks": [1, 3]},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "small.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    assert main(["train", str(folder / "small.yaml"), "--folder", f"{folder}/a"]) == 0
    return folder / "a"


@pytest.fixture(scope="module")
def shop(run: Path) -> Recommender:
    loaded = load_run(run)
    return Recommender(loaded.model(), loaded.graph())


@pytest.mark.filterwarnings("default:unknown")
def test_users_or_a_history(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["recommend", str(run)]
    assert main([*command, "--users", "ana", "ben", "--k", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("ana") == shown.count("ben") == 2
    assert main([*command, "--history", "bread", "milk", "--k", "3"]) == 0
    assert "bread" not in capsys.readouterr().out
    every = [*command, "--history", "bread", "--k", "14", "--history-items", "keep"]
    assert main(every) == 0
    assert "bread" in capsys.readouterr().out
    assert main(command) == 2
    assert "--pairs; found none" in capsys.readouterr().err
    assert main([*command, "--users", "ana", "--history", "bread"]) == 2
    assert "found --users and --history" in capsys.readouterr().err
    assert main([*command, "--users", "anna"]) == 2
    assert "1 unknown id: 'anna' (did you mean 'ana'" in capsys.readouterr().err
    two = [*command, "--users", "anna", "ben", "--k", "2", "--unknown", "skip"]
    assert main(two) == 0
    shown = capsys.readouterr()
    assert shown.out.count("ben") == 2
    assert "warning: unknown users skipped: 'anna'" in shown.err
    none = [*command, "--history", "brea", "--unknown", "skip"]
    assert main(none) == 2
    assert "--empty-history popularity" in capsys.readouterr().err
    assert main([*none, "--empty-history", "popularity", "--k", "1"]) == 0


def test_lists_for_everyone_in_a_file(
    run: Path, shop: Recommender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock, sold = tmp_path / "stock.txt", tmp_path / "sold.csv"
    stock.write_text("bread\nmilk\njam\ntea\n")
    sold.write_text("user,item\nana,jam\nben,tea\nzoe,tea\n")
    lists = tmp_path / "lists.parquet"
    limits = ["--only", str(stock), "--exclude", str(sold), "--k", "2"]
    command = ["recommend", str(run), "--all", *limits, "--output", str(lists)]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(command) == 0
    shown = capsys.readouterr()
    assert f"rows in {lists}" in shown.out
    assert "sold.csv names 1 user not in the log: 'zoe'" in shown.err
    users = shop.users.ids.to_list()
    by_user = [{"ana": ["jam"], "ben": ["tea"]}.get(user, []) for user in users]
    only = ["bread", "milk", "jam", "tea"]
    expected = shop.recommend(users, k=2, only=only, exclude=by_user)
    assert pl.read_parquet(lists).equals(expected)
    assert main([*command[:-1], str(tmp_path / "lists.txt")]) == 2
    assert "lists are written as" in capsys.readouterr().err


def test_users_histories_and_pairs_in_files_with_titles(
    run: Path, shop: Recommender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "users.txt": "ana\ncleo\n",
        "new.csv": "user,item,time\nzoe,bread,2\nzoe,milk,1\n",
        "pairs.csv": "user,item\nana,tea\ncleo,jam\nana,jam\n",
        "titles.csv": "asin,name\nbread,Rye bread\ntea,Green [tea]\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def rows(*words: str) -> list[dict[str, object]]:
        assert main(["recommend", str(run), *words, "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    titles = ["--titles", f"{tmp_path}/titles.csv"]
    titles += ["--title-columns", "item=asin", "title=name"]
    found = rows("--users-file", f"{tmp_path}/users.txt", "--k", "14", *titles)
    wanted = shop.recommend(["ana", "cleo"], k=14)
    assert [r["item"] for r in found] == wanted["item"].to_list()
    names = {r["item"]: r["title"] for r in found}
    assert (names["tea"], names["honey"]) == ("Green [tea]", None)
    found = rows("--histories", f"{tmp_path}/new.csv", "--k", "3")
    wanted = shop.recommend(histories=[["milk", "bread"]], k=3)
    assert [(r["user"], r["item"]) for r in found] == [
        ("zoe", item) for item in wanted["item"]
    ]
    (tmp_path / "named.csv").write_text("who;what;when\nzoe;bread;2\nzoe;milk;1\n")
    reading = ["--columns", "user=who", "item=what", "time=when", "--separator", ";"]
    assert found == rows(
        "--histories", f"{tmp_path}/named.csv", "--k", "3", *reading, "--format", "csv"
    )
    assert main(["recommend", str(run), "--users", "ana", *reading]) == 2
    assert "--columns, --separator say how the log of" in capsys.readouterr().err
    found = rows("--pairs", f"{tmp_path}/pairs.csv")
    wanted = shop.score(["tea", "jam", "jam"], ["ana", "cleo", "ana"])
    assert [(r["user"], r["item"]) for r in found] == [
        ("ana", "tea"),
        ("cleo", "jam"),
        ("ana", "jam"),
    ]
    assert [r["score"] for r in found] == pytest.approx(wanted["score"].to_list())
    refused = ["--pairs", f"{tmp_path}/pairs.csv", "--only", f"{tmp_path}/users.txt"]
    assert main(["recommend", str(run), *refused, "--k", "3"]) == 2
    assert "leave --k, --only out" in capsys.readouterr().err
    (tmp_path / "pairs.csv").write_text("user,item\nana,tea\ncleo,\n")
    assert main(["recommend", str(run), *refused[:2]]) == 2
    assert "1 of 2 pairs have no 'user' or 'item'" in capsys.readouterr().err


def test_a_run_without_its_users_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = run.parent / "small.yaml", tmp_path / "b"
    option = ["--set", "train.keep_histories=false"]
    assert main(["train", str(file), "--folder", str(folder), *option]) == 0
    capsys.readouterr()
    assert main(["recommend", str(folder), "--history", "bread"]) == 0
    for words in (["--users", "ana"], ["--all"]):
        assert main(["recommend", str(folder), *words]) == 2
        assert "keep_histories=False" in capsys.readouterr().err


def test_ids_that_are_no_numbers_are_unknown_to_a_log_of_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"user": [5, 5, 5, 7, 7, 7], "item": [1, 2, 3, 2, 3, 1]}
    log = Interactions.from_frame(pl.DataFrame(rows))
    graph = gs.build_graph(gs.leave_one_out(log))
    model = POP(2, 3)
    gs.fit(model, graph, folder=tmp_path / "run", progress=False)
    command = ["recommend", str(tmp_path / "run"), "--k", "1", "--users", "5", "abc"]
    assert main(command) == 2
    assert "'abc'" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main([*command, "--unknown", "skip", "--history-items", "keep"]) == 0
    found = capsys.readouterr()
    assert "unknown users skipped: 'abc'" in found.err
    assert "5" in found.out
