"""A parser made of functions: each command's options are its signature.

The help of an option is its line under ``Args:``, the example of a command the last
part of its docstring. Nothing heavy is imported here, so that help comes at once.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from textwrap import indent
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NoReturn,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from docstring_parser import parse_from_object
from jsonargparse import ArgumentParser, DefaultHelpFormatter

from graphseq.errors import suggest

WELCOME = """\
Graphs, models and honest rankings from a log of user, item, time.

  graphseq demo                             see it all work, in a minute or two
  graphseq build log.csv --output graph     make the graphs of your own log
  graphseq get amazon-beauty                fetch a published data set
  graphseq train experiments/sasrec/beauty-ce-targets.yaml
                                            train a model on it, and measure it
"""


class Formatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Help for people: line breaks kept, defaults only where they say something."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if not action.option_strings or action.default in (
            None,
            False,
            [],
            "==SUPPRESS==",
        ):
            return text
        default = action.default
        spelt = " ".join(map(str, default)) if isinstance(default, list) else default
        return f"{text} (default: {spelt})"


class Parser(ArgumentParser):
    """A parser that complains in the words of the command line."""

    takes: dict[str, str]
    places: dict[str, str]

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong and how to learn more; exit with code 2."""
        program = self.prog.replace(" [options]", "")
        print(f"{program}: {self.mended(message)}", file=sys.stderr)
        print(f"See {program} --help", file=sys.stderr)
        self.exit(2)

    def mended(self, message: str) -> str:
        """A complaint with what was expected, or with the word probably meant."""
        if found := re.search(r"unrecognized arguments: (\S+)", message):
            flags = [f for action in self._actions for f in action.option_strings]
            return f"there is no option {found[1]}; {suggest(found[1], flags)}"
        if found := re.search(r"COMMAND: invalid choice: '(.*?)'", message):
            return f"there is no command {found[1]}; {suggest(found[1], self.takes)}"
        if 'expected "command"' in message:
            return f"which command? There are {', '.join(self.takes)}"
        if found := re.search(r"arguments are required: (.*)", message):
            command, _, name = found[1].split(", ")[0].partition(".")
            return (
                f"{command} needs {self.places.get(f'{command}.{name}', _flag(name))}"
            )
        found = re.search(r'^Parser key "(\w+)"', message)
        value = re.search(r"(?:Given|Got) value: (.*)", message)
        if found and value and found[1] in self.takes:
            return f"{self.takes[found[1]]}; got {value[1]!r}"
        return message


def make_parser(commands: Sequence[Callable[..., int | None]]) -> ArgumentParser:
    """One parser with a subcommand for each function, in their order."""
    parser = Parser(prog="graphseq", description=WELCOME, formatter_class=Formatter)
    subcommands = parser.add_subcommands(
        dest="command", metavar="COMMAND", title="commands", description=None
    )
    parser.takes, parser.places = {}, {}
    for command in commands:
        name = command.__name__
        brief, subparser = _subparser(command)
        subcommands.add_subcommand(name, subparser, help=brief.rstrip("."))
        parser.takes[name] = brief
        parser.places |= {f"{name}.{k}": v for k, v in subparser.places.items()}
    return parser


def _subparser(command: Callable[..., int | None]) -> tuple[str, Parser]:
    """The brief help of a command, and its parser."""
    said = parse_from_object(command)
    brief, more = said.short_description or "", said.long_description or ""
    examples = [m.description or "" for m in said.meta if m.args == ["examples"]]
    parameters = inspect.signature(command).parameters.values()
    places = [
        p.name.upper() if p.default is p.empty else f"[{p.name.upper()}]"
        for p in parameters
        if p.kind is not p.KEYWORD_ONLY
    ]
    needed = [
        f"{_flag(p.name)} {p.name.upper()}"
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty
    ]
    parser = Parser(
        usage=" ".join(["graphseq", command.__name__, *places, *needed, "[options]"]),
        description=f"{brief}\n\n{more}".strip(),
        epilog="examples:\n" + indent("\n".join(examples), "  "),
        formatter_class=Formatter,
    )
    parser.takes, parser.places = {}, {}
    helps = {p.arg_name: " ".join((p.description or "").split()) for p in said.params}
    hints = get_type_hints(command)
    for parameter in parameters:
        _add(parser, parameter, hints[parameter.name], helps[parameter.name])
    return brief, parser


def _add(parser: Parser, parameter: inspect.Parameter, hint: Any, text: str) -> None:
    """Add one parameter: keyword-only is an option, any other stands by its place."""
    name = parameter.name
    if parameter.kind is not parameter.KEYWORD_ONLY:
        several: dict[str, Any] = {}
        if get_origin(hint) is list:
            hint, several = get_args(hint)[0], {"nargs": "+"}
        if parameter.default is not parameter.empty:
            several = {"nargs": "?", "default": parameter.default}
        label = name.upper()
        parser.add_argument(name, type=hint, help=text, metavar=label, **several)
        parser.places[name] = name.upper()
        return
    if hint is bool:
        parser.add_argument(_flag(name), action="store_true", help=text)
        return
    of_list = [get_args(m)[0] for m in _members(hint) if get_origin(m) is list]
    kind = of_list[0] if of_list else hint
    required = parameter.default is parameter.empty
    extra: dict[str, Any] = {"nargs": "+"} if of_list else {}
    if of_list and parameter.default == []:
        extra["action"] = "extend"  # may be given several times
    parser.add_argument(
        _flag(name),
        type=kind,
        default=None if required else parameter.default,
        required=required,
        help=text,
        metavar=_choices(kind) or name.upper(),
        **extra,
    )
    parser.takes[name] = f"{_flag(name)} takes {_spell(kind)}"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _choices(kind: Any) -> str:
    """``{a,b}`` for a type that has only these values, else nothing."""
    of_words = [m for m in _members(kind) if get_origin(m) is Literal]
    values = [value for member in of_words for value in get_args(member)]
    return "{" + ",".join(map(str, values)) + "}" if values else ""


def _spell(kind: Any) -> str:
    """A type in plain words."""
    words = {int: "a whole number", float: "a number", str: "text"}
    spelt = [
        f"one of {', '.join(map(str, get_args(m)))}"
        if get_origin(m) is Literal
        else words[m]
        for m in _members(kind)
    ]
    return " or ".join(spelt)


def _members(kind: Any) -> tuple[Any, ...]:
    """What an option may be; nothing (``None``) is no value that one could give."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return tuple(member for member in members if member is not NoneType)
