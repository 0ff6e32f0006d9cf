"""The options an object was built with, read off its signature.

An option's name, type and default are written once, in ``__init__``. Whoever needs
them as data (a run folder, a graph's parameters) asks :func:`describe`.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from numbers import Integral
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

from graphseq.errors import ConfigError

Numbers = Mapping[str, int | float | None]


class Misfit(NamedTuple):
    """An option whose value cannot be: its name, the value, what it may be."""

    name: str
    value: Any
    allowed: str


class OptionError(ConfigError, ValueError):
    """Options of an object are out of their range.

    Attributes:
        misfits: All of them.
    """

    def __init__(self, misfits: Sequence[Misfit]) -> None:
        self.misfits = tuple(misfits)
        said = [f"{name}={value!r}: expected {a}" for name, value, a in self.misfits]
        super().__init__("; ".join(said))


RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "sizes": ("1 or more", lambda value: value >= 1),
    "counts": ("0 or more", lambda value: value >= 0),
    "rates": ("0 to 1", lambda value: 0 <= value <= 1),
    "dropouts": ("0 or more and below 1", lambda value: 0 <= value < 1),
    "amounts": ("0 or more, and finite", lambda value: 0 <= value < math.inf),
    "positive": ("a number above 0", lambda value: value > 0),
}
WHOLE = ("sizes", "counts")


def check_ranges(*others: Misfit, **kinds: Numbers) -> None:
    """Refuse options that are out of their range, all of them at once.

    >>> check_ranges(sizes={"dim": 64, "inner": None}, dropouts={"dropout": 0.5})

    Args:
        others: What else was found to be wrong.
        kinds: Options by name, for each kind of ``RANGES``; ``None`` fits all.

    Raises:
        OptionError: Naming each, with what it may be.
    """
    misfits = list(others)
    for kind, options in kinds.items():
        allowed, fits = RANGES[kind]
        for name, value in options.items():
            if value is None:
                continue
            if kind in WHOLE and not isinstance(value, Integral):
                misfits.append(Misfit(name, value, "a whole number"))
            elif not fits(value):
                misfits.append(Misfit(name, value, allowed))
    if misfits:
        raise OptionError(misfits)


def check_choices(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse what is none of the choices that a function's types name.

    A parameter of the type ``Literal["mean", "last"]`` takes one of the two.

    Raises:
        OptionError: Naming each such option, with its choices.
    """
    check_ranges(
        *(
            Misfit(name, options[name], " or ".join(map(repr, allowed)))
            for name, allowed in _choices(function).items()
            if name in options and options[name] not in allowed
        )
    )


class Recorded:
    """Remembers the arguments of its construction, defaults filled in.

    What is none of the choices that ``__init__`` names by its types is refused.
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
        bound = inspect.signature(cls.__init__).bind(instance, *args, **kwargs)
        bound.apply_defaults()
        options = dict(list(bound.arguments.items())[1:])
        check_choices(cls.__init__, options)
        object.__setattr__(instance, "options", options)
        return instance

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        """What ``copy.deepcopy`` and pickle hand to ``__new__``."""
        return (), self.options


def describe(value: Any) -> Any:
    """Spell a value as JSON data; a :class:`Recorded` object as {class: options}."""
    if isinstance(value, Recorded):
        options = {name: describe(option) for name, option in value.options.items()}
        return {type(value).__name__: options}
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


@cache
def _choices(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """The values of every parameter whose type names them one by one."""
    named = {}
    for name, hint in get_type_hints(function).items():
        is_union = get_origin(hint) in (Union, UnionType)
        members = get_args(hint) if is_union else (hint,)
        if all(get_origin(m) is Literal or m is NoneType for m in members):
            named[name] = tuple(c for m in members for c in get_args(m) or (None,))
    named.pop("return", None)
    return named
