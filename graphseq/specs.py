"""Specifications: parts written as data, ``{Name: {option: value}}``.

An experiment file and a run folder name classes and functions with their options, which
:mod:`graphseq.spec_reader` reads. Here they are completed with the defaults, merged,
and built.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphseq.schema import OptionError, describe, fill_defaults
from graphseq.signatures import parameters


@dataclass(frozen=True)
class Spec:
    """A class or function and its options, checked but not built.

    The options can also be read as attributes, as those of the object to be built.

    Attributes:
        target: The class or function.
        given: The options as written, with :class:`Spec` for nested parts.
        place: Where they are written, such as ``model.SASRec``.
        supplied: Options that the data supply; they are not part of the description.
    """

    target: Callable[..., Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""
    supplied: frozenset[str] = frozenset()

    @property
    def options(self) -> dict[str, Any]:
        """All options, defaults included; supplied ones are left out."""
        filled = fill_defaults(self.target, self.given)
        return {name: filled[name] for name in filled if name not in self.supplied}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.options:
            raise AttributeError(name)
        return self.options[name]

    def walk(self) -> Iterator["Spec"]:
        """This specification and those of all parts."""
        yield self
        for value in self.given.values():
            for part in value if isinstance(value, list | tuple) else [value]:
                if isinstance(part, Spec):
                    yield from part.walk()

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


def class_of(part: Any) -> Any:
    """The class of a part, built or specified."""
    return part.target if isinstance(part, Spec) else type(part)


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


def merge(defaults: Any, options: Any) -> Any:
    """Options over defaults, key by key; parts are merged with the same part only.

    ``None`` means no options, or within options, for the value ``None``.
    """
    if isinstance(options, str) and _names_part(defaults):
        options = {options: {}}
    if not isinstance(defaults, Mapping) or not isinstance(options, Mapping):
        return defaults if options is None else options
    if _names_part(defaults) and defaults.keys() != options.keys():
        return options
    if _names_part(options) and not _names_part(defaults):
        [(name, inner)] = options.items()
        return {name: merge(defaults, inner)}
    merged = dict(defaults)
    for name, value in options.items():
        unset = value is None and not _names_part(defaults)
        merged[name] = None if unset else merge(defaults.get(name), value)
    return merged


def _names_part(options: Any) -> bool:
    """Whether options are ``{Name: options}`` of a class."""
    one = isinstance(options, Mapping) and len(options) == 1
    return one and str(next(iter(options)))[:1].isupper()
