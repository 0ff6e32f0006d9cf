"""Help for newcomers, errors in plain words, completion that runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphseq.cli import main
from graphseq.cli.app import join_hyphens, make_app

COMMANDS = ["get", "build", "update", "show", "diff", "export", "import"]
COMMANDS += ["train", "queue", "evaluate", "compare", "recommend", "demo"]


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message with which the command line refuses the arguments."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


def show_help(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_lists_every_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = show_help(capsys, *arguments)
    assert all(f"\n  {command} " in shown for command in COMMANDS)


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_experiments_named_in_help_exist(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"experiments/\S+\.yaml", show_help(capsys, *command, "-h"))
    assert named or command not in ([], ["train"], ["queue"])
    assert all([*root.glob(name)] for name in named), named


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_explains_every_option_and_has_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = show_help(capsys, command, "--help")
    assert shown == show_help(capsys, command, "-h")
    assert shown.startswith(f"Usage: graphseq {command}")
    panels, _, examples = shown.partition("\nExamples:")
    assert f"\n graphseq {command}" in examples
    options = re.findall(r"\n[ *]+(--[\w-]+)(?: [A-Z.]+)?  ( *\S)?", panels)
    assert options
    assert all(text for _, text in options)


def test_version_is_printed_on_every_level(capsys: pytest.CaptureFixture[str]) -> None:
    import graphseq

    for arguments in (["--version"], ["build", "--version"]):
        assert show_help(capsys, *arguments) == f"{graphseq.__version__}\n"


def test_help_takes_less_than_300_ms_of_cpu_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, time\n"
        "from graphseq.cli import main\n"
        "main(['--help'])\n"
        "heavy = {'torch', 'polars', 'lightning', 'numpy', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)), time.process_time())\n"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        heavy, _, last = done.stdout.splitlines()[-1].rpartition(" ")
        assert heavy == "[]"
        seconds.append(float(last))
    assert min(seconds) < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["biuld"], 'graphseq: Unknown command "biuld". Did you mean "build"?'),
        (
            ["build", "x", "--output", "y", "--kcore", "3"],
            "graphseq build: there is no option --kcore. Did you mean --k-core?",
        ),
        (
            ["build", "x", "--out", "y"],
            "graphseq build: --output is required. Did you mean --output instead of "
            "--out?",
        ),
        (
            ["build", "x", "--output", "y", "--over"],
            "graphseq build: there is no option --over. Did you mean --on-error or "
            "--overwrite?",
        ),
        (
            ["build", "x", "--output", "y", "--k-core", "few"],
            "graphseq build: --k-core takes a whole number; got 'few'",
        ),
        (
            ["build", "x", "--output", "y", "--split", "by_tme"],
            'graphseq build: Invalid value "by_tme" for --split. Choose from: '
            '"leave_one_out", "by_user", "by_time". Did you mean "by_time"?',
        ),
        (
            ["evaluate", "x", "--history", "keptt"],
            'graphseq evaluate: Invalid value "keptt" for --history. Choose from: "bo',
        ),
        (
            ["evaluate", "x", "--ks", "5", "five"],
            "graphseq evaluate: --ks takes a whole number; got 'five'",
        ),
        (["evaluate", "x", "--ks"], "graphseq evaluate: --ks needs at least one value"),
        (["build", "x", "--output"], "graphseq build: --output needs a value"),
        (["build", "x"], "graphseq build: --output is required"),
        (["train"], "graphseq train: EXPERIMENT is required"),
        (["compare", "a", "b", "c"], "graphseq compare: unexpected argument 'c'"),
    ],
)
def test_an_error_says_what_was_expected(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = refuse(capsys, *arguments)
    assert shown.startswith(message)
    assert shown.splitlines()[-1].startswith("See graphseq")


def test_help_shows_the_choices_of_an_optional_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = " ".join(show_help(capsys, "evaluate", "--help").split())
    assert "[choices: both, kept, excluded]" in shown


def recommend(run: str, /, *, users: list[str], k: int = 10) -> None:
    """Recommend.

    Args:
        run: Folder.
        users: Ids.
        k: Items.
    """


def test_ids_may_begin_with_a_hyphen() -> None:
    words = ["recommend", "run", "--users", "-ana", "ben", "-7", "-c-", "--k", "3"]
    app = make_app([("Models", [recommend])])
    _, bound, _ = app.parse_args(join_hyphens(words))
    users = ["-ana", "ben", "-7", "-c-"]
    assert bound.arguments == {"run": "run", "users": users, "k": 3}


COMPLETE = """
source {script}
COMP_WORDS=(graphseq {words} "{last}")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_graphseq
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        ("", "bu", "build"),
        ("build log.csv", "--spl", "--split"),
        ("build log.csv --split", "", "leave_one_out by_user by_time"),
        ("evaluate run --history", "k", "kept"),
    ],
)
def test_completion_works_in_bash(
    words: str, last: str, expected: str, tmp_path: Path
) -> None:
    from graphseq.cli.build import build
    from graphseq.cli.runs import evaluate

    script = tmp_path / "completion.bash"
    app = make_app([("Graphs", [build, evaluate])])
    script.write_text(app.generate_completion(shell="bash"))
    code = COMPLETE.format(script=script, words=words, last=last)
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == expected.split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts_of_other_shells_name_the_options(shell: str) -> None:
    app = make_app([("Models", [recommend])])
    script = app.generate_completion(shell=shell)  # type: ignore[arg-type]
    assert "recommend" in script
    assert "users" in script
