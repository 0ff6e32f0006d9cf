"""Help that a newcomer understands, and complaints in the words of the command line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphseq.cli import main

COMMANDS = ["get", "build", "update", "show", "diff", "export", "import"]
COMMANDS += ["train", "queue", "evaluate", "compare", "recommend", "demo"]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command line says when it refuses the arguments."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"    {command} " in shown for command in COMMANDS)


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_the_experiments_that_help_names_are_there(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    root = Path(__file__).parents[2]
    named = re.findall(r"experiments/\S+\.yaml", capsys.readouterr().out)
    assert named or command not in ([], ["train"], ["queue"])
    assert all([*root.glob(name)] for name in named), named


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_explains_every_option_and_has_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: graphseq {command}")
    assert f"examples:\n  graphseq {command}" in shown
    options = shown.partition("options:\n")[2].partition("\nexamples:")[0]
    for line in options.replace("\n" + " " * 20, " ").splitlines():
        assert len(line.split("  ")) > 1, f"not explained: {line}"


def test_help_takes_less_than_a_second_of_cpu_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, time\n"
        "from graphseq.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'polars', 'lightning', 'numpy', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)), time.process_time() < 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] True"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["biuld"], "graphseq: there is no command biuld; did you mean 'build'?"),
        ([], "graphseq: which command? There are get, build, update"),
        (
            ["build", "x", "--output", "y", "--kcore", "3"],
            "graphseq build: there is no option --kcore; did you mean '--k-core'?",
        ),
        (
            ["build", "x", "--output", "y", "--k-core", "few"],
            "graphseq build: --k-core takes a whole number; got 'few'",
        ),
        (
            ["build", "x", "--output", "y", "--split", "by_tme"],
            "graphseq build: --split takes one of leave_one_out, by_user, by_time",
        ),
        (
            ["evaluate", "x", "--history", "keptt"],
            "graphseq evaluate: --history takes one of both, kept, excluded; got",
        ),
        (
            ["evaluate", "x", "--ks", "five"],
            "graphseq evaluate: --ks takes a whole number; got",
        ),
        (["build", "x"], "graphseq: build needs --output"),
        (["train"], "graphseq: train needs EXPERIMENT"),
    ],
)
def test_a_complaint_says_what_would_do(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, *arguments).startswith(complaint)


def test_help_shows_the_choices_of_an_option_that_may_be_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "--history {both,kept,excluded}" in capsys.readouterr().out
