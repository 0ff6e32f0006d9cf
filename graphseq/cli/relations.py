"""Relations as they are asked for on the command line: ``cosine:100:min``."""

from typing import TYPE_CHECKING, get_args

from graphseq.errors import ConfigError, suggest

if TYPE_CHECKING:
    from torch_geometric.transforms import BaseTransform

    from graphseq.graphs import Attributes, CoOccurrence, Transitions
    from graphseq.graphs.cooccurrence import NodeKind

NONE, ALL = "none", "all"


def steps_of(
    user_user: str,
    item_item: str,
    transitions: str | None,
    attributes: str | None,
    attribute_columns: list[str] | None,
    hub_cap: int | None,
) -> "list[BaseTransform]":
    """The steps that the options of ``graphseq build`` ask for, in their order.

    Raises:
        ConfigError: An option is misspelt, or out of its range.
    """
    if attributes is None and attribute_columns is not None:
        raise ConfigError("--attribute-columns names columns of a file: --attributes")
    if hub_cap is not None and hub_cap < 1:
        raise ConfigError(f"--hub-cap is 1 or more; got {hub_cap}")
    found: list[BaseTransform | None] = [
        co_occurrence("user", user_user, hub_cap),
        co_occurrence("item", item_item, hub_cap),
        None if transitions is None else successions(transitions),
        None if attributes is None else described(attributes, attribute_columns),
    ]
    return [step for step in found if step is not None]


def co_occurrence(
    kind: "NodeKind", asked: str, hub_cap: int | None = None
) -> "CoOccurrence | None":
    """``WEIGHT[:K[:SYMMETRIZE]]`` as a step, ``none`` as nothing.

    Raises:
        ConfigError: It is spelt otherwise.
    """
    from graphseq.graphs import CoOccurrence
    from graphseq.graphs.cooccurrence import Symmetrize
    from graphseq.graphs.product import Weight

    option = f"--{kind}-{kind}"
    if asked == NONE:
        return None
    weight, *rest = asked.split(":")
    if len(rest) > 2:
        raise ConfigError(f"{option} takes WEIGHT[:K[:SYMMETRIZE]]; got {asked!r}")
    weights, ways = get_args(Weight), get_args(Symmetrize)
    top_k = _amount(option, rest[0]) if rest else 50
    way = rest[1] if rest[1:] else "max"
    return CoOccurrence(
        kind,
        weight=_one_of(option, "weight", weight, weights),  # type: ignore[arg-type]
        top_k=top_k,
        symmetrize=_one_of(option, "way to symmetrize", way, ways),  # type: ignore[arg-type]
        hub_cap=hub_cap,
    )


def successions(asked: str) -> "Transitions":
    """``WINDOW[:K[:DECAY]]`` as a step.

    Raises:
        ConfigError: It is spelt otherwise.
    """
    from graphseq.graphs import Transitions

    option = "--transitions"
    window, *rest = asked.split(":")
    if len(rest) > 2 or not window.isdecimal():
        raise ConfigError(
            f"{option} takes WINDOW[:K[:DECAY]], such as 1, 3:50 or 3:all:0.5; got "
            f"{asked!r}"
        )
    try:
        decay = float(rest[1]) if rest[1:] else 1.0
    except ValueError:
        raise ConfigError(
            f"{option} takes a number as DECAY; got {rest[1]!r}"
        ) from None
    top_k = _amount(option, rest[0]) if rest else 50
    return Transitions(window=int(window), top_k=top_k, decay=decay)


def described(file: str, columns: list[str] | None) -> "Attributes":
    """A file of attributes as a step; of its path the graph records the name only.

    Raises:
        ConfigError: The columns are spelt otherwise than item=… attribute=….
    """
    from pathlib import Path

    from graphseq.graphs import Attributes

    names = {}
    for pair in columns or []:
        role, sign, name = pair.partition("=")
        if role not in ("item", "attribute") or not (sign and name):
            raise ConfigError(
                f"--attribute-columns takes item=… and attribute=…; got {pair!r}"
            )
        names[role] = name
    if not Path(file).is_file():
        raise ConfigError(f"--attributes takes a file; there is none at {file}")
    step = Attributes(file, root=".", **names)
    step.options = step.options | {"source": Path(file).name}
    return step


def spelt(step: "BaseTransform") -> tuple[str, str]:
    """A step in words: the option that asks for it, and what it asks for."""
    from graphseq.graphs import Attributes, CoOccurrence, Transitions

    if isinstance(step, CoOccurrence):
        least = f"{step.top_k} heaviest" if step.top_k else "all"
        ends = {"max": "of either end", "min": "of both ends", "none": "one way"}
        words = f"{step.weight}, {least}, {ends[step.symmetrize]}"
        if step.hub_cap is not None:
            words += f", hubs above {step.hub_cap:,} left out"
        return f"{step.kind}-{step.kind}", words
    if isinstance(step, Transitions):
        least = f"{step.top_k} heaviest" if step.top_k else "all"
        fading = "" if step.decay == 1 else f", decay {step.decay:g}"
        return "transitions", f"window {step.window}, {least}{fading}"
    if isinstance(step, Attributes):
        return "attributes", str(step.options["source"])
    return type(step).__name__, ""


def _amount(option: str, asked: str) -> int | None:
    """How many edges a node keeps; ``all`` of them is nothing to count to."""
    if asked == ALL:
        return None
    if not asked.isdecimal() or int(asked) < 1:
        raise ConfigError(
            f"{option} takes a whole number from 1, or all, as K; got {asked!r}"
        )
    return int(asked)


def _one_of(option: str, what: str, asked: str, known: tuple[str, ...]) -> str:
    if asked not in known:
        raise ConfigError(
            f"{option} knows no {what} {asked!r}; {suggest(asked, known)} "
            f"There are {', '.join(known)}"
        )
    return asked
