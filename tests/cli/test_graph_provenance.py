"""Provenance of a graph: the command, the sources and their checksums."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from graphseq.cli import main
from graphseq.cli.build import BuildOptions, ReadOptions
from graphseq.cli.provenance import record, source_status
from graphseq.folders import GRAPH, hashes

TINY = str(Path(__file__).resolve().parents[2] / "datasets" / "tiny.csv")


def test_a_record_has_the_options_that_are_not_the_default() -> None:
    options = BuildOptions(attributes=Path(TINY), k_core=2, seed=0)
    made = record("build", {"log": TINY}, ReadOptions(format="csv"), options)
    words = f"graphseq build {TINY} --format csv --k-core 2 --attributes {TINY}"
    assert made["command"] == words.split()
    chosen = {"log": TINY, "format": "csv", "k_core": 2, "attributes": TINY}
    assert made["options"] == chosen
    assert set(made["sources"]) == {"log", "attributes"}
    assert json.loads(json.dumps(made)) == made


def test_the_recorded_command_makes_the_graph_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, again = str(tmp_path / "a graph"), str(tmp_path / "again")
    options = ["--user-user", "none", "--k-core", "2", "--deduplicate", "last"]
    options += ["--columns", "user=user", "item=item", "time=time"]
    main(["build", TINY, "--output", output, *options])
    capsys.readouterr()
    main(["show", output, "--provenance"])
    shown = capsys.readouterr().out
    command = shown.splitlines()[0]
    assert hashes(output)["graph_hash"] in shown
    assert "here, unchanged" in shown
    assert f"'{output}'" in command
    words = command.replace(f"'{output}'", again).split()[1:]
    assert main(words) == 0
    assert hashes(again) == hashes(output)


def test_the_folder_names_the_source_and_its_checksum(tmp_path: Path) -> None:
    output = tmp_path / "graph"
    main(["build", TINY, "--output", str(output)])
    made = json.loads((output / GRAPH).read_text())["provenance"]["build"]
    digest = hashlib.sha256(Path(TINY).read_bytes()).hexdigest()
    assert made["sources"]["log"]["sha256"] == digest
    assert made["command"] == ["graphseq", "build", TINY]
    assert "polars" in made["versions"]


def test_provenance_reports_whether_the_source_has_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, output = tmp_path / "log.csv", str(tmp_path / "graph")
    log.write_bytes(Path(TINY).read_bytes())
    main(["build", str(log), "--output", output])
    for change, words in ((b"x", "here, but CHANGED"), (None, "not here")):
        if change is None:
            log.unlink()
        else:
            log.write_bytes(log.read_bytes() + change)
        capsys.readouterr()
        assert main(["show", output, "--provenance"]) == 0
        assert words in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs /dev/stdin")
def test_a_log_of_the_standard_input_is_recorded_as_such(tmp_path: Path) -> None:
    output = tmp_path / "graph"
    build = [sys.executable, "-m", "graphseq", "build", "-", "--output", str(output)]
    subprocess.run(build, input=Path(TINY).read_bytes(), check=True)
    made = json.loads((output / GRAPH).read_text())["provenance"]["build"]
    assert made["command"] == ["graphseq", "build", "-"]
    assert made["sources"]["log"]["path"] == made["options"]["log"] == "-"
    assert "since it was a pipe" in made["sources"]["log"]["sha256"]
    assert "was the standard input" in source_status(made["sources"]["log"])
    assert hashes(output) == hashes(built(tmp_path / "from-a-file"))
    update = [sys.executable, "-m", "graphseq", "update", str(output), "-"]
    subprocess.run(update, input=b"user,item,time\nnew,x,9\n", check=True)
    record = json.loads((output / GRAPH).read_text())["provenance"]["build"]
    assert record["updates"][0]["command"][-1] == "-"


def built(folder: Path) -> Path:
    assert main(["build", TINY, "--output", str(folder)]) == 0
    return folder
