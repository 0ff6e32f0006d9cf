"""The section ``tune``: which options of an experiment a search varies, and how far.

::

    tune:
      train.lr: {log: [1e-4, 1e-2]}
      model.CL4SRec.contrast_weight: {uniform: [0.0, 0.5]}
      model.CL4SRec.backbone.encoder.Transformer.layers: {int: [1, 3]}
      model.CL4SRec.backbone.dim: {choice: [32, 64]}
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphseq.config.yaml import override
from graphseq.schema import InvalidOption, OptionError, format_value, refuse

KINDS = ("log", "uniform", "int", "choice")
OTHER_DATA = "trials with other held-out events cannot be compared, so it cannot vary"
SAME_FOR_ALL = {
    "data": OTHER_DATA,
    "filters": OTHER_DATA,
    "split": OTHER_DATA,
    "train.monitor": "all trials are compared by one metric, so it cannot vary",
    "train.history": "all trials are compared by one protocol, so it cannot vary",
    "train.seed": "the best of several seeds is chance: search with one, then train "
    "the best options with --seeds",
    "evaluate": "it says how the test part is ranked, which a search does not read",
}
"""Options that a search cannot vary, and why."""


@dataclass(frozen=True)
class Range:
    """The values of one option.

    Attributes:
        kind: ``log`` and ``uniform`` (numbers between two bounds, by their logarithm or
            their value), ``int`` (whole numbers), ``choice``.
        values: The two bounds, or the choices.
    """

    kind: str
    values: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        """The value that an Optuna trial suggests."""
        if self.kind == "choice":
            return self.values[trial.suggest_categorical(name, range(len(self.values)))]
        low, high = self.values
        if self.kind == "int":
            return trial.suggest_int(name, low, high)
        return trial.suggest_float(name, low, high, log=self.kind == "log")


Space = Mapping[str, Range]


def read_space(section: Any, source: str) -> dict[str, Range]:
    """Check the section ``tune``.

    Args:
        section: The section; ``None`` is empty.
        source: Where it is written.

    Raises:
        OptionError: With everything that is wrong.
    """
    if section is None:
        return {}
    problems: list[InvalidOption] = []
    if not isinstance(section, Mapping):
        message = f"expected options and their ranges, found {format_value(section)}"
        refuse(source, [InvalidOption("tune", message)])
    space: dict[str, Range] = {}
    for name, written in section.items():
        found = _range(written)
        if isinstance(found, Range):
            space[str(name)] = found
        else:
            problems.append(InvalidOption(f"tune.{name}", found))
    refuse(source, problems)
    return space


def _range(written: Any) -> Range | str:
    """A range, or what is wrong with it."""
    kinds = ", ".join(KINDS)
    if not isinstance(written, Mapping) or len(written) != 1:
        return (
            f"expected one of {kinds} with its values, such as {{log: [0.01, 0.5]}}; "
            f"found {format_value(written)}"
        )
    [(kind, values)] = written.items()
    if kind not in KINDS:
        return f"expected one of {kinds}; found {kind!r}"
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) < 2:
        return (
            f"{kind} needs a list of two values or more; found {format_value(values)}"
        )
    if kind == "choice":
        return Range(kind, tuple(values))
    number = int if kind == "int" else (int, float)
    low, high = values[0], values[-1]
    if len(values) != 2 or any(
        isinstance(v, bool) or not isinstance(v, number) or not math.isfinite(v)
        for v in values
    ):
        numbers = "whole numbers" if kind == "int" else "numbers"
        return f"{kind} needs two {numbers}; found {format_value(values)}"
    if low >= high:
        return f"{kind} needs a lower and a higher bound; found {format_value(values)}"
    if kind == "log" and low <= 0:
        return f"log needs bounds above 0; found {format_value(values)}"
    return Range(kind, (low, high) if kind == "int" else (float(low), float(high)))


def settings(values: Mapping[str, Any]) -> list[str]:
    """Values of options as the words of ``--set``."""
    return [f"{name}={json.dumps(value)}" for name, value in values.items()]


def check_space(space: Space, options: Mapping[str, Any], source: str) -> None:
    """Refuse a space with a bound or a choice that the experiment does not take.

    Args:
        space: The space.
        options: The sections of the experiment.
        source: Where they are written.

    Raises:
        OptionError: With everything that is wrong.
    """
    from graphseq.config.experiment import check

    problems: list[InvalidOption] = []
    for name, of in space.items():
        section = re.split(r"[.\[]", name, maxsplit=1)[0]
        if reason := SAME_FOR_ALL.get(name, SAME_FOR_ALL.get(section)):
            problems.append(InvalidOption(f"tune.{name}", reason))
            continue
        for value in of.values:
            try:
                check(override(options, settings({name: value})), source)
            except OptionError as error:
                for place, message in error.invalid:
                    problem = f"with {value!r}: {place}: {message}"
                    problems.append(InvalidOption(f"tune.{name}", problem))
    refuse(source, list(dict.fromkeys(problems)))
