"""The parser, made from functions, and checks of the values of options.

Each command is a function, each option a parameter: types, ranges and defaults come
from the signature, help from the docstring. Nothing heavy is imported here, so that
help is fast.
"""

import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pydantic as pydantic  # cyclopts then checks the ranges of annotations
from cyclopts import App, Argument, CycloptsError, Group, Parameter, Token
from cyclopts.exceptions import (
    CoercionError,
    ConsumeMultipleError,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)
from cyclopts.help import DefaultFormatter, PanelSpec
from docstring_parser import parse_from_object
from rich import box

from graphseq.cli.verbosity import with_verbosity
from graphseq.errors import ConfigError
from graphseq.schema import format_type, format_value

if TYPE_CHECKING:
    from graphseq.data import Vocabulary

Command = Callable[..., int | None]
Address = Annotated[str | Path, Parameter(metavar="PATH")]
"""A file, a folder, or what Spark reads, such as ``hdfs:///logs``."""
PICTURES = (".png", ".svg", ".pdf")

WELCOME = """\
Graphs, models and reproducible rankings from a log of user, item, time.

```text
graphseq demo                             try everything, in a minute or two
graphseq build log.csv --output graph     build the graphs of your own log
graphseq get amazon-beauty                download a published data set
graphseq train experiments/beauty/sasrec.yaml:ce-targets
                                          train and evaluate a model on it
```
graphseq COMMAND --help explains a command; graphseq --install-completion completes
commands and options in bash, zsh and fish."""

OPTIONS = Parameter(
    consume_multiple=1,  # --ks 1 10 100; the option can be repeated too
    negative=(),
    show_default=lambda value: value or None,
)
TYPES = {int: "a whole number", float: "a number"}


def make_app(groups: Iterable[tuple[str, Sequence[Command]]]) -> App:
    """Make the parser.

    Args:
        groups: Commands by the title under which the help lists them.
    """
    app = App(
        "graphseq",
        help=WELCOME,
        help_format="markdown",
        help_formatter=DefaultFormatter(panel_spec=PanelSpec(box=box.SIMPLE)),
        default_parameter=OPTIONS,
        version=_version,
        group_commands=Group("Options", sort_key=9),
    )
    app.register_install_completion_command(
        help="Set up completion for the current shell (bash, zsh or fish)."
    )
    for title, commands in groups:
        group = Group.create_ordered(title)
        for position, command in enumerate(commands):
            app.command(
                with_verbosity(command),
                name=command.__name__,
                group=group,
                help_epilogue=_examples(command),
                sort_key=position,
            )
    return app


def _version() -> str:
    import graphseq

    return graphseq.__version__


def _examples(command: Command) -> str:
    """The section *Examples* of a docstring, for the end of the help."""
    found = [m for m in parse_from_object(command).meta if m.args == ["examples"]]
    text = "\n".join(inspect.cleandoc(m.description or "") for m in found)
    return f"Examples:\n\n```text\n{text}\n```"


def join_hyphens(tokens: Iterable[str]) -> list[str]:
    """Attach values that begin with one hyphen to their option.

    ``--users -ana -ben`` becomes ``--users=-ana --users=-ben``. No options but these
    are written with one hyphen: ``-h``, ``-q``, ``-v``; every other token is a value.
    """
    joined: list[str] = []
    option = None
    for token in tokens:
        if token.startswith("--"):
            option = None if token == "--" else token.partition("=")[0]
        elif option and token.startswith("-") and token not in ("-", "-h", "-q", "-v"):
            token = f"{option}={token}"
            if joined[-1] == option:
                joined.pop()
        joined.append(token)
    return joined


def explain(error: CycloptsError) -> str:
    """The message of a parser error: what was found, and what was expected."""
    argument = error.argument
    name = "" if argument is None else argument.name
    name = name if name.startswith("--") else name.upper()
    match error:
        case ConsumeMultipleError():
            text = f"{name} needs at least one value."
        case MissingArgumentError(keyword=str()):
            text = f"{name} needs a value."
        case MissingArgumentError():
            similar = [w for w in error.unused_tokens or () if _is_similar(w, name)]
            hint = f" Did you mean {name} instead of {similar[0]}?" if similar else ""
            text = f"{name} is required.{hint}"
        case UnusedCliTokensError(unused_tokens=[token, *_]):
            text = f"unexpected argument {token!r}."
        case UnknownOptionError(token=token):
            written = token.keyword or token.value
            known = [name for a in error.argument_collection for name in a.names]
            similar = [option for option in known if _is_similar(written, option)]
            hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
            text = f"unknown option {written}.{hint}"
        case ValidationError(argument=Argument() as argument):
            expected = format_type(argument.field_info.annotation)
            expected = expected.removesuffix(" or None").rstrip(",")
            text = f"{name} takes {expected}; got {format_value(argument.value)}."
        case CoercionError(token=Token(value=value), target_type=kind) if kind in TYPES:
            text = f"{name} takes {TYPES[kind]}; got {value!r}."
        case _:
            text = str(error)
    program = " ".join(["graphseq", *(error.command_chain or [])])
    return f"{program}: {text}\nSee {program} --help"


def _is_similar(written: str, option: str) -> bool:
    """Whether a word is probably this option, abbreviated or misspelled."""
    if not written.startswith("--"):
        return False
    word, known = written.removeprefix("--"), option.removeprefix("--")
    return option.startswith(written) or bool(get_close_matches(word, [known]))


def to_words(*groups: Any) -> list[str]:
    """Options as words of a command line; those with the default are left out."""
    words: list[str] = []
    for name, value in changed(*groups).items():
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words += map(str, value if isinstance(value, list) else [value])
    return words


def changed(*groups: Any) -> dict[str, Any]:
    """The options of dataclasses that do not have the default."""
    return {
        option.name: getattr(group, option.name)
        for group in groups
        for option in fields(group)
        if getattr(group, option.name) != option.default
    }


def check_folder(option: str, path: Path) -> None:
    """Refuse a folder that does not exist and cannot be created.

    Raises:
        ConfigError: A file is in the way, or the parent is not writable.
    """
    _check_parent(option, path, "folder")


def check_file(option: str, path: Path) -> None:
    """Refuse an output file that is a folder, or cannot be created.

    Raises:
        ConfigError: Naming the folder or file in the way.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; {option} names a file")
    _check_parent(option, path.parent, "file")


def check_picture(option: str, path: Path) -> None:
    """Refuse a picture of an unknown format, or in a folder that does not exist.

    Raises:
        ConfigError: Naming the formats or the folder.
    """
    if path.suffix.lower() not in PICTURES:
        found = path.suffix or path.name
        raise ConfigError(f"{option} ends in .png, .svg or .pdf; got {found!r}")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} for {option} does not exist")
    check_file(option, path)


def _check_parent(option: str, path: Path, kind: str) -> None:
    """Check the nearest existing path: the path itself or a parent."""
    nearest = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not nearest.is_dir():
        where = "names" if nearest == path and kind == "folder" else "is in"
        raise ConfigError(f"{nearest} is a file; {option} {where} a folder")
    if not os.access(nearest, os.W_OK):
        raise ConfigError(
            f"{nearest} is not writable; choose another {option}, or change its "
            "permissions"
        )


def parse_pairs(
    option: str,
    words: Iterable[str] | None,
    example: str,
    is_known: Callable[[str], bool] = bool,
) -> dict[str, str]:
    """``NAME=VALUE`` words as a mapping.

    Raises:
        ConfigError: A word has another form or name, or a name occurs twice; the
            message shows the example.
    """
    found: dict[str, str] = {}
    for word in words or ():
        name, _, value = word.partition("=")
        if not (value and is_known(name)):
            raise ConfigError(f"{option} takes pairs such as {example}; got {word!r}")
        if name in found:
            raise ConfigError(
                f"{option} names {name} twice, {found[name]} and {value}; choose one"
            )
        found[name] = value
    return found


def parse_ids(vocabulary: "Vocabulary", words: Sequence[str]) -> list[str | int]:
    """Raw ids as the vocabulary holds them: numbers, if the ids of the log are.

    Only the decimal string of an integer is one: 007 and 7 are two ids.
    """
    if not vocabulary.ids.dtype.is_integer():
        return list(words)
    return [int(w) if _is_integer(w) else w for w in words]


def _is_integer(word: str) -> bool:
    digits = word.removeprefix("-")
    is_plain = digits.isascii() and digits.isdecimal() and len(digits) < 20
    return is_plain and str(int(word)) == word
