"""Tables on terminals: none is wider than 80 columns, and nothing is lost."""

import io

import pytest
from rich.console import Console
from rich.table import Table
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.cli.progress import make_console
from graphseq.cli.tables import fit_width
from graphseq.data import synthetic
from graphseq.evaluation import evaluate
from graphseq.graphs import Attributes
from graphseq.models import POP
from graphseq.report import table


def lines_of(printed: object, width: int = 80) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        for part in fit_width(printed, console):  # type: ignore[arg-type]
            console.print(part, no_wrap=True)
    return captured.get().splitlines()


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    log = synthetic.cycle(30, 12, length=8)
    kinds = {item: [f"kind {n % 3}"] for n, item in enumerate(log.items.ids)}
    steps = [gs.CoOccurrence("user"), gs.CoOccurrence("item"), gs.Transitions()]
    return gs.build_graph(gs.leave_one_out(log), [*steps, Attributes(kinds)])


def test_a_narrow_table_stays_one() -> None:
    some = Table("name", "value")
    some.add_row("a", "1")
    assert fit_width(some, Console(width=80)) == [some]


def test_columns_continue_below_with_the_names_of_the_rows() -> None:
    wide = Table("name", header_style="bold")
    for number in range(12):
        wide.add_column(f"column {number}", justify="right")
    wide.add_row("first", *map(str, range(100, 112)), end_section=True)
    wide.add_row("second", *map(str, range(200, 212)))
    console = Console(width=50)
    parts = fit_width(wide, console)
    assert len(parts) > 2
    assert all(part.columns[0].header == "name" for part in parts)
    headers = [c.header for part in parts for c in part.columns[1:]]
    assert headers == [f"column {number}" for number in range(12)]
    values = [cell for part in parts for c in part.columns[1:] for cell in c.cells]
    assert values == [str(n) for i in range(12) for n in (100 + i, 200 + i)]
    assert all(part.rows[0].end_section for part in parts)
    assert all(len(line) <= 50 for line in lines_of(wide, 50))


def test_the_widest_tables_fit_80_columns(graph: HeteroData) -> None:
    summary = gs.summary(graph).__rich__()
    metrics = ["Precision", "MAP", "novelty", "Gini", "personalization"]
    report = evaluate(POP(30, 12), graph, metrics=metrics)
    for shown in (summary, table({"POP": report, "another name": report})):
        lines = lines_of(shown)
        assert max(map(len, lines)) <= 80
        assert "…" not in "".join(lines)
    for name in metrics:
        assert any(f"{name}@k" in line for line in lines)


def test_a_pipe_gets_one_table(
    graph: HeteroData,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_console().print(gs.summary(graph))
    printed = capsys.readouterr().out
    assert "item has attribute: attribute" in printed
    assert printed.count("┏") == 1


def test_colours_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_console().print("[bold red]text[/bold red]")
    assert capsys.readouterr().out == "text\n"
    for names, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        monkeypatch.setenv("TERM", "xterm-256color")
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        console = type(make_console())(force_terminal=True, file=io.StringIO())
        console.print("[red]text[/red]")
        assert ("\x1b[31m" in console.file.getvalue()) == coloured  # type: ignore[attr-defined]
