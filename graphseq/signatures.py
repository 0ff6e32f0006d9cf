"""The options in a signature: names, defaults, and types that pydantic checks."""

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints


def parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a class or function by name, with resolved annotations."""
    return dict(_parameters(target.__init__ if inspect.isclass(target) else target))


@functools.cache
def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return {
        name: parameter.replace(annotation=hints.get(name, Any))
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def invalid_names(target: Callable[..., Any], given: Mapping[str, Any]) -> set[Any]:
    """Names of the options whose values do not fit the annotations."""
    from pydantic import ValidationError

    function = target.__init__ if inspect.isclass(target) else target
    try:
        _checker(function).model_validate(given)
    except ValidationError as error:
        return {problem["loc"][0] for problem in error.errors(include_url=False)}
    return set()


@functools.cache
def _checker(function: Callable[..., Any]) -> Any:
    """The pydantic model of a signature; every field is optional in it."""
    from pydantic import ConfigDict, Field, create_model

    fields: Any = {
        f"field_{place}": (_sequence(parameter.annotation), Field(None, alias=name))
        for place, (name, parameter) in enumerate(_parameters(function).items())
    }
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    return create_model("Options", __config__=config, **fields)


def _sequence(hint: Any) -> Any:
    """The annotation with ``tuple`` read as any list of such elements."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_sequence, arguments))]  # noqa: UP007
    if origin is tuple:
        from pydantic import BeforeValidator

        return Annotated[hint, BeforeValidator(_as_tuple)]
    return hint


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
