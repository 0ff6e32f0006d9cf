"""Folders that are installed with the package: data set recipes and experiments."""

from pathlib import Path
from typing import Literal

PACKAGE = Path(__file__).resolve().parent


def installed(name: Literal["datasets", "experiments"]) -> Path:
    """A folder of the source tree, which a wheel holds inside the package."""
    inside = PACKAGE / "installed" / name
    return inside if inside.is_dir() else PACKAGE.parent / name
