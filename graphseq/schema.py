"""The options an object was built with, read off its signature.

An option's name, type and default are written once, in ``__init__``. Whoever needs
them as data (a run folder, a graph's parameters) asks :func:`describe`.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from graphseq.errors import ConfigError, suggest

Numbers = Mapping[str, int | float | None]


class InvalidOption(NamedTuple):
    """An option whose value cannot be: its name, the value, what it may be."""

    name: str
    value: Any
    allowed: str


class OptionError(ConfigError, ValueError):
    """Options of an object are out of their range.

    Attributes:
        invalid: All of them.
    """

    def __init__(self, invalid: Sequence[InvalidOption]) -> None:
        self.invalid = tuple(invalid)
        said = [f"{name}={_shown(v)}: expected {a}" for name, v, a in self.invalid]
        super().__init__("; ".join(said))


def _shown(value: Any) -> str:
    """A value on one line; of a part, the name alone."""
    return (
        f"{type(value).__name__}(…)" if isinstance(value, Configurable) else repr(value)
    )


RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "sizes": ("1 or more", lambda value: value >= 1),
    "counts": ("0 or more", lambda value: value >= 0),
    "rates": ("0 to 1", lambda value: 0 <= value <= 1),
    "dropouts": ("0 or more and below 1", lambda value: 0 <= value < 1),
    "amounts": ("0 or more, and finite", lambda value: 0 <= value < math.inf),
    "positive": ("a number above 0", lambda value: value > 0),
}
WHOLE = ("sizes", "counts")
PLAIN = {int, float, bool, str, NoneType, Any}


def check_ranges(*others: InvalidOption, **kinds: Numbers) -> None:
    """Refuse options that are out of their range, all of them at once.

    >>> check_ranges(sizes={"dim": 64, "inner": None}, dropouts={"dropout": 0.5})

    Args:
        others: What else was found to be wrong.
        kinds: Options by name, for each kind of ``RANGES``; ``None`` fits all.

    Raises:
        OptionError: Naming each, with what it may be.
    """
    invalid = list(others)
    for kind, options in kinds.items():
        allowed, fits = RANGES[kind]
        for name, value in options.items():
            if value is None:
                continue
            if kind in WHOLE and not isinstance(value, Integral):
                invalid.append(InvalidOption(name, value, "a whole number"))
            elif not fits(value):
                invalid.append(InvalidOption(name, value, allowed))
    if invalid:
        raise OptionError(invalid)


def check_choices(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse what is none of the things that a function's types name.

    A parameter of the type ``Literal["mean", "last"]`` takes one of the two, one of
    the type ``Encoder | None`` an encoder or nothing, ``Sequence[int]`` whole numbers.
    Plain numbers and words are left to the checks of their ranges.

    Raises:
        OptionError: Naming each such option, with what it may be.
    """
    check_ranges(
        *(
            InvalidOption(name, options[name], _spell(hint))
            for name, hint in _hints(function).items()
            if name in options and not _fits(options[name], hint)
        )
    )


class Configurable:
    """Remembers the arguments of its construction, defaults filled in.

    What is not of the type that ``__init__`` gives an option is refused.
    """

    options: dict[str, Any]
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the signature of ``__init__``, which ``__new__`` would hide."""
        super().__init_subclass__(**kwargs)
        _, *rest = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature(rest)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the object, and note what it is made with."""
        instance = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        known = [*signature.parameters][1:]
        kinds = {p.kind for p in signature.parameters.values()}
        for name in kwargs.keys() - known:
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                said = suggest(name, known)
                raise TypeError(f"{cls.__name__} has no option {name!r}; {said}")
        bound = signature.bind(instance, *args, **kwargs)
        bound.apply_defaults()
        options = dict(list(bound.arguments.items())[1:])
        check_choices(cls.__init__, options)
        object.__setattr__(instance, "options", options)
        return instance

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        """What ``copy.deepcopy`` and pickle hand to ``__new__``."""
        return (), self.options


def describe(value: Any) -> Any:
    """A value as JSON data; a :class:`Configurable` object as {class: options}."""
    if isinstance(value, Configurable):
        options = {name: describe(option) for name, option in value.options.items()}
        return {type(value).__name__: options}
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


@cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of the parameters, but for plain numbers and words."""
    hints = get_type_hints(function)
    hints.pop("return", None)
    return {name: hint for name, hint in hints.items() if not _members(hint) <= PLAIN}


def _members(hint: Any) -> set[Any]:
    """The types of a union, or the one type."""
    is_union = get_origin(hint) in (Union, UnionType)
    return set(get_args(hint) if is_union else (hint,))


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; what this does not understand, it lets pass."""
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, member) for member in arguments)
    if origin is Literal:
        return any(type(value) is type(a) and value == a for a in arguments)
    if origin in (int, float):
        kind = Integral if origin is int else Real
        return isinstance(value, kind) and not isinstance(value, bool)
    if origin in (Sequence, list, tuple):
        if isinstance(value, str) or not isinstance(value, Iterable):
            return False
        if not isinstance(value, list | tuple) or not arguments:
            return True
        hints = arguments
        if origin is not tuple or Ellipsis in arguments:
            hints = (arguments[0],) * len(value)
        return len(hints) == len(value) and all(map(_fits, value, hints))
    if not inspect.isclass(origin):
        return True
    return isinstance(value, origin)


def _spell(hint: Any) -> str:
    """A type in words: ``'mean' or 'last'``, ``Encoder or None``."""
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_spell(member) for member in arguments)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Sequence, list, tuple):
        inner = [_spell(a) for a in arguments if a is not Ellipsis]
        return f"a list of {', '.join(inner)}"
    words = {int: "a whole number", float: "a number", NoneType: "None"}
    return words.get(origin, getattr(origin, "__name__", str(hint)))
