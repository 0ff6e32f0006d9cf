"""The command that draws curves of runs and the map of the items of one."""

from pathlib import Path

import pytest

import graphseq as gs
from graphseq.cli import main
from graphseq.data import synthetic


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of a model."""
    folder = tmp_path_factory.mktemp("plot") / "runs"
    graph = gs.build_graph(gs.leave_one_out(synthetic.cycle(40, 12, length=8)))
    for seed in (0, 1):
        model = gs.models.SASRec(40, gs.Backbone(12, dim=8, max_length=8))
        options = {"folder": folder / f"shop-{seed}", "seed": seed, "max_epochs": 1}
        gs.fit(model, graph, progress=False, **options)
    return folder


def test_seeds_of_one_variant_are_one_curve(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "curves.svg"
    assert main(["plot", str(runs / "*"), "--output", str(output)]) == 0
    assert "shop: mean and range of 2 seeds" in output.read_text("utf-8")
    assert capsys.readouterr().out == f"curves of 2 runs in {output}\n"


def test_items_have_the_titles_and_colours_of_tables(
    runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("id,name\nitem-1,Tea\nitem-2,Tea\nitem-3,Milk\n")
    table, output = str(tmp_path / "t.csv"), tmp_path / "items.svg"
    words = ["plot", str(runs / "shop-0"), "--of", "items", "--output", str(output)]
    words += ["--titles", table, "--colour", table]
    assert main([*words, "--title-columns", "item=id", "title=name"]) == 0
    text = output.read_text("utf-8")
    assert ">Tea (2)<" in text and ">Milk<" in text and "Items of SASRec: PCA" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--of", "items"], "plots one run, and there are 2"),
        (["--metric", "NDGC@10"], "did you mean 'NDCG@10'?"),
        (["--output", "curves.gif"], "--output ends in .png, .svg or .pdf"),
        (["--of", "items", "--colour", "none.csv"], "plots one run"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    runs: Path,
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"--output": str(tmp_path / "a.svg")} | dict(
        zip(options[::2], options[1::2], strict=True)
    )
    words = [word for pair in given.items() for word in pair]
    assert main(["plot", str(runs / "*"), *words]) == 2
    assert message in capsys.readouterr().err
