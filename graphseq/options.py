"""The options an object was built with, read off its signature.

An option's name, type and default are written once, in ``__init__``. Whoever needs
them as data (a run folder, a graph's parameters) asks :func:`describe`.
"""

import inspect
from typing import Any, ClassVar


class Recorded:
    """Remembers the arguments of its construction, defaults filled in."""

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
    return value
