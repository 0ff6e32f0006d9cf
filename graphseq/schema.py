"""A signature is the schema: options are checked against the annotations.

An option's name, type, range and default are written once, in the signature of the
class or function that takes it. Python calls (:class:`Configurable`, :func:`checked`),
experiment files and run folders read them from there.
"""

import functools
import inspect
import math
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

from annotated_types import Ge, Gt, Le, Lt

from graphseq.errors import ConfigError, suggest
from graphseq.signatures import invalid_names, parameters

Size = Annotated[int, Ge(1)]
"""A whole number of 1 or more: a width, a length, a number of layers."""
Count = Annotated[int, Ge(0)]
"""A whole number of 0 or more."""
Parallel = Annotated[int, Ge(1), Le(1024)]
"""A number of threads or processes; beyond the limit a system refuses to start them."""
Workers = Annotated[int, Ge(0), Le(1024)]
"""A number of processes besides the main one."""
Fraction = Annotated[float, Ge(0), Le(1)]
"""A number from 0 to 1: a part of a sequence, a probability."""
Dropout = Annotated[float, Ge(0), Lt(1)]
"""A probability of dropping a value; below 1."""
Weight = Annotated[float, Ge(0), Lt(math.inf)]
"""A finite number of 0 or more: the weight of a loss term, a penalty."""
Positive = Annotated[float, Gt(0), Lt(math.inf)]
"""A finite number above 0: a temperature, a learning rate."""

NAMED: dict[Any, str] = {
    Size: "a whole number of 1 or more",
    Count: "a whole number of 0 or more",
    Parallel: "a whole number from 1 to 1024",
    Workers: "a whole number from 0 to 1024",
    Fraction: "a number from 0 to 1",
    Dropout: "a number from 0 to below 1",
    Weight: "a finite number of 0 or more",
    Positive: "a finite number above 0",
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
    None: "None",
    types.NoneType: "None",
}
LARGEST = 2**63  # whole numbers of torch and numpy are below
LISTS = (list, tuple, Sequence, Collection, Iterable)
P = ParamSpec("P")
R = TypeVar("R")


class InvalidOption(NamedTuple):
    """An option that cannot be used: where it is written, and what is wrong."""

    name: str
    message: str


class OptionError(ConfigError, ValueError, TypeError):
    """Options of a class, a function or a file cannot be used.

    Attributes:
        invalid: All of them.
    """

    def __init__(self, source: str, invalid: Sequence[InvalidOption]) -> None:
        self.source, self.invalid = source, tuple(invalid)
        if len(self.invalid) == 1:
            [(name, message)] = self.invalid
            super().__init__(f"{source}: {name}: {message}")
            return
        width = max((len(name) for name, _ in self.invalid), default=0)
        lines = [f"  {name:<{width}}  {message}" for name, message in self.invalid]
        super().__init__("\n".join([f"{source}: {len(lines)} problems", *lines]))


def refuse(source: str, invalid: Iterable[InvalidOption]) -> None:
    """Raise one error that lists all invalid options; do nothing without any.

    Raises:
        OptionError: There are some.
    """
    if found := list(invalid):
        raise OptionError(source, found)


def find_invalid(
    target: Callable[..., Any], options: Mapping[str, Any]
) -> Iterator[InvalidOption]:
    """Every option of a call that does not fit the target's annotations.

    Args:
        target: A class or function.
        options: Its options by name; those left out have their defaults.
    """
    known = parameters(target)
    for name in options.keys() - known.keys():
        yield InvalidOption(name, f"not an option; {suggest(name, known)}")
    given = {name: plain(value) for name, value in options.items() if name in known}
    wrong = invalid_names(target, given)
    for name, value in given.items():
        if isinstance(value, int) and abs(value) >= LARGEST and name not in wrong:
            yield InvalidOption(name, f"{value:.3g} is more than 64 bits can hold")
    for name in (name for name in known if name in wrong):
        expected = format_type(known[name].annotation)
        found = format_value(options[name])
        yield InvalidOption(name, f"expected {expected}, found {found}")


class Configurable:
    """Checks the arguments of its construction, and remembers them with the defaults.

    Raises:
        OptionError: Arguments do not fit the annotations, or contradict each other.
    """

    options: dict[str, Any]
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the signature of ``__init__``, which ``__new__`` would hide."""
        super().__init_subclass__(**kwargs)
        _, *rest = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature(rest)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the object, and record its options."""
        options = bind(cls, args, kwargs)
        instance = super().__new__(cls)
        object.__setattr__(instance, "options", options)
        return instance

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Options that contradict each other, beyond what the annotations say.

        Args:
            options: All of them, defaults included; each fits its annotation. A part
                that a file describes, and that is not built yet, has the part's
                options as attributes.
        """
        yield from ()

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        """What ``copy.deepcopy`` and pickle pass to ``__new__``."""
        return (), self.options


def bind(
    target: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of a call by name, defaults included, all checked.

    Raises:
        OptionError: Options are unknown, missing, of a wrong type or range, or
            contradict each other.
    """
    known = parameters(target)
    order = [n for n, p in known.items() if p.kind is not p.KEYWORD_ONLY]
    positional = dict(zip(order, args, strict=False))
    given = positional | dict(kwargs)
    invalid = list(find_invalid(target, given))
    for name in positional.keys() & kwargs.keys():
        invalid.append(InvalidOption(name, "given twice"))
    if len(args) > len(order):
        message = f"expected at most {len(order)} without a name, found {len(args)}"
        invalid.append(InvalidOption("arguments", message))
    is_part = inspect.isclass(target) and issubclass(target, Configurable)
    if is_part:
        invalid += find_untyped(target, given)
    refuse(target.__name__, [*invalid, *find_missing(target, given)])
    options = fill_defaults(target, given)
    if is_part:
        refuse(target.__name__, target.conflicts(options))  # type: ignore[attr-defined]
    return options


def find_untyped(
    target: Callable[..., Any], given: Mapping[str, Any]
) -> Iterator[InvalidOption]:
    """Options that are parts, and have no annotation that a file could be read by."""
    known = parameters(target)
    for name in given.keys() & known.keys():
        value, hint = given[name], known[name].annotation
        values = value if isinstance(value, list | tuple) else [value]
        if hint is Any and any(isinstance(each, Configurable) for each in values):
            yield InvalidOption(
                name,
                f"found {format_value(value)} for an option without a type, so that no "
                "run folder could be read. Write the type in the signature, such as "
                f"{name}: Encoder",
            )


def find_missing(
    target: Callable[..., Any], given: Collection[str]
) -> Iterator[InvalidOption]:
    """Options without a default that a call leaves out."""
    for name, parameter in parameters(target).items():
        if parameter.default is parameter.empty and name not in given:
            expected = format_type(parameter.annotation)
            yield InvalidOption(name, f"missing; expected {expected}")


def fill_defaults(
    target: Callable[..., Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """All options of a call, in the order of the signature."""
    known = parameters(target).items()
    return {name: given.get(name, parameter.default) for name, parameter in known}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A function or method whose calls are checked against its annotations.

    Numbers of numpy reach it as numbers of Python.

    Raises:
        OptionError: When called with arguments that do not fit.
    """
    first = next(iter(inspect.signature(function).parameters), None)
    start = 1 if first == "self" else 0

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bind(function, args[start:], kwargs)
        own: Any = args[:start]
        values: Any = {name: plain(value) for name, value in kwargs.items()}
        return function(*own, *map(plain, args[start:]), **values)

    return call


def describe(value: Any) -> Any:
    """A value as JSON data; a :class:`Configurable` object as {class: options}."""
    if isinstance(value, Configurable):
        options = {name: describe(option) for name, option in value.options.items()}
        return {type(value).__name__: options}
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return value.__qualname__ if inspect.isfunction(value) else plain(value)


def plain(value: Any) -> Any:
    """Numbers of numpy as numbers of Python, also within lists."""
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(map(plain, value))
    is_scalar = type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0
    return value.item() if is_scalar else value


def format_value(value: Any, length: int = 80) -> str:
    """A value on one line, cut where it is longer; of a part, the name."""
    if isinstance(value, Configurable):
        return f"{type(value).__name__}(…)"
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def format_type(hint: Any) -> str:
    """An annotation in words: ``'mean' or 'last'``, ``Encoder or None``."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in NAMED:
        return NAMED[hint]
    if origin is Annotated:
        return format_type(arguments[0])
    if origin in (Union, types.UnionType):
        some = " or ".join(format_type(a) for a in arguments if a is not types.NoneType)
        return f"{some}, or None" if types.NoneType in arguments else some
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in LISTS or hint in LISTS:
        inner = [format_type(a) for a in arguments if a is not Ellipsis]
        return f"a list of {', '.join(inner)}" if inner else "a list"
    if (origin or hint) in (dict, Mapping):
        return "options by name"
    return getattr(origin or hint, "__name__", str(hint))
