"""Wrong folders, files, columns and options are reported before heavy imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from graphseq.errors import GraphError, RunError
from graphseq.folders import GRAPH, RUN, check_run, graph_metadata, is_graph

HEAVY = {"torch", "torch_geometric", "lightning", "scipy", "numba", "matplotlib"}
MISTAKES = {
    "train nothing.yaml": "nothing.yaml names no experiment",
    "claims nothing.yaml": "nothing.yaml names no experiment",
    "evaluate nothing": "nothing: the folder does not exist",
    "recommend nothing --users 1": "nothing: the folder does not exist",
    "compare nothing other": "nothing: the folder does not exist",
    "show nothing": "nothing is not a saved graph: it does not exist",
    "diff nothing other": "nothing is not a saved graph",
    "export nothing --output x": "nothing is not a saved graph",
    "import nothing --output x": "nothing does not exist",
    "update nothing log.csv": "nothing is not a saved graph",
    "get nothing": "no data set 'nothing'",
    "build nothing.csv --output x": "the file nothing.csv does not exist",
    "build log.csv --output x --user-user coutn:3": "did you mean 'count'?",
    "build log.csv --output x --columns user=a item=b": "'a'",
    "build log.csv --output x --attributes nothing": "there is none at nothing",
    "build log.csv --output x": "time is neither a number nor a date",
}
CODE = """
import sys
from graphseq.cli import main
for line in sys.argv[2:]:
    code = main(line.split())
    heavy = set(sys.argv[1].split()) & sys.modules.keys()
    print(f"== {code} {sorted(heavy)}", file=sys.stderr)
"""


def test_first_mistakes_are_reported_before_anything_heavy_is_imported(
    tmp_path: Path,
) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\na,b,1\na,c,never\n")
    done = subprocess.run(
        [sys.executable, "-c", CODE, " ".join(HEAVY), *MISTAKES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    parts = done.stderr.split("== 2 []\n")
    assert len(parts) == len(MISTAKES) + 1, done.stderr
    for (line, message), shown in zip(MISTAKES.items(), parts, strict=False):
        assert message in shown, line


def test_a_folder_is_a_graph_if_its_metadata_are(tmp_path: Path) -> None:
    assert not is_graph(tmp_path)
    with pytest.raises(GraphError, match=f"no valid {GRAPH}"):
        graph_metadata(tmp_path)
    (tmp_path / GRAPH).write_text('{"format": "graphseq graph", "version": 9}')
    assert is_graph(tmp_path)
    with pytest.raises(GraphError, match="format version 9; this graphseq reads"):
        graph_metadata(tmp_path)


def test_a_folder_without_the_record_of_a_run_is_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"contains no run: {RUN} is missing"):
        check_run(tmp_path)
    (tmp_path / RUN).write_text("{}")
    check_run(tmp_path)
