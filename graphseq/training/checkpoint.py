"""Checkpoints without pickle: nested state as tensors and JSON in one safetensors file.

A checkpoint holds what a pickle would: dicts with keys that are numbers, tuples, None,
numbers, words and tensors, nested to any depth. JSON has no tuples, no keys but words
and no tensors, so these are spelt as objects with one key, which says what they are;
dicts are too, so that no content can be mistaken for a mark.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from graphseq.atomic import write_safetensors
from graphseq.errors import RunError

FORMAT = 1


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write nested state to a file, replacing it at once.

    Raises:
        TypeError: If the state holds something that only a pickle could; says where.
    """
    tensors: dict[str, Tensor] = {}
    words = {"format": FORMAT, "state": _spell(state, tensors, "state")}
    write_tensors(path, tensors, words)


def load_state(path: Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote: the same structure, tensors on the CPU.

    Raises:
        RunError: If the file is absent, damaged, or no checkpoint.
    """
    tensors, words = read_tensors(path)
    if not isinstance(words, dict) or words.get("format") != FORMAT:
        raise RunError(
            f"{path} is no checkpoint of this version of graphseq. Resume with the "
            "version that wrote it, or train again in a new folder"
        )
    try:
        state: dict[str, Any] = _read(words["state"], tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"the checkpoint {path} contradicts itself ({error!r}). Restore it from a "
            "copy, or train again in a new folder"
        ) from error
    return state


def _spell(value: Any, tensors: dict[str, Tensor], where: str) -> Any:
    """A value as JSON data; its tensors are set aside under the name of their place."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        name = f"{where} #{len(tensors)}"  # a key with a dot may repeat a place
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {
            "dict": [
                [_spell(key, tensors, where), _spell(item, tensors, f"{where}.{key}")]
                for key, item in value.items()
            ]
        }
    if type(value) in (list, tuple):
        parts = [_spell(item, tensors, f"{where}.{i}") for i, item in enumerate(value)]
        return parts if type(value) is list else {"tuple": parts}
    raise TypeError(
        f"{where} is a {type(value).__name__}, which a checkpoint without pickle "
        "cannot hold. Keep dicts, lists, tuples, tensors, numbers and words there"
    )


def _read(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_read(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((mark, content),) = value.items()
    if mark == "tensor":
        return tensors[content]
    if mark == "dict":
        return {_read(key, tensors): _read(item, tensors) for key, item in content}
    if mark == "tuple":
        return tuple(_read(item, tensors) for item in content)
    raise ValueError(f"unknown mark {mark!r}")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], words: Any) -> None:
    """Replace a safetensors file at once.

    Args:
        path: The file.
        tensors: By name, on any device; several may share their memory.
        words: JSON data for the file's header.
    """
    write_safetensors(path, tensors, {"graphseq": json.dumps(words)})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the words of a file that :func:`write_tensors` wrote.

    Raises:
        RunError: If the file is absent, damaged, or of another program.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            words = (opened.metadata() or {}).get("graphseq")
        if words is not None:
            return tensors, json.loads(words)
        found = "a safetensors file of another program"
    except FileNotFoundError:
        found = "nothing"
    except (SafetensorError, OSError, ValueError) as error:
        found = f"a damaged or foreign file ({error})"
    raise RunError(
        f"asked to read {path}, found {found}. Restore it from a copy, or train again "
        "in a new folder"
    )
