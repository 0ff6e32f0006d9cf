"""``graphseq experiments``: the experiments that are installed with the package."""

import shutil
from pathlib import Path

from graphseq.cli.progress import make_console
from graphseq.cli.results import give_json
from graphseq.errors import ConfigError, suggest
from graphseq.package_data import installed


def experiments(
    file: str | None = None, /, *, output: Path | None = None, json: bool = False
) -> None:
    """List the installed experiments, print one file, or copy all of them.

    Examples:
      graphseq experiments
      graphseq experiments beauty/sasrec.yaml
      graphseq experiments --output experiments
      graphseq train experiments/beauty/sasrec.yaml:ce-targets

    Args:
        file: File to print, as listed.
        output: Folder to copy all files to; it must not exist, or be empty.
        json: Print the list as JSON.
    """
    source = installed("experiments")
    if output is not None:
        _copy(source, output)
        print(f"next: graphseq train {output}/FILE.yaml:VARIANT --data DATA")
    elif file is not None:
        _print(source, file)
    else:
        _list(source, json)


def _copy(source: Path, output: Path) -> None:
    """Copy the folder, whole or not at all.

    Raises:
        GraphError: Something is at ``output``, or it cannot be written.
    """
    from graphseq.atomic import atomic_folder

    ignored = shutil.ignore_patterns("__pycache__")
    with atomic_folder(output, lambda path: False, "the experiments") as folder:
        shutil.copytree(source, folder, ignore=ignored, dirs_exist_ok=True)


def _print(source: Path, file: str) -> None:
    """Print a file.

    Raises:
        ConfigError: There is none of this name.
    """
    files = {str(path.relative_to(source)): path for path in source.rglob("*.yaml")}
    if file not in files:
        raise ConfigError(f"unknown experiment file {file!r}; {suggest(file, files)}")
    print(files[file].read_text(encoding="utf-8"), end="")


def _list(source: Path, json: bool) -> None:
    """A table of the files: their data set, models and variants."""
    from rich.table import Table

    from graphseq.config.variants import experiment_names, split_name

    variants: dict[str, list[str]] = {}
    for name in experiment_names(str(source)):
        path, variant = split_name(name)
        file = str(Path(path).resolve().relative_to(source.resolve()))
        variants.setdefault(file, []).extend([variant] if variant else [])
    if give_json(variants, printed=json, output=None):
        return
    shown = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("file", "variants"):
        shown.add_column(title, overflow="fold")
    for file, names in variants.items():
        shown.add_row(file, " ".join(names))
    console = make_console()
    console.print(shown)
    console.print(
        "graphseq experiments FILE prints one; --output FOLDER copies all, for "
        "graphseq train FOLDER/FILE:VARIANT."
    )
