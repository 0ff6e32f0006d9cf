"""Options written in a file, checked against the signatures they are meant for.

A signature is the schema: an option's name, type and default are written once, where
the object is built. All problems of a file are reported at once, so that it is mended
in one go.
"""

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from graphseq.errors import ConfigError, suggest

LISTS = (list, tuple, Sequence, Collection, Iterable)
MAPPINGS = (dict, Mapping)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file: where it stands, and what is wrong."""

    where: str
    what: str


def refuse(source: str, problems: Sequence[Problem]) -> None:
    """Raise one error that lists all problems; nothing happens if there are none.

    Raises:
        ConfigError: The problems, one a line, aligned.
    """
    if not problems:
        return
    width = max(len(problem.where) for problem in problems)
    lines = [f"  {problem.where:<{width}}  {problem.what}" for problem in problems]
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise ConfigError("\n".join([f"{source}: {count}", *lines]))


def shortened(value: Any, length: int = 80) -> str:
    """A value as it is written, cut where it is longer."""
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def parameters(
    target: Callable[..., Any], supplied: Collection[str] = ()
) -> dict[str, inspect.Parameter]:
    """The options of a class or function that a file may set, in their order.

    The returned parameters carry resolved types, never strings.
    """
    function = target.__init__ if inspect.isclass(target) else target
    hints = get_type_hints(function)
    found = list(inspect.signature(function).parameters.values())
    return {
        p.name: p.replace(annotation=hints.get(p.name, Any))
        for p in (found[1:] if inspect.isclass(target) else found)
        if p.name not in supplied
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY)
    }


def settable(
    target: Callable[..., Any], options: Mapping[str, Any], supplied: Collection[str]
) -> dict[str, inspect.Parameter]:
    """The parameters that a file may set; with a ``preset``, those of it as well."""
    known = parameters(target, supplied)
    if "preset" in options:
        for name, source in (("preset", "presets"), ("data", "for_data")):
            if names := tuple(getattr(target, source, ())):
                known[name] = inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=None,
                    annotation=Literal[names],
                )
    return known


@dataclass(frozen=True)
class Schema:
    """How options are checked against signatures, and turned into objects.

    Attributes:
        parts: The classes that an option may name, as in ``{Propagated: {layers: 2}}``;
            an option takes those that are subclasses of its type.
        supplied: Parameters that the data supply, never a file.
    """

    parts: Mapping[str, type] = field(default_factory=dict)
    supplied: frozenset[str] = frozenset()

    def check(
        self, target: Callable[..., Any], options: Any, where: str
    ) -> list[Problem]:
        """Every way in which ``options`` do not fit ``target``."""
        if not isinstance(options, Mapping | None):
            kind, found = target.__name__, shortened(options)
            what = f"expected options of {kind} by name, got {found}"
            return [Problem(where, what)]
        options = options or {}
        known = settable(target, options, self.supplied)
        problems = []
        for name, value in options.items():
            if name in known:
                hint = known[name].annotation
                problems += self.mismatches(value, hint, f"{where}.{name}")
                continue
            what = f"{target.__name__} has no such option; {suggest(name, known)}"
            if name in self.supplied:
                what = "this comes from elsewhere; leave it out"
            problems.append(Problem(f"{where}.{name}", what))
        for name, parameter in known.items():
            if parameter.default is parameter.empty and name not in options:
                what = f"{target.__name__} needs it: {self.spell(parameter.annotation)}"
                problems.append(Problem(f"{where}.{name}", what))
        return problems

    def mismatches(self, value: Any, hint: Any, where: str) -> list[Problem]:
        """Every way in which a value does not fit a type; none if it does."""
        origin, arguments = get_origin(hint) or hint, get_args(hint)
        wrong = [Problem(where, f"expected {self.spell(hint)}, got {shortened(value)}")]
        if hint is Any:
            return []
        if origin is Annotated:
            return self.mismatches(value, arguments[0], where)
        if origin in (Union, types.UnionType):
            found = [self.mismatches(value, member, where) for member in arguments]
            deeper = (f for f in found if f and f[0].where != where)
            return [] if [] in found else next(deeper, wrong)
        if origin is Literal:
            fits = any(type(value) is type(a) and value == a for a in arguments)
            return [] if fits else wrong
        if origin in LISTS:
            return self._elements(value, origin, arguments, where, wrong)
        if origin in MAPPINGS:
            if not isinstance(value, Mapping):
                return wrong
            of = arguments[1] if arguments else Any
            pairs = value.items()
            return [p for k, v in pairs for p in self.mismatches(v, of, f"{where}.{k}")]
        if inspect.isclass(origin) and (choices := self.choices(origin)):
            return self.pick(choices, value, where)[2]
        return [] if _is(value, origin) else wrong

    def _elements(
        self,
        value: Any,
        origin: Any,
        hints: tuple[Any, ...],
        where: str,
        wrong: list[Problem],
    ) -> list[Problem]:
        if not isinstance(value, list | tuple):
            return wrong
        if origin is tuple and hints and hints[-1] is not Ellipsis:
            if len(value) != len(hints):
                return wrong
        else:
            hints = (hints[0] if hints else Any,) * len(value)
        each = enumerate(zip(value, hints, strict=True))
        return [p for i, (v, h) in each for p in self.mismatches(v, h, f"{where}[{i}]")]

    def choices(self, kind: type) -> dict[str, type]:
        """The classes that an option of type ``kind`` may name."""
        return {name: p for name, p in self.parts.items() if issubclass(p, kind)}

    def pick(
        self, table: Mapping[str, Callable[..., Any]], value: Any, where: str
    ) -> tuple[str, Mapping[str, Any], list[Problem]]:
        """Read ``{Name: options}``, or a bare ``Name``, against a table of names."""
        entry = {value: {}} if isinstance(value, str) else value
        if not isinstance(entry, Mapping) or len(entry) != 1:
            names, found = ", ".join(table), shortened(value)
            what = f"expected one of {names}, as {{Name: {{option: …}}}}, got {found}"
            return "", {}, [Problem(where, what)]
        [(name, options)] = entry.items()
        if name not in table:
            what = f"no such name; {suggest(name, table)}"
            return name, {}, [Problem(f"{where}.{name}", what)]
        problems = self.check(table[name], options, f"{where}.{name}")
        return name, options or {}, problems

    def spell(self, hint: Any) -> str:
        """A type in the words of a file: ``int | None``, ``one of 'user', 'item'``."""
        origin, arguments = get_origin(hint) or hint, get_args(hint)
        if origin is Literal:
            spelt = ", ".join(repr(a) for a in arguments)
            return spelt if len(arguments) == 1 else f"one of {spelt}"
        if origin in (Union, types.UnionType):
            return " | ".join(self.spell(a) for a in arguments)
        if origin in LISTS:
            inner = [self.spell(a) for a in arguments if a is not Ellipsis]
            return f"list of {', '.join(inner)}" if inner else "list"
        if origin in MAPPINGS:
            return "options by name"
        if origin in (None, types.NoneType):
            return "None"
        if inspect.isclass(origin) and (choices := self.choices(origin)):
            return f"one of {', '.join(choices)}"
        return getattr(origin, "__name__", str(hint))


def _is(value: Any, kind: Any) -> bool:
    """Whether a plain value is of a plain type; a bool is never a number."""
    if kind is None:
        return value is None
    if not inspect.isclass(kind):
        return True
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, str if issubclass(kind, Path) else kind)
