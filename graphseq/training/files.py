"""Files of a run folder: written beside, then renamed, so that none is ever half there.

Tensors go into safetensors and words into its header, as JSON: one file, one rename,
nothing pickled.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from graphseq.atomic import write_safetensors
from graphseq.errors import RunError


def write_text(path: Path, text: str) -> None:
    """Replace a text file at once."""
    beside = _beside(path)
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], words: Any) -> None:
    """Replace a safetensors file at once.

    Args:
        path: The file.
        tensors: By name, on any device; several may share their memory.
        words: JSON data for the file's header.
    """
    beside = _beside(path)
    write_safetensors(beside, tensors, {"graphseq": json.dumps(words)})
    os.replace(beside, path)


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


def _beside(path: Path) -> Path:
    """A name in the same folder; the same every time, so a kill leaves one at most."""
    return path.with_name(f".{path.name}.new")
