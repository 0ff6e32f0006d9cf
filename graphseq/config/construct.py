"""Options that have been checked become objects, and are written out in full."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import torch

from graphseq.config.checks import LISTS, MAPPINGS, Schema, parameters, settable
from graphseq.schema import OptionError, describe


def build(
    schema: Schema,
    target: Callable[..., Any],
    options: Mapping[str, Any] | None,
    where: str = "",
    **supplied: Any,
) -> Any:
    """Call ``target`` with options that ``schema.check`` found nothing wrong with.

    Args:
        schema: What the options were checked with.
        target: A class or a function.
        options: Its options as read from a file: lists for tuples, ``{Name: options}``
            for objects; ``preset`` names a set of them, which the others overrule.
        where: Where the options stand in the file, such as ``model.SASRec``.
        supplied: What the data supply; each target takes those of them that it names.

    Raises:
        OptionError: Options are out of their range; it names their places.
    """
    known = settable(target, options or {}, ())
    given = {
        name: _convert(
            schema, value, known[name].annotation, f"{where}.{name}", supplied
        )
        for name, value in (options or {}).items()
    }
    given |= {name: value for name, value in supplied.items() if name in known}
    make: Callable[..., Any] = target
    if "preset" in given:
        make = partial(target.preset, given.pop("preset"))  # type: ignore[attr-defined]
    try:
        return make(**given)
    except OptionError as error:
        places = [m._replace(name=f"{where}.{m.name}") for m in error.invalid]
        raise OptionError("experiment", places) from error


def _convert(
    schema: Schema, value: Any, hint: Any, where: str, supplied: dict[str, Any]
) -> Any:
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        fitting = (a for a in arguments if not schema.mismatches(value, a, ""))
        return _convert(schema, value, next(fitting), where, supplied)
    if origin in LISTS and origin is not list:
        return tuple(value)
    if origin is float:
        return float(value)
    if isinstance(origin, type) and origin not in MAPPINGS:
        if issubclass(origin, Path):
            return Path(value)
        if choices := schema.choices(origin):
            name, options, _ = schema.pick(choices, value, "")
            return build(schema, choices[name], options, f"{where}.{name}", **supplied)
    return value


def resolve(
    schema: Schema, target: Callable[..., Any], options: Mapping[str, Any] | None
) -> dict[str, Any]:
    """All options of ``target`` as plain data: what is not written is the default.

    A preset is written out, as what it stands for.
    """
    if "preset" in (options or {}):
        sizes: dict[str, Any] = dict.fromkeys(schema.supplied, 4)
        with torch.random.fork_rng(devices=[]):  # weights are drawn, and thrown away
            [made] = describe(build(schema, target, options, **sizes)).values()
        return {name: made[name] for name in made if name not in schema.supplied}
    filled: dict[str, Any] = {}
    for name, parameter in parameters(target, schema.supplied).items():
        if name not in (options or {}):
            filled[name] = _plain(parameter.default)
            continue
        value = (options or {})[name]
        choices = _named(schema, parameter.annotation)
        if choices and isinstance(value, str | Mapping):
            part, inner, _ = schema.pick(choices, value, "")
            value = {part: resolve(schema, choices[part], inner)}
        filled[name] = value
    return filled


def _named(schema: Schema, hint: Any) -> dict[str, type]:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    found: dict[str, type] = {}
    for member in members:
        if isinstance(member, type):
            found |= schema.choices(member)
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
