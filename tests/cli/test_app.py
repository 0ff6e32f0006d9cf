"""Help for newcomers, errors in plain words, completion that runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphseq.cli import main
from graphseq.cli.app import (
    check_file,
    check_folder,
    check_picture,
    join_hyphens,
    make_app,
    parse_ids,
    parse_pairs,
    to_words,
)
from graphseq.cli.build import BuildOptions, ReadOptions
from graphseq.data import Vocabulary
from graphseq.errors import ConfigError

COMMANDS = ["get", "build", "update", "show", "diff", "export", "import"]
COMMANDS += ["train", "evaluate", "compare", "claims", "recommend", "demo"]


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
    assert named or command not in ([], ["train"])
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


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from graphseq.cli import main\n"
        "main(['--help'])\n"
        "heavy = {'torch', 'polars', 'lightning', 'numpy', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["biuld"], 'graphseq: Unknown command "biuld". Did you mean "build"?'),
        (
            ["build", "x", "--output", "y", "--kcore", "3"],
            "graphseq build: unknown option --kcore. Did you mean --k-core?",
        ),
        (
            ["build", "x", "--out", "y"],
            "graphseq build: --output is required. Did you mean --output instead of "
            "--out?",
        ),
        (
            ["build", "x", "--output", "y", "--over"],
            "graphseq build: unknown option --over. Did you mean --overwrite?",
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
        (["train"], "graphseq train: EXPERIMENTS is required"),
        (
            ["evaluate", "x", "--ks", "5", "0"],
            "graphseq evaluate: --ks takes a list of a whole number of 1 or more",
        ),
        (
            ["build", "x", "--output", "y", "--memory", "-1"],
            "graphseq build: --memory takes a finite number above 0; got -1.0.",
        ),
        (
            ["build", "x", "--output", "y", "--k-core", "0"],
            "graphseq build: --k-core takes a whole number of 1 or more; got 0.",
        ),
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
        ("build", "completion.b", "completion.bash"),
    ],
)
def test_completion_works_in_bash(
    words: str, last: str, expected: str, tmp_path: Path
) -> None:
    from graphseq.cli.build import build
    from graphseq.cli.evaluate import evaluate

    script = tmp_path / "completion.bash"
    app = make_app([("Graphs", [build, evaluate])])
    script.write_text(app.generate_completion(shell="bash"))
    code = COMPLETE.format(script=script, words=words, last=last)
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == expected.split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts_of_other_shells_name_the_options(shell: str) -> None:
    app = make_app([("Models", [recommend])])
    script = app.generate_completion(shell=shell)  # type: ignore[arg-type]
    assert "recommend" in script
    assert "users" in script


def test_options_become_words_without_the_defaults() -> None:
    reading = ReadOptions(columns=["user=a", "item=b"], times=Path("t.txt"))
    words = to_words(reading, BuildOptions(k_core=2, no_log=True, seed=0))
    expected = "--columns user=a item=b --times t.txt --k-core 2 --no-log"
    assert words == expected.split()


def test_pairs_have_a_known_name_and_a_value() -> None:
    assert parse_pairs("--columns", ["a=b=c"], "user=who") == {"a": "b=c"}
    assert parse_pairs("--columns", None, "user=who") == {}
    for word in ("a", "=b", "a="):
        with pytest.raises(ConfigError, match=f"pairs such as user=who; got '{word}'"):
            parse_pairs("--columns", [word], "user=who")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").touch()
    Path("folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("path", ["folder", "new", "new/deep", "."])
def test_a_folder_exists_or_can_be_created(place: Path, path: str) -> None:
    check_folder("--folder", Path(path))
    check_file("--record", Path(path) / "results.csv")
    assert sorted(p.name for p in place.iterdir()) == ["folder", "log.csv"]


def test_a_file_is_not_a_folder(place: Path) -> None:
    with pytest.raises(ConfigError) as error:
        check_folder("--folder", Path("log.csv"))
    assert str(error.value) == "log.csv is a file; --folder names a folder"
    with pytest.raises(ConfigError, match=r"log\.csv is a file; --folder is in a"):
        check_folder("--folder", Path("log.csv/run"))
    with pytest.raises(ConfigError, match=r"log\.csv is a file; --record is in a"):
        check_file("--record", Path("log.csv/results.csv"))


def test_a_folder_is_not_a_file(place: Path) -> None:
    with pytest.raises(ConfigError) as error:
        check_file("--record", Path("folder"))
    assert str(error.value) == "folder is a folder; --record names a file"
    check_file("--record", Path("log.csv"))


def test_a_folder_that_is_not_writable_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ConfigError, match="folder is not writable"):
        check_folder("--folder", Path("folder"))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("x.docx", "--plot ends in .png, .svg or .pdf; got '.docx'"),
        ("picture", "--plot ends in .png, .svg or .pdf; got 'picture'"),
        ("nofolder/x.png", "the folder nofolder for --plot does not exist"),
        ("log.csv/x.png", "the folder log.csv for --plot does not exist"),
    ],
)
def test_a_picture_has_a_format_and_a_folder(
    place: Path, path: str, words: str
) -> None:
    with pytest.raises(ConfigError) as error:
        check_picture("--plot", Path(path))
    assert str(error.value) == words
    check_picture("--plot", Path("folder/x.SVG"))


def test_words_stay_words_where_the_log_has_words() -> None:
    assert parse_ids(Vocabulary(["7", "b"]), ["7", "b"]) == ["7", "b"]


def test_words_become_numbers_where_the_log_has_numbers() -> None:
    assert parse_ids(Vocabulary([7, -8]), ["7", "-8"]) == [7, -8]
    others = ["007", "٧", "-0", "+7", "9" * 30]
    assert parse_ids(Vocabulary([7, -8]), others) == others  # unknown ids, not 7


def test_a_word_that_is_not_a_number_is_an_unknown_id() -> None:
    vocabulary = Vocabulary([7, 8])
    assert parse_ids(vocabulary, ["seven"]) == ["seven"]
    assert "seven" not in vocabulary


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 TiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
)
def test_too_little_memory_is_an_error_of_the_user(
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("graphseq.data.catalog", refuse)
    assert main(["get", "--list"]) == 2
    assert "Choose smaller sizes" in capsys.readouterr().err
