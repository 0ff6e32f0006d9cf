"""The parser: each command is a function, each option a parameter of it.

Types and defaults come from the signature, help from the docstring. Nothing heavy is
imported here, so that help is fast.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches

from cyclopts import App, CycloptsError, Group, Parameter, Token
from cyclopts.exceptions import (
    CoercionError,
    ConsumeMultipleError,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.help import DefaultFormatter, PanelSpec
from docstring_parser import parse_from_object
from rich import box

Command = Callable[..., int | None]

WELCOME = """\
Graphs, models and reproducible rankings from a log of user, item, time.

```text
graphseq demo                             try everything, in a minute or two
graphseq build log.csv --output graph     build the graphs of your own log
graphseq get amazon-beauty                download a published data set
graphseq train experiments/sasrec/beauty-ce-targets.yaml
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
                command,
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

    ``--users -ana -ben`` becomes ``--users=-ana --users=-ben``. No option but ``-h``
    is written with one hyphen, so every other such token is a value.
    """
    joined: list[str] = []
    option = None
    for token in tokens:
        if token.startswith("--"):
            option = None if token == "--" else token.partition("=")[0]
        elif option and token.startswith("-") and token not in ("-", "-h"):
            token = f"{option}={token}"
            if joined[-1] == option:
                joined.pop()
        joined.append(token)
    return joined


def explain(error: CycloptsError) -> str:
    """What is wrong with a command line, and what was expected."""
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
            text = f"there is no option {written}.{hint}"
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
    return option.startswith(written) or bool(get_close_matches(written, [option]))
