"""Specifications: parts written as data, ``{Name: {option: value}}``.

An experiment file and a run folder name classes and functions with their options. Here
they are checked against the signatures (:mod:`graphseq.schema`), all problems at once
and before anything is built, completed with the defaults, and built.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from graphseq.errors import suggest
from graphseq.schema import (
    LISTS,
    Configurable,
    InvalidOption,
    OptionError,
    describe,
    fill_defaults,
    find_invalid,
    find_missing,
    format_value,
    parameters,
)

INHERITED = ("dim", "max_length")
"""Sizes that the parts of a part take over, where they do not set their own."""


@dataclass(frozen=True)
class Spec:
    """A class or function and its options, checked but not built.

    The options can also be read as attributes, as those of the object to be built.

    Attributes:
        target: The class or function.
        given: The options as written, with :class:`Spec` for nested parts.
        place: Where they are written, such as ``model.SASRec``.
    """

    target: Callable[..., Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """All options, defaults included; supplied ones are left out."""
        filled = fill_defaults(self.target, self.given)
        return {k: v for k, v in filled.items() if v is not inspect.Parameter.empty}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.options:
            raise AttributeError(name)
        return self.options[name]

    def resolve(self) -> dict[str, Any]:
        """The options with all defaults, as plain data."""
        return {name: _resolve(value) for name, value in self.options.items()}

    def build(self, **supplied: Any) -> Any:
        """Build the parts, then call the target.

        Args:
            supplied: Options that the data supply, such as ``num_items``; each part
                takes those that it names.

        Raises:
            OptionError: With the places of the options that contradict each other.
        """
        known = parameters(self.target)
        ordered = sorted(self.given, key=list(known).index)
        options = {name: _build(self.given[name], supplied) for name in ordered}
        options |= {k: v for k, v in supplied.items() if k in known}
        try:
            return self.target(**options)
        except OptionError as error:
            nested = [p._replace(name=f"{self.place}.{p.name}") for p in error.invalid]
            raise OptionError("experiment", nested) from error


def _resolve(value: Any) -> Any:
    if isinstance(value, Spec):
        return {value.target.__name__: value.resolve()}
    if isinstance(value, list | tuple):
        return [_resolve(element) for element in value]
    return describe(value)


def _build(value: Any, supplied: Mapping[str, Any]) -> Any:
    if isinstance(value, Spec):
        return value.build(**supplied)
    if isinstance(value, list | tuple):
        return type(value)(_build(element, supplied) for element in value)
    return value


@dataclass(frozen=True)
class Reader:
    """Reads specifications and collects what is wrong with them.

    Attributes:
        parts: Classes that options may name; an option takes the subclasses of its
            type.
        supplied: Options that the data supply, never a file.
        problems: What has been found to be wrong so far.
    """

    parts: Mapping[str, type] = field(default_factory=dict)
    supplied: frozenset[str] = frozenset()
    problems: list[InvalidOption] = field(default_factory=list)

    def pick(
        self, table: Mapping[str, Callable[..., Any]], entry: Any, place: str
    ) -> Spec | None:
        """Read ``{Name: options}`` or ``Name`` against a table of names.

        Returns:
            The specification; ``None`` if something is wrong, which is added to the
            problems.
        """
        entry = {entry: {}} if isinstance(entry, str) else entry
        if not isinstance(entry, Mapping) or len(entry) != 1:
            names, found = ", ".join(table), format_value(entry)
            what = f"expected one of {names}, as {{Name: {{option: …}}}}, found {found}"
            self._problem(place, what)
            return None
        [(name, options)] = entry.items()
        if not isinstance(name, str) or name not in table:
            what = f"unknown name; {suggest(name, table)}"
            self._problem(f"{place}.{name}", what)
            return None
        return self.read(table[name], options, f"{place}.{name}")

    def read(
        self,
        target: Callable[..., Any],
        options: Any,
        place: str,
        inherited: Mapping[str, Any] = types.MappingProxyType({}),
    ) -> Spec | None:
        """Read the options of a class or function.

        Args:
            target: The class or function.
            options: Its options by name, or ``None``.
            place: Where they are written.
            inherited: Sizes of the part that this one belongs to.

        Returns:
            The specification; ``None`` if something is wrong.
        """
        if not isinstance(options, Mapping | None):
            what = f"expected options of {target.__name__} by name"
            self._problem(place, f"{what}, found {format_value(options)}")
            return None
        known, before = parameters(target), len(self.problems)
        options = {str(name): value for name, value in (options or {}).items()}
        for name in self.supplied & options.keys() & known.keys():
            self._problem(f"{place}.{name}", "comes from the data; leave it out")
            del options[name]
        for name in INHERITED:
            if name in known and name in inherited:
                options.setdefault(name, inherited[name])
        defaults: Mapping[str, Any] = getattr(target, "part_defaults", {})
        for name, part in defaults.items():
            given = self._unnamed(options.get(name), known[name].annotation)
            options[name] = merge(part, given)
        sizes = {**inherited, **{n: options[n] for n in INHERITED if n in options}}
        read = {
            name: self._value(value, known[name].annotation, f"{place}.{name}", sizes)
            if name in known
            else value
            for name, value in options.items()
        }
        ready = {n: v for n, v in read.items() if not _is_nested(v)}
        for name, message in find_invalid(target, ready):
            self._problem(f"{place}.{name}", message)
        for name, message in find_missing(target, read):
            if name not in self.supplied:
                self._problem(f"{place}.{name}", message)
        spec = Spec(target, read, place)
        if len(self.problems) == before and issubclass_of(target, Configurable):
            for name, message in target.conflicts(spec.options):  # type: ignore[attr-defined]
                self._problem(f"{place}.{name}", message)
        return spec if len(self.problems) == before else None

    def _value(
        self, value: Any, hint: Any, place: str, sizes: Mapping[str, Any]
    ) -> Any:
        """A value with the parts that it names read as :class:`Spec`."""
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in LISTS and isinstance(value, list | tuple) and arguments:
            if not self._choices(arguments[0]):
                return value
            each = enumerate(value)
            element = arguments[0]
            return _Parts(
                self._value(v, element, f"{place}[{i}]", sizes) for i, v in each
            )
        members = arguments if origin in (Union, types.UnionType) else (hint,)
        choices: dict[str, type] = {}
        for member in members:
            if get_origin(member) in LISTS and isinstance(value, list | tuple):
                return self._value(value, member, place, sizes)
            choices |= self._choices(member)
        if not choices or not isinstance(value, str | Mapping):
            return _convert(value, members)
        named = value if isinstance(value, str) else next(iter(value), None)
        if len(choices) == 1 and named not in choices and isinstance(value, Mapping):
            [only] = choices.values()
            return self.read(only, value, place, sizes) or _BROKEN
        entry = {value: {}} if isinstance(value, str) else value
        if len(entry) == 1 and named in choices:
            part = choices[str(named)]
            where = f"{place}.{named}"
            return self.read(part, entry[named], where, sizes) or _BROKEN
        self.pick(choices, value, place)
        return _BROKEN

    def _unnamed(self, value: Any, hint: Any) -> Any:
        """The options of ``{Name: options}``, where no other name is possible."""
        members = get_args(hint) or (hint,)
        names = {name for member in members for name in self._choices(member)}
        if len(names) == 1 and isinstance(value, Mapping) and value.keys() == names:
            [value] = value.values()
        return value

    def _choices(self, hint: Any) -> dict[str, type]:
        """The classes that an option of a type may name."""
        if not isinstance(hint, type):
            return {}
        return {
            name: part for name, part in self.parts.items() if issubclass(part, hint)
        }

    def _problem(self, place: str, message: str) -> None:
        self.problems.append(InvalidOption(place, message))


def _convert(value: Any, members: tuple[Any, ...]) -> Any:
    """Numbers and texts of a file as the floats and paths that a signature names."""
    kinds = {get_args(m)[0] if get_origin(m) is Annotated else m for m in members}
    if Path in kinds and isinstance(value, str):
        return Path(value)
    return float(value) if type(value) is int and float in kinds - {int} else value


class _Parts(list[Any]):
    """Elements that were read as parts."""


_BROKEN = Spec(lambda: None)


def _is_nested(value: Any) -> bool:
    return isinstance(value, Spec | _Parts)


def issubclass_of(target: Any, kind: type) -> bool:
    """Whether the target is a class, and a subclass of ``kind``."""
    return isinstance(target, type) and issubclass(target, kind)


def merge(defaults: Any, options: Any) -> Any:
    """Options over defaults, key by key; parts are merged with the same part only."""
    if not isinstance(defaults, Mapping) or not isinstance(options, Mapping | None):
        return options
    merged = dict(defaults)
    for name, value in (options or {}).items():
        mine = merged.get(name)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            same = mine.keys() == value.keys() or not _names_part(mine)
            merged[name] = merge(mine, value) if same else value
        else:
            merged[name] = value
    return merged


def _names_part(options: Mapping[str, Any]) -> bool:
    return len(options) == 1 and next(iter(options))[:1].isupper()
