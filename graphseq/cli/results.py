"""Results of a command as JSON: printed with ``--json``, written with ``--output``."""

from json import dumps
from pathlib import Path
from typing import Any

from graphseq.errors import ConfigError


def check_output(output: Path | None) -> None:
    """Refuse an ``--output`` that cannot be written, before anything is computed.

    Raises:
        ConfigError: Its folder does not exist, or it is a folder itself.
    """
    if output is None:
        return
    if not output.parent.is_dir():
        raise ConfigError(
            f"--output {output}: the folder {output.parent} does not exist; create it, "
            "or choose another file"
        )
    if output.is_dir():
        raise ConfigError(f"--output {output} is a folder; name a file, such as a.json")


def give_json(data: Any, *, printed: bool, output: Path | None) -> bool:
    """Print or write results as JSON, if requested.

    Args:
        data: JSON data; other objects are written as text.
        printed: Whether to print it, in place of text.
        output: File to write as well.

    Returns:
        Whether it was printed, so that nothing else may be.
    """
    if printed or output is not None:
        text = dumps(data, indent=1, ensure_ascii=False, default=str) + "\n"
        if output is not None:
            from graphseq.atomic import write_text

            write_text(output, text)
        if printed:
            print(text, end="")
    return printed
