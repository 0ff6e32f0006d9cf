"""Names of parts of tensors, such as ``blocks.{i}.qkv.{k}[:D]``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from torch import Tensor

_ADDRESS = re.compile(r"([^\[\]]+?)(?:\[([^\[\]]+)\])?(\.T)?")
_TERM = re.compile(r"([+-]?)(\d*)\*?([A-Z]?)")
_SUM = re.compile(r"[+-]?TERM(?:[+-]TERM)*".replace("TERM", r"(?:\d+\*?[A-Z]?|[A-Z])"))
_FIELD = re.compile(r"\{([^\W\d]\w*)\}")


@dataclass(frozen=True)
class TensorPart:
    """A part of a tensor.

    Attributes:
        name: Of the tensor.
        index: Of the part, in the first axes.
        transposed: Whether its two axes are exchanged.
    """

    name: str
    index: tuple[int | slice, ...]
    transposed: bool

    def of(self, tensor: Tensor) -> Tensor:
        """The part as a view.

        Raises:
            IndexError: The tensor has fewer axes or rows.
        """
        part = tensor[self.index]
        if not self.transposed:
            return part
        if part.dim() != 2:
            raise IndexError(f".T needs two axes, and the part has {part.dim()}")
        return part.T


def parse_part(text: str, sizes: Mapping[str, int]) -> TensorPart:
    """Read ``NAME``, ``NAME[1:V+1]``, ``NAME[0, :2*D]`` or ``NAME[0].T``.

    Args:
        text: The name and the index. A bound is a sum of numbers, sizes, and their
            products; below 0 it counts from the end.
        sizes: Numbers by their letter.

    Raises:
        ValueError: The text has another form.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        raise ValueError("expected NAME, NAME[1:V+1], NAME[0, :D] or NAME.T")
    name, index, transposed = found.groups()
    axes = index.split(",") if index else []
    return TensorPart(name, tuple(_axis(a, sizes) for a in axes), bool(transposed))


def _axis(text: str, sizes: Mapping[str, int]) -> int | slice:
    bounds = ["".join(bound.split()) for bound in text.split(":")]
    if len(bounds) == 1:
        return _number(bounds[0], sizes)
    if len(bounds) > 2:
        raise ValueError(f"[{text}] has a step; an index is a row or a range of rows")
    return slice(*(_number(bound, sizes) if bound else None for bound in bounds))


def _number(text: str, sizes: Mapping[str, int]) -> int:
    if not _SUM.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a sum of numbers and sizes, such as V+1 or 2*D"
        )
    total = 0
    for sign, factor, letter in _TERM.findall(text):
        if letter and letter not in sizes:
            known = ", ".join(f"{name} = {size}" for name, size in sizes.items())
            raise ValueError(f"{letter} is not a size of the model; it has {known}")
        if factor or letter:
            size = int(factor or 1) * sizes.get(letter, 1)
            total += -size if sign == "-" else size
    return total


def matches(pattern: str, names: Mapping[str, object]) -> Iterator[dict[str, str]]:
    """Names of a pattern: their fields, with the name itself as ``""``.

    Args:
        pattern: ``{i}`` is any text without a dot, ``*`` any text.
        names: The names to search.
    """
    fields: set[str] = set()
    searched = ""
    for literal, field in zip_longest(
        _FIELD.split(pattern)[::2], _FIELD.findall(pattern)
    ):
        searched += ".*".join(map(re.escape, literal.split("*")))
        if field is not None:
            searched += f"(?P={field})" if field in fields else f"(?P<{field}>[^.]+)"
            fields.add(field)
    for name in names:
        if fitting := re.fullmatch(searched, name):
            yield {"": name, **fitting.groupdict()}


def fill(pattern: str, fields: Mapping[str, str]) -> str:
    """A pattern with its fields replaced by their values.

    Raises:
        ValueError: A field has no value.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in fields:
            raise ValueError(f"{found[0]} is not in the name on the left")
        return fields[found[1]]

    return _FIELD.sub(value, pattern)
