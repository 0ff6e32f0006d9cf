"""Checkpoints without pickle: nested state as tensors and JSON in one safetensors file.

A checkpoint can hold what a pickle would: dicts with keys of any kind, tuples, None,
numbers, texts and tensors, nested to any depth. JSON has neither tuples nor tensors,
and only text keys, so these are encoded as objects with one key, which names the type;
dicts are too, so that no content can be mistaken for a type.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from graphseq.atomic import write_safetensors
from graphseq.errors import RunError

FORMAT = 1


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write nested state to a file, replacing it atomically.

    Raises:
        TypeError: The state contains an object that only a pickle could hold.
    """
    tensors: dict[str, Tensor] = {}
    header = {"format": FORMAT, "state": _encode(state, tensors, "state")}
    write_tensors(path, tensors, header)


def load_state(path: Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote: the same structure, tensors on the CPU.

    Raises:
        RunError: The file is missing, damaged, or not a checkpoint.
    """
    tensors, header = read_tensors(path)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise RunError(
            f"{path} is not a checkpoint of this version of graphseq. Resume with the "
            "version that wrote it, or train again in a new folder"
        )
    try:
        state: dict[str, Any] = _decode(header["state"], tensors)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(
            f"the checkpoint {path} is inconsistent ({error!r}). Restore it from a "
            "copy, or train again in a new folder"
        ) from error
    return state


def _encode(value: Any, tensors: dict[str, Tensor], path: str) -> Any:
    """A value as JSON data; its tensors are collected under their paths."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        name = f"{path} #{len(tensors)}"  # unique, although keys may contain dots
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {
            "dict": [
                [_encode(key, tensors, path), _encode(item, tensors, f"{path}.{key}")]
                for key, item in value.items()
            ]
        }
    if type(value) in (list, tuple):
        parts = [_encode(item, tensors, f"{path}.{i}") for i, item in enumerate(value)]
        return parts if type(value) is list else {"tuple": parts}
    raise TypeError(
        f"{path} is a {type(value).__name__}, which a checkpoint without pickle cannot "
        "hold. Use dicts, lists, tuples, tensors, numbers and texts"
    )


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_decode(key, tensors): _decode(item, tensors) for key, item in content}
    if kind == "tuple":
        return tuple(_decode(item, tensors) for item in content)
    raise ValueError(f"unknown type {kind!r}")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Any) -> None:
    """Replace a safetensors file atomically.

    Args:
        path: The file.
        tensors: Tensors by name, on any device; several may share memory.
        header: JSON data for the header of the file.
    """
    text = json.dumps(header)
    # One text: safetensors writes several in random order, and equal runs must end in
    # equal files.
    marked = json.dumps({"sha256": checksum(tensors, text), "header": text})
    write_safetensors(path, tensors, {"graphseq": marked})


def checksum(tensors: Mapping[str, Tensor], header: str) -> str:
    """SHA-256 of a header and of the name, type, shape and bytes of each tensor."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"\0{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Tensors and header of a file that :func:`write_tensors` wrote.

    Raises:
        RunError: The file is missing, damaged, or of another program.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            metadata = opened.metadata() or {}
        marked = json.loads(metadata.get("graphseq", "{}"))
        if not isinstance(marked, dict) or marked.keys() != {"sha256", "header"}:
            found = "it is a safetensors file of another program or version"
        elif marked["sha256"] != checksum(tensors, str(marked["header"])):
            found = "its content does not match its checksum; it is damaged"
        else:
            return tensors, json.loads(marked["header"])
    except FileNotFoundError:
        found = "the file does not exist"
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        found = f"it is damaged or of another program ({error})"
    raise RunError(
        f"cannot read {path}: {found}. Restore it from a copy, or train again in a new "
        "folder"
    )
