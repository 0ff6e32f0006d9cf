"""Read specifications: parts written as data, checked before anything is built.

Names and options are checked against the signatures (:mod:`graphseq.schema`), all
problems at once, and completed with the sizes and parts that the whole sets.
"""

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
    find_invalid,
    find_missing,
    format_value,
)
from graphseq.signatures import parameters
from graphseq.specs import Spec, merge

INHERITED = ("dim", "max_length")
"""Sizes that the parts of a part take over, where they do not set their own."""
OF_ONES_OWN = (
    ". A class of your own? Enter it in gs.models.PARTS or gs.models.MODELS first"
)
NOTHING: Mapping[str, Any] = types.MappingProxyType({})


@dataclass(frozen=True)
class Reader:
    """Reads specifications and collects what is wrong with them.

    Attributes:
        parts: Classes that options may name; an option takes the subclasses of its
            type.
        supplied: Options that the data supply, never a file.
        problems: What has been found to be wrong so far.
        ignore_supplied: Whether supplied options are dropped, as in the description of
            a built model, or are problems, as in a file.
    """

    parts: Mapping[str, type] = field(default_factory=dict)
    supplied: frozenset[str] = frozenset()
    problems: list[InvalidOption] = field(default_factory=list)
    ignore_supplied: bool = False

    def pick(
        self,
        table: Mapping[str, Callable[..., Any]],
        entry: Any,
        place: str,
        inherited: Mapping[str, Any] = NOTHING,
    ) -> Spec | None:
        """Read ``{Name: options}`` or ``Name`` against a table of names.

        Returns:
            The specification; ``None`` if something is wrong, which is added to the
            problems.
        """
        entry = {entry: {}} if isinstance(entry, str) else entry
        if not isinstance(entry, Mapping) or len(entry) != 1:
            names, found = ", ".join(table), format_value(entry)
            message = (
                f"expected one of {names}, as {{Name: {{option: …}}}}, found {found}"
            )
            self._problem(place, message)
            return None
        [(name, options)] = entry.items()
        if not isinstance(name, str) or name not in table:
            advice = suggest(name, table)
            is_part = place.startswith("model") and not advice.startswith("did you")
            message = f"unknown name; {advice}{OF_ONES_OWN * is_part}"
            self._problem(f"{place}.{name}", message)
            return None
        return self.read(table[name], options, f"{place}.{name}", inherited)

    def read(
        self,
        target: Callable[..., Any],
        options: Any,
        place: str,
        inherited: Mapping[str, Any] = NOTHING,
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
            message = f"expected options of {target.__name__} by name"
            self._problem(place, f"{message}, found {format_value(options)}")
            return None
        before, every = len(self.problems), parameters(target)
        known = {n: every[n] for n in every if n not in self.supplied}
        written = {str(name): value for name, value in (options or {}).items()}
        given = self._complete(target, written, known, inherited)
        sizes = {**inherited, **_sizes(given, known)}
        for name in list(given):
            where = f"{place}.{name}"
            if name in self.supplied and name in every:
                if not self.ignore_supplied:
                    self._problem(
                        where, "comes from the data or the command; leave it out"
                    )
                del given[name]
            elif name not in known:
                self._problem(where, f"not an option; {suggest(name, known)}")
                del given[name]
            else:
                given[name] = self._value(
                    given[name], known[name].annotation, where, sizes
                )
        plain = {n: v for n, v in given.items() if not isinstance(v, Spec | _Parts)}
        invalid = [*find_invalid(target, plain), *find_missing(target, given)]
        for name, message in invalid:
            if name not in self.supplied:
                self._problem(f"{place}.{name}", message)
        spec = Spec(target, given, place, self.supplied.intersection(every))
        if len(self.problems) == before and issubclass_of(target, Configurable):
            for name, message in target.conflicts(spec.options):  # type: ignore[attr-defined]
                self._problem(f"{place}.{name}", message)
        return spec if len(self.problems) == before else None

    def _complete(
        self,
        target: Callable[..., Any],
        written: Mapping[str, Any],
        known: Mapping[str, Any],
        inherited: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The written options with inherited sizes and the target's own parts."""
        given = {n: inherited[n] for n in INHERITED if n in known and n in inherited}
        given |= written
        defaults: Mapping[str, Any] = getattr(target, "part_defaults", {})
        for name, part in defaults.items():
            given[name] = merge(part, given.get(name))
        return given

    def _value(
        self, value: Any, hint: Any, place: str, sizes: Mapping[str, Any]
    ) -> Any:
        """A value with the parts that it names read as :class:`Spec`."""
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated and get_origin(arguments[0]) in LISTS:
            return self._value(value, arguments[0], place, sizes)
        if origin in LISTS and isinstance(value, list | tuple) and arguments:
            [element, *_] = arguments
            if not choices(element, self.parts):
                return value
            each = enumerate(value)
            return _Parts(
                self._value(v, element, f"{place}[{i}]", sizes) for i, v in each
            )
        members = arguments if origin in (Union, types.UnionType) else (hint,)
        for member in members:
            if get_origin(member) in LISTS and isinstance(value, list | tuple):
                return self._value(value, member, place, sizes)
        named = choices(hint, self.parts)
        if not named or not isinstance(value, str | Mapping | int | float):
            return _convert(value, members)
        first = next(iter(value), None) if isinstance(value, Mapping) else value
        if len(named) == 1 and first not in named and isinstance(value, Mapping):
            [only] = named.values()
            return self.read(only, value, place, sizes) or _BROKEN
        return self.pick(named, value, place, sizes) or _BROKEN

    def _problem(self, place: str, message: str) -> None:
        self.problems.append(InvalidOption(place, message))


def choices(hint: Any, parts: Mapping[str, type]) -> dict[str, type]:
    """The parts that an option may name, given its type or union of types."""
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else [hint]
    kinds = tuple(member for member in members if isinstance(member, type))
    return {name: part for name, part in parts.items() if issubclass_of(part, kinds)}


def find_option(
    target: Callable[..., Any],
    option: str,
    parts: Mapping[str, type],
    above: frozenset[Any] = frozenset(),
) -> str | None:
    """Where to write an option of a part, such as ``backbone.encoder.GRU.hidden``.

    The parts of the target's own defaults are searched first. Parts ``above`` are not
    searched again: some take a part of their own kind.
    """
    defaults: Mapping[str, Any] = getattr(target, "part_defaults", {})
    for name, parameter in parameters(target).items():
        possible = choices(parameter.annotation, parts)
        default = defaults.get(name)
        usual = next(iter(default), None) if isinstance(default, Mapping) else None
        if usual in possible:
            possible = {str(usual): possible[str(usual)], **possible}
        for part_name, part in possible.items():
            prefix = name if len(possible) == 1 else f"{name}.{part_name}"
            if option in parameters(part):
                return f"{prefix}.{option}"
            if part in above:
                continue
            if inner := find_option(part, option, parts, above | {part}):
                return f"{prefix}.{inner}"
    return None


def _convert(value: Any, members: tuple[Any, ...]) -> Any:
    """Numbers and texts of a file as the floats and paths that a signature names."""
    kinds = {get_args(m)[0] if get_origin(m) is Annotated else m for m in members}
    if Path in kinds and str not in kinds and isinstance(value, str):
        return Path(value)
    return float(value) if type(value) is int and float in kinds - {int} else value


def _sizes(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes for the parts: the written ones, or a width that one part sets."""
    sizes = {name: given.get(name) for name in INHERITED}
    for part in given.values() if "dim" in known else ():
        if sizes["dim"] is None and isinstance(part, Configurable):
            sizes["dim"] = getattr(part, "dim", None)
        elif sizes["dim"] is None and isinstance(part, Mapping) and len(part) == 1:
            [inner] = part.values()
            sizes["dim"] = inner.get("dim") if isinstance(inner, Mapping) else None
    return {n: size for n, size in sizes.items() if type(size) is int and size > 0}


class _Parts(list[Any]):
    """Elements that were read as parts."""


_BROKEN = Spec(lambda: None)


def issubclass_of(target: Any, kind: type | tuple[type, ...]) -> bool:
    """Whether the target is a class, and a subclass of ``kind``, or of one of them."""
    return isinstance(target, type) and issubclass(target, kind)
