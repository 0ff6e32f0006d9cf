"""Files and folders that options name, looked at before any work is done."""

import os
from pathlib import Path

from graphseq.errors import ConfigError

PICTURES = (".png", ".svg", ".pdf")


def check_folder(option: str, path: str | Path) -> None:
    """Refuse a folder that neither is there nor can be made.

    Raises:
        ConfigError: A file stands there or above, or nothing may be written there.
    """
    _check_standing(option, Path(path), "folder")


def check_file(option: str, path: str | Path) -> None:
    """Refuse a file to be written whose name is a folder's, or that cannot be made.

    Raises:
        ConfigError: As said.
    """
    path = Path(path)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; {option} names a file")
    _check_standing(option, path.parent, "file")


def check_picture(option: str, path: str | Path) -> None:
    """Refuse a picture of another kind, or in a folder that is not there.

    Raises:
        ConfigError: As said.
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURES:
        found = repr(path.suffix) if path.suffix else f"{path.name!r}"
        raise ConfigError(f"{option} ends in .png, .svg or .pdf; got {found}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} for {option}")
    check_file(option, path)


def _check_standing(option: str, path: Path, kind: str) -> None:
    """Look at the nearest thing that is there already, the path or what is above it."""
    standing = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not standing.is_dir():
        where = "names" if standing == path and kind == "folder" else "lies in"
        raise ConfigError(f"{standing} is a file; {option} {where} a folder")
    if not os.access(standing, os.W_OK):
        raise ConfigError(
            f"nothing may be written in {standing}; choose another {option}, or mend "
            "its permissions"
        )
