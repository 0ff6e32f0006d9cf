"""Experiments of a file: one, or a variant for each entry of ``variants``.

A variant is named ``FILE.yaml:VARIANT``. Its options are merged over those of the file;
it may claim a result::

    variants:
      bce:
        model.SASRec.backbone.loss: bce
        claim: {HR@10 kept: ">= 0.0660", source: "Table 3"}
"""

import glob
import os
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.config.claims import check_claim
from graphseq.config.space import read_space
from graphseq.config.yaml import assign, merge_sections, nest, override, read_merged
from graphseq.errors import ConfigError, suggest

if TYPE_CHECKING:
    from graphseq.config.experiment import Experiment

VARIANT = re.compile(r"(?P<path>.*\.ya?ml):(?P<variant>[^:/\\]+)")
NAME = re.compile(r"[\w.+-]+")
FRAGMENTS = "presets"
"""Folder of files that are bases of experiments and not experiments themselves."""


def load(path: str | Path, settings: Sequence[str] = ()) -> "Experiment":
    """Read one experiment and check it.

    Args:
        path: A YAML file; of a file with several variants, ``FILE.yaml:VARIANT``.
        settings: Overrides, such as ``model.SASRec.backbone.dim=32``.

    Raises:
        ConfigError: The file cannot be read, or with everything that is wrong in it.
    """
    return _load(path, settings, read_file)


def _load(
    path: str | Path,
    settings: Sequence[str],
    read: Callable[[str], tuple[Any, Mapping[str, Mapping[str, Any]]]],
) -> "Experiment":
    file, wanted = split_name(path)
    options, variants = read(file)
    if wanted is None and len(variants) == 1:
        [wanted] = variants
    if wanted is None and variants:
        raise ConfigError(
            f"{file} has {len(variants)} variants: {', '.join(variants)}. Choose one: "
            f"{file}:{next(iter(variants))}"
        )
    if wanted is not None and wanted not in variants:
        message = suggest(wanted, variants) if variants else "the file has no variants"
        raise ConfigError(f"{file}: unknown variant {wanted!r}; {message}")
    return _experiment(file, options, variants, wanted, settings)


def load_all(path: str | Path, settings: Sequence[str] = ()) -> "list[Experiment]":
    """All experiments of a file, in its order.

    Raises:
        ConfigError: As :func:`load`.
    """
    options, variants = read_file(path)
    names: list[str | None] = [*variants] or [None]
    return [_experiment(path, options, variants, n, settings) for n in names]


def experiments_of(argument: str, settings: Sequence[str] = ()) -> "list[Experiment]":
    """The experiments that an argument of the command line names.

    Args:
        argument: As for :func:`experiment_names`.
        settings: Overrides of each of them.

    Raises:
        ConfigError: It names none, or with everything that is wrong in one.
    """
    read = cache(read_file)  # once for all variants of a file
    return [_load(name, settings, read) for name in experiment_names(argument)]


def experiment_names(argument: str) -> list[str]:
    """The names of the experiments that an argument names, each for :func:`load`.

    Args:
        argument: A file, ``FILE.yaml:VARIANT``, a folder, or a pattern such as
            ``experiments/*/sasrec.yaml`` or ``sasrec.yaml:ce-*``. Folders named
            ``presets`` contain bases, and are left out. Of a file that cannot be read
            the name is the file.

    Raises:
        ConfigError: It names no experiment.
    """
    pattern, wanted = split_name(argument)
    path = Path(pattern)
    if path.is_dir():
        files = sorted(
            p for suffix in ("yaml", "yml") for p in path.rglob(f"*.{suffix}")
        )
        found = [
            str(p) for p in files if FRAGMENTS not in p.relative_to(path).parts[:-1]
        ]
    else:
        found = [pattern] if path.is_file() else sorted(glob.glob(pattern))
    names, known = [], []
    for file in map(_short, found):
        try:
            variants = [*read_file(file)[1]]
        except ConfigError:
            names.append(file)  # load gives the reason
            continue
        known += variants
        chosen = [v for v in variants if wanted is None or fnmatchcase(v, wanted)]
        names += [f"{file}:{v}" for v in chosen]
        if not variants and wanted is None:
            names.append(file)
    if not names and found and wanted is not None:
        raise ConfigError(
            f"{pattern} has no variant {wanted!r}; {suggest(wanted, known)}"
        )
    if not names:
        raise ConfigError(
            f"{argument} names no experiment: expected a YAML file, FILE.yaml:VARIANT, "
            "a folder of experiments, or a pattern"
        )
    return names


def split_name(name: str | Path) -> tuple[str, str | None]:
    """A file and the variant, if the name has one."""
    found = VARIANT.fullmatch(str(name))
    return (found["path"], found["variant"]) if found else (str(name), None)


def read_file(path: str | Path) -> tuple[Any, Mapping[str, Mapping[str, Any]]]:
    """The options of a file, merged over its bases, and the changes of its variants.

    Raises:
        ConfigError: The file cannot be read, or its variants are not named changes.
    """
    options = read_merged(path)
    if not isinstance(options, Mapping) or "variants" not in options:
        return options, {}
    variants = options["variants"]
    if not isinstance(variants, Mapping) or not variants:
        raise ConfigError(f"{path}: variants: expected changes by name; {variants!r}")
    for name, changes in variants.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ConfigError(
                f"{path}: variants: expected names of letters, digits, '-', '_', '+' "
                f"and '.'; found {name!r}"
            )
        if not isinstance(changes, Mapping | None):
            raise ConfigError(
                f"{path}: variants.{name}: expected options to change; {changes!r}"
            )
    if "claim" in options:
        raise ConfigError(f"{path}: claim: in a file with variants, write one for each")
    shared = {name: value for name, value in options.items() if name != "variants"}
    return shared, {name: changes or {} for name, changes in variants.items()}


def _experiment(
    path: str | Path,
    options: Any,
    variants: Mapping[str, Mapping[str, Any]],
    variant: str | None,
    settings: Sequence[str],
) -> "Experiment":
    """One experiment of a file, checked."""
    from graphseq.config.experiment import check

    name = _short(str(path)) + (f":{variant}" if variant else "")
    source = f"{path}:{variant}" if variant else str(path)
    if not isinstance(options, Mapping):
        return check(override(options, settings), source)
    changes = dict(variants[variant]) if variant else {}
    for key, value in changes.items():
        if "[" in key:
            options = assign(options, key, value, f"{source}: {key}")
        else:
            options = merge_sections(options, nest(key, value))
    about = {
        "claim": check_claim(options.get("claim"), source),
        "tune": read_space(options.get("tune"), source),
    }
    sections = {key: value for key, value in options.items() if key not in about}
    return check(override(sections, settings), source, name=name, **about)


def _short(name: str) -> str:
    """A file below the current folder, relative to it."""
    near = os.path.relpath(name)
    return name if near.startswith("..") else Path(near).as_posix()
