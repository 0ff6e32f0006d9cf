"""Relations of ``graphseq build``: parsed and described."""

from pathlib import Path
from typing import Any

import pytest

from graphseq.cli import main
from graphseq.cli.build import BuildOptions
from graphseq.cli.relations import describe_step, parse_relations
from graphseq.constants import ITEM_CO_OCCURS, USER_CO_OCCURS
from graphseq.data import leave_one_out, read_log
from graphseq.errors import ConfigError
from graphseq.folders import hashes
from graphseq.graphs import (
    CoOccurrence,
    Transitions,
    build_graph,
    graph_hash,
    load_graph,
)

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user_user": "coutn:5"}, "as WEIGHT; got 'coutn', did you mean 'count'?"),
        ({"user_user": "count:few"}, "--user-user takes a whole number from 1, or all"),
        ({"user_user": "count:"}, "--user-user takes a whole number from 1, or all"),
        ({"item_item": "count:5:mix"}, "max, min, none as SYMMETRIZE; got 'mix'"),
        ({"item_item": "count:5:max:1"}, "takes WEIGHT[:K[:SYMMETRIZE]]; got 'count"),
        ({"transitions": "far"}, "takes WINDOW[:K[:DECAY]], such as 1, 3:50 or"),
        ({"transitions": "0"}, "takes WINDOW[:K[:DECAY]], such as 1, 3:50 or"),
        ({"transitions": "1:5:x"}, "up to 1 as DECAY; got 'x'"),
        ({"transitions": "1:5:7"}, "up to 1 as DECAY; got '7'"),
        ({"attributes": Path("none.json")}, "takes a file; there is none at none.json"),
        ({"attribute_columns": ["item=a"]}, "names columns of a file: --attributes"),
        (
            {"attributes": Path(TINY), "attribute_columns": ["a=b"]},
            "pairs such as item=asin attribute=categories; got 'a=b'",
        ),
    ],
)
def test_an_option_of_another_form_is_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        parse_relations(BuildOptions(**options))
    assert message in str(error.value)


def test_steps_are_described_by_their_option_and_edges() -> None:
    table = Path(TINY)
    options = BuildOptions(
        user_user="cosine:3:min",
        item_item="count:all",
        hub_cap=2000,
        transitions="2:all:0.5",
        attributes=table,
        attribute_columns=["item=item", "attribute=time"],
    )
    assert [describe_step(each.make()) for each in parse_relations(options)] == [
        ("user-user", "cosine, 3 heaviest, of both ends, without hubs above 2,000"),
        ("item-item", "count, all, of either end, without hubs above 2,000"),
        ("transitions", "window 2, all, decay 0.5"),
        ("attributes", "tiny.csv"),
    ]


def test_the_relations_are_those_of_the_steps_in_python(tmp_path: Path) -> None:
    output = str(tmp_path / "graph")
    options = ["--item-item", "cosine:2", "--transitions", "1"]
    main(["build", TINY, "--output", output, *options])
    steps = [
        CoOccurrence("user"),
        CoOccurrence("item", top_k=2, weight="cosine"),
        Transitions(top_k=50),
    ]
    graph = build_graph(leave_one_out(read_log(TINY)), steps)
    assert graph_hash(load_graph(output)) == graph_hash(graph)


def test_hubs_are_ignored_between_users_and_between_items(tmp_path: Path) -> None:
    output = tmp_path / "graph"
    assert main(["build", TINY, "--output", str(output), "--hub-cap", "3"]) == 0
    steps = [CoOccurrence(kind, hub_cap=3) for kind in ("user", "item")]
    made = build_graph(leave_one_out(read_log(TINY)), steps)
    assert hashes(output)["graph_hash"] == graph_hash(made)
    whole = build_graph(
        leave_one_out(read_log(TINY)), [CoOccurrence("user"), CoOccurrence("item")]
    )
    for relation in (USER_CO_OCCURS, ITEM_CO_OCCURS):
        assert made[relation].num_edges < whole[relation].num_edges
    assert "hub_cap" not in whole.provenance["transforms"][0]["CoOccurrence"]
