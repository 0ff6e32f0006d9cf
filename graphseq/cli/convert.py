"""``graphseq convert``: an experiment file from a configuration of RecBole."""

from pathlib import Path
from typing import Any

from graphseq.cli.app import check_file
from graphseq.errors import ConfigError


def convert(
    file: Path,
    /,
    *more: Path,
    output: Path,
    model: str | None = None,
    dataset: str | None = None,
) -> None:
    """Convert a configuration of RecBole into an experiment file.

    RecBole's defaults are written out. Settings that have no counterpart here, or
    another meaning, are printed and written as comments at the top of the file.

    Examples:
      graphseq convert recbole.yaml --output sasrec.yaml
      graphseq convert ml.yaml --model GRU4Rec --dataset ml-100k --output gru4rec.yaml

    Args:
        file: YAML file of RecBole.
        more: More of them; later ones take precedence.
        output: Experiment file to write.
        model: RecBole's name of the model, if the files do not name it.
        dataset: Name of the data set, if the files do not name it.
    """
    from graphseq.atomic import write_text
    from graphseq.config.recbole import from_recbole, to_text
    from graphseq.config.yaml import read_yaml

    check_file("--output", output)
    if output.exists():
        raise ConfigError(f"--output {output}: exists already; choose another file")
    settings: dict[str, Any] = {}
    for path in (file, *more):
        found = read_yaml(path)
        if not isinstance(found, dict):
            raise ConfigError(
                f"{path}: expected settings of RecBole, such as hidden_size: 64; found "
                f"{found!r:.80}. Check that it is the right file"
            )
        settings |= {str(key): value for key, value in found.items()}
    sections, notes = from_recbole(settings, model=model, dataset=dataset)
    from graphseq.config import check

    names = ", ".join(str(path) for path in (file, *more))
    check(sections, names)
    write_text(output, to_text(sections, notes, names))
    for note in notes:
        print(f"differs: {note}")
    print(f"next: graphseq train {output}")
