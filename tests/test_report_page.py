"""The page about several runs: its numbers, and that it is one safe file."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import graphseq as gs
from graphseq.data import synthetic
from graphseq.errors import GraphError, RunError
from graphseq.report_page import write_page
from graphseq.training import Run, load_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two seeds and a popularity ranker, evaluated."""
    place = tmp_path_factory.mktemp("runs")
    graph = gs.build_graph(gs.leave_one_out(synthetic.cycle(40, 12, length=8)))
    for name, seed in (("a", 0), ("b", 1)):
        model = gs.models.SASRec(40, gs.Backbone(12, dim=8, max_length=8))
        options = {"folder": place / name, "max_epochs": 2, "seed": seed}
        gs.fit(model, graph, progress=False, **options)
        gs.evaluate(model, graph, ks=(1, 5), metrics=["Gini"], folder=place / name)
    return place


@pytest.fixture
def runs(folder: Path) -> dict[str, Run]:
    return {name: load_run(folder / name) for name in ("a", "b")}


class Tags(HTMLParser):
    """The tags and attributes of a page, and whether each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "path", "use"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "use"):
            assert self.open.pop() == tag


def test_the_page_has_the_numbers_of_the_reports(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    write_page(runs, tmp_path / "page.html", metric="NDCG@5")
    text = (tmp_path / "page.html").read_text("utf-8")
    for run in runs.values():
        for metric in ("HR@1", "NDCG@5", "Gini@5"):
            assert f">{run.report['excluded'][metric]:.4f}</td>" in text
    test = str(gs.compare(runs["b"], runs["a"], "NDCG@5", history="kept"))
    assert test.splitlines()[0] in text
    assert "candidates: all 12 items" in text
    assert text.count("<svg") >= 2


def test_the_page_is_one_file_without_scripts_or_addresses(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    hostile = {"<script>alert(1)</script>": runs["a"], '"&<b>': runs["b"]}
    write_page(hostile, tmp_path / "page.html", metric="NDCG@5")
    tags = Tags((tmp_path / "page.html").read_text("utf-8"))
    assert tags.open == []
    assert not {"script", "b", "link", "img", "iframe"} & {tag for tag, _ in tags.seen}
    links = [
        value or ""
        for _, attributes in tags.seen
        for name, value in attributes.items()
        if name in ("href", "src", "xlink:href")
    ]
    assert all(link.startswith("#") for link in links)


def test_the_best_value_of_each_row_is_bold(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    write_page(runs, tmp_path / "page.html", metric="NDCG@5")
    text = (tmp_path / "page.html").read_text("utf-8")
    rows = re.findall(r"<tr><td>(\w+@\d)</td>(.*?)</tr>", text)
    assert len(rows) > 10
    for name, cells in rows:
        values = [float(v) for v in re.findall(r">([\d.]+)</td>", cells)]
        bold = [float(v) for v in re.findall(r"class=best>([\d.]+)<", cells)]
        assert bold == ([] if name.startswith("Gini") else [max(values)])


def test_a_run_without_a_report_is_refused(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    for file in ("report-test.json", "per-user-test.parquet"):
        (runs["a"].folder / file).rename(tmp_path / file)
    try:
        with pytest.raises(RunError, match="Evaluate the run first"):
            write_page({"a": load_run(runs["a"].folder)}, tmp_path / "page.html")
    finally:
        for file in ("report-test.json", "per-user-test.parquet"):
            (tmp_path / file).rename(runs["a"].folder / file)
    assert not (tmp_path / "page.html").exists()


def test_runs_of_other_users_or_protocols_are_refused(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    graph = gs.build_graph(gs.leave_one_out(synthetic.cycle(41, 12, length=8)))
    model = gs.models.POP(41, 12)
    gs.fit(model, graph, folder=tmp_path / "c", progress=False)
    gs.evaluate(model, graph, ks=(1, 5), folder=tmp_path / "c")
    others = {"a": runs["a"], "c": load_run(tmp_path / "c")}
    with pytest.raises(RunError, match="those of c are others than those of a"):
        write_page(others, tmp_path / "page.html", metric="NDCG@5")
    graph = gs.build_graph(gs.leave_one_out(synthetic.cycle(40, 12, length=8)))
    kinds = {}
    for history in ("kept", "excluded"):
        model = gs.models.POP(40, 12)
        gs.fit(model, graph, folder=tmp_path / history, progress=False)
        gs.evaluate(model, graph, ks=(5,), history=history, folder=tmp_path / history)
        kinds[history] = load_run(tmp_path / history)
    with pytest.raises(RunError, match="under different history protocols"):
        write_page(kinds, tmp_path / "page.html", metric="NDCG@5")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("monitor", ["HR@5", None])
def test_curves_are_of_the_runs_that_have_the_metric(
    runs: dict[str, Run], tmp_path: Path, monitor: str | None
) -> None:
    graph = gs.build_graph(gs.leave_one_out(synthetic.cycle(40, 12, length=8)))
    model = gs.models.SASRec(40, gs.Backbone(12, dim=8, max_length=8))
    options = {"folder": tmp_path / "c$x", "max_epochs": 1, "monitor": monitor}
    gs.fit(model, graph, progress=False, **options)
    gs.evaluate(model, graph, ks=(1, 5), folder=tmp_path / "c$x")
    other = load_run(tmp_path / "c$x")
    for shown in ({"c$x": other}, {"c$x": other, **runs}):
        write_page(shown, tmp_path / "page.html", metric="NDCG@5")
        text = (tmp_path / "page.html").read_text("utf-8")
        assert ("No run was validated" in text) == (monitor is None and len(shown) == 1)


def test_a_page_that_cannot_be_written_is_reported(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    for path in (tmp_path, tmp_path / "none" / "page.html"):
        with pytest.raises(GraphError, match=r"cannot write .* the system refused"):
            write_page(runs, path, metric="NDCG@5")
