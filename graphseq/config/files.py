"""Experiment files as plain data: YAML read safely, and overridden key by key."""

import difflib
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from graphseq.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """A safe loader that knows ``1e-3`` for a number and refuses a key given twice."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        """A mapping whose keys differ."""
        named = [key for key, _ in node.value if not key.tag.endswith(":merge")]
        keys = [self.construct_object(key, deep=True) for key in named]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                mark = named[place].start_mark
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice", mark
                )
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$|[-+]?\.\d+[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def parse(text: str, source: str) -> Any:
    """Read YAML: data only, no object of any kind.

    Raises:
        ConfigError: The text is no YAML, or gives a key twice; with the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{line}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not a YAML file ({error})") from None


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file.

    Raises:
        ConfigError: There is no such file, or it is no YAML.
    """
    path = Path(path)
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        folder = path.parent
        others = (
            sorted(p.name for p in folder.glob("*.y*ml")) if folder.is_dir() else []
        )
        near = difflib.get_close_matches(path.name, others, n=1)
        cure = f"; did you mean {folder / near[0]}?" if near else ""
        raise ConfigError(f"{path}: there is no such file{cure}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from None


def override(options: Any, settings: Sequence[str]) -> Any:
    """Apply ``section.Name.option=value`` settings to a copy of the options.

    A place in a list is its number: ``graph[0].CoOccurrence.top_k=20``. A section or
    option that is not there yet is added; whether it exists is checked afterwards,
    with the rest of the file.

    Raises:
        ConfigError: A setting has no ``=``, or names a place that cannot be.
    """
    for setting in settings:
        path, sign, text = setting.partition("=")
        keys = [key for key in re.split(r"[.\[\]]+", path.strip()) if key]
        if not sign or not keys:
            raise ConfigError(
                f"--set takes KEY=VALUE, such as model.SASRec.dim=32; got {setting!r}"
            )
        options = _placed(options, keys, parse(text, f"--set {setting}"), setting)
    return options


def _placed(options: Any, keys: list[str], value: Any, setting: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(options, list):
        if not key.isdigit() or int(key) >= len(options):
            raise ConfigError(
                f"--set {setting}: {key!r} is no place in a list of {len(options)}; "
                f"count from 0, as in graph[0]"
            )
        copy = list(options)
        copy[int(key)] = _placed(copy[int(key)], rest, value, setting)
        return copy
    if isinstance(options, dict | None):
        options = options or {}
        return {**options, key: _placed(options.get(key), rest, value, setting)}
    if not isinstance(options, str):
        raise ConfigError(
            f"--set {setting}: {key!r} is below {options!r}, a plain value"
        )
    return {options: None, key: _placed(None, rest, value, setting)}
