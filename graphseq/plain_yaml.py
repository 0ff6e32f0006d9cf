"""YAML as plain data: numbers, texts, lists and mappings, within limits.

A kilobyte of aliases can describe a structure that no memory holds. So the size of a
text, its nesting and its expanded size are limited, and whatever the parser raises
becomes one error with the line.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from graphseq.errors import ConfigError

MAX_CHARACTERS = 1 << 18  # an experiment has some thousands
MAX_DEPTH = 50  # nested lists and mappings
MAX_VALUES = 10_000  # with aliases expanded
KINDS = ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
TAGS = {f"tag:yaml.org,2002:{kind}" for kind in KINDS}
FAULTS = (ValueError, TypeError, LookupError, AttributeError, OverflowError)


class _Loader(yaml.SafeLoader):
    """A safe loader of plain data, which reads ``1e-3`` as a number."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._extents: dict[int, tuple[int, int]] = {}  # of nodes: depth and values
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        """A node whose depth and number of values are within the limits."""
        mark = self.peek_event().start_mark
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f"more than {MAX_DEPTH} nested lists and mappings", mark
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:  # super() raises in all these cases
            raise yaml.composer.ComposerError(None, None, "expected a value", mark)
        if id(node) not in self._extents:
            if node.end_mark is None:
                raise yaml.composer.ComposerError(
                    None, None, "an alias to the list or mapping that holds it", mark
                )
            self._extents[id(node)] = self._extent(node)
        depth, values = self._extents[id(node)]
        if depth > MAX_DEPTH or values > MAX_VALUES:
            raise yaml.composer.ComposerError(
                None,
                None,
                f"more than {MAX_VALUES:,} values or {MAX_DEPTH} levels, with aliases "
                "expanded; write fewer aliases",
                mark,
            )
        return node

    def _extent(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            return 0, 1
        inner = node.value
        if isinstance(node, yaml.MappingNode):
            inner = [part for pair in inner for part in pair]
        extents = [self._extents[id(part)] for part in inner]
        depth = max((depth for depth, _ in extents), default=0)
        return 1 + depth, 1 + sum(values for _, values in extents)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; a value that Python cannot hold is an error here."""
        try:
            return super().construct_object(node, deep)
        except FAULTS as error:
            value = node.value if isinstance(node, yaml.ScalarNode) else "a structure"
            tag = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{value!r:.40} is not a valid {tag}", node.start_mark
            ) from error

    def construct_scalar(self, node: Any) -> Any:
        """A text that UTF-8 can hold."""
        text = super().construct_scalar(node)
        text.encode()  # lone surrogates, from "\ud800"
        return text

    def construct_yaml_int(self, node: Any) -> int:
        """An integer of up to 64 bits."""
        if len(node.value) > 80:
            raise ValueError("too many digits")
        value: int = super().construct_yaml_int(node)
        if not -(2**63) <= value < 2**64:
            raise ValueError("more than 64 bits")
        return value

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys differ."""
        seen: set[Hashable] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            value = key.tag if key.tag.endswith(":merge") else ""
            value = value or self.construct_object(key, deep=True)
            if not isinstance(value, Hashable):
                problem = f"a key must be a text or a number; found a {key.id}"
            elif value in seen and not key.tag.endswith(":merge"):
                problem = f"duplicate key {value!r:.80}"
            else:
                seen.add(value)
                continue
            raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.yaml_constructors = {
    tag: read for tag, read in _Loader.yaml_constructors.items() if tag in {*TAGS, None}
}


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes texts which the loader would read as numbers."""


_Dumper.yaml_representers = {  # those of values that the loader reads
    kind: write
    for kind, write in _Dumper.yaml_representers.items()
    if kind not in (set, bytes)
}
for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$|[-+]?\.\d+[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )


def parse(text: str, source: str) -> Any:
    """Read YAML: data only, never objects.

    Args:
        text: One document.
        source: Where it is written, for messages.

    Raises:
        ConfigError: The text is not YAML, has a duplicate key, a value that Python
            cannot hold, or exceeds a limit; with the line.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"{source}: has {len(text):,} characters, more than the {MAX_CHARACTERS:,} "
            "of any file of options. Check that it is the right file"
        )
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{line}: {error.problem}") from None
    except (yaml.YAMLError, *FAULTS) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{source}: not a YAML file ({reason:.200})") from None


def dump(value: Any) -> str:
    """Plain data as YAML that :func:`parse` reads as the same value.

    Raises:
        ConfigError: The value is not plain data.
    """
    try:
        return yaml.dump(value, Dumper=_Dumper, sort_keys=False)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"only numbers, texts, lists and mappings can be written as YAML: {error}"
        ) from error


def read_text(path: Path) -> str:
    """The text of a file, as far as :func:`parse` would accept it.

    Raises:
        FileNotFoundError: The file does not exist.
        ConfigError: It cannot be read as text.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_CHARACTERS + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from None
