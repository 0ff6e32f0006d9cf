"""Provenance of a run: versions, commit and device, and the identity of the graph."""

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

from graphseq.graphs import held_out_hash, whole_hash
from graphseq.training.run import Run

LIBRARIES = (
    "graphseq",
    "torch",
    "torch-geometric",
    "lightning",
    "numpy",
    "polars",
    "scipy",
    "safetensors",
)


def environment(accelerator: str, threads: int, precision: str) -> dict[str, Any]:
    """Versions, commit and machine, as JSON data.

    Args:
        accelerator: The option of :func:`graphseq.fit`.
        threads: Intra-op threads of each process.
        precision: The precision used, which can be another than the one requested.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "commit": commit(Path(__file__).parents[1]),
        "device": _device(accelerator),
        "threads": threads,
        "precision": precision,
    }


def identity(graph: HeteroData) -> dict[str, Any]:
    """The sizes and the two hashes that identify a graph."""
    return {
        "num_users": int(graph["user"].num_nodes),
        "num_items": int(graph["item"].num_nodes),
        "hash": whole_hash(graph),
        "held_out_hash": held_out_hash(graph),
    }


def origin(run: Run) -> dict[str, Any]:
    """What identifies the run whose weights another one starts from."""
    with run.weights_file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "folder": str(run.folder),
        "weights_sha256": digest,
        "graph": run.record["graph"]["hash"],
        "commit": run.record["environment"]["commit"],
    }


def commit(folder: Path) -> dict[str, Any] | None:
    """Commit of the git checkout that tracks ``folder``, and whether it was changed.

    Files of the folder that git does not track, and does not ignore, are changes too;
    changes in other folders are not.
    ``None`` for an installed package, even within another project's checkout.
    """
    try:
        if not _git(folder, "ls-files", "__init__.py"):
            return None
        changed = _git(folder, "status", "--porcelain", "--untracked-files=all", ".")
        return {"id": _git(folder, "rev-parse", "HEAD"), "changed": bool(changed)}
    except (OSError, subprocess.SubprocessError):  # no git, no checkout, or no commit
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _device(accelerator: str) -> str:
    """The device trained on; for a GPU, its name."""
    if accelerator == "auto":
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    if accelerator in ("gpu", "cuda") and torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name()}"
    return accelerator
