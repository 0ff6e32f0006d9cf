"""Experiment files as plain data: safe YAML, base files and overrides."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphseq.errors import ConfigError
from graphseq.plain_yaml import parse, read_text
from graphseq.schema import format_value
from graphseq.specs import merge

SUFFIXES = (".yaml", ".yml")
MAX_BASES = 10  # files that name one another as a base
MAX_KEYS = 50  # of one setting, as nested sections


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file as it is written.

    Raises:
        ConfigError: The file does not exist, or is not YAML.
    """
    path = Path(path)
    try:
        return parse(read_text(path), str(path))
    except FileNotFoundError:
        folder = path.parent
        others = (
            sorted(p.name for p in folder.glob("*.y*ml")) if folder.is_dir() else []
        )
        near = difflib.get_close_matches(path.name, others, n=1)
        hint = f"; did you mean {folder / near[0]}?" if near else ""
        raise ConfigError(f"{path}: no such file{hint}") from None


def read_merged(path: str | Path, below: tuple[Path, ...] = ()) -> Any:
    """Read a file merged over the files that its key ``base`` names.

    Args:
        path: A YAML file. ``base: FILE`` or ``base: [FILE, …]`` is relative to it; of
            several, later ones take precedence.
        below: The files that name this one as a base, for cycles.

    Raises:
        ConfigError: A file cannot be read, is not a YAML file, or is its own base.
    """
    path = Path(path)
    if path.resolve() in below:
        chain = " → ".join(p.name for p in (*below, path.resolve()))
        raise ConfigError(f"{path}: base files form a cycle: {chain}")
    if len(below) >= MAX_BASES:
        raise ConfigError(
            f"{path}: is the base of a base, {MAX_BASES} times over. Name fewer files"
        )
    options = read_yaml(path)
    if not isinstance(options, Mapping) or "base" not in options:
        return options
    written = options["base"]
    bases = written if isinstance(written, list) else [written]
    merged: dict[str, Any] = {}
    for name in bases:
        is_path = isinstance(name, str) and "\0" not in name
        if not is_path or Path(name).suffix not in SUFFIXES:
            raise ConfigError(
                f"{path}: base: expected a YAML file such as presets/cl4srec.yaml, or "
                f"a list of them; found {format_value(written)}"
            )
        base = read_merged(path.parent / name, (*below, path.resolve()))
        if not isinstance(base, Mapping) or "variants" in base:
            raise ConfigError(
                f"{path}: base: {name} must contain sections, without variants"
            )
        merged = merge_sections(merged, base)
    return merge_sections(merged, {k: v for k, v in options.items() if k != "base"})


def merge_sections(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Sections over sections, option by option; lists are replaced.

    Another data source, split or model replaces the one of the base.
    """
    merged = dict(base)
    for name, section in own.items():
        before = merged.get(name)
        if isinstance(before, str) and isinstance(section, Mapping):
            before = {before: {}}
        merged[name] = section
        if isinstance(before, Mapping) and isinstance(section, Mapping):
            same = bool(before.keys() & section.keys())
            if same or name not in ("data", "split", "model"):
                merged[name] = merge({name: before}, {name: section})[name]
    return merged


def nest(key: str, value: Any) -> Any:
    """The value below the words of a dotted key: ``{"train": {"lr": 0.1}}``."""
    for word in reversed(key.split(".")):
        value = {word: value}
    return value


def override(options: Any, settings: Sequence[str]) -> Any:
    """Apply ``section.Name.option=value`` settings to a copy of the options.

    The elements of a list are numbered: ``graph[0].CoOccurrence.top_k=20``. Sections
    and options may be new; whether they exist is checked with the rest of the file.

    Raises:
        ConfigError: A setting has no ``=``, or its key cannot exist.
    """
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign or not key.strip(" .[]"):
            raise ConfigError(
                "--set expects KEY=VALUE, such as model.SASRec.backbone.dim=32; found "
                f"{setting!r}"
            )
        value = parse(text, f"--set {setting}")
        options = assign(options, key, value, f"--set {setting}")
    return options


def assign(options: Any, key: str, value: Any, source: str) -> Any:
    """A copy of the options with the value at a dotted key.

    Raises:
        ConfigError: The key cannot exist; with the source.
    """
    keys = [part for part in re.split(r"[.\[\]]+", key.strip()) if part]
    if len(keys) > MAX_KEYS:
        raise ConfigError(
            f"{format_value(source)}: names {len(keys)} nested sections; no option is "
            f"below more than {MAX_KEYS}"
        )
    return _assigned(options, keys, value, source)


def _assigned(options: Any, keys: list[str], value: Any, source: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(options, list):
        if not re.fullmatch("[0-9]{1,9}", key) or int(key) >= len(options):
            raise ConfigError(
                f"{source}: {key!r} is not a position in a list of {len(options)}; "
                "count from 0, as in graph[0]"
            )
        copy = list(options)
        copy[int(key)] = _assigned(copy[int(key)], rest, value, source)
        return copy
    if isinstance(options, Mapping | None):
        options = options or {}
        return {**options, key: _assigned(options.get(key), rest, value, source)}
    if not isinstance(options, str):
        raise ConfigError(
            f"{source}: {key!r} is below {format_value(options)}, a plain value"
        )
    return {options: None, key: _assigned(None, rest, value, source)}
