"""The ``%%bash`` of the executed pages, loaded by IPython at startup.

IPython's own magic publishes the output in pieces of 100 bytes, between which myst-nb
breaks the line.
"""

import os
import subprocess
import sys
from typing import Any

COLOURS = {"FORCE_COLOR", "CLICOLOR_FORCE"}


def bash(line: str, cell: str) -> None:
    """Run a cell and print its output at once, without colours."""
    plain = {k: v for k, v in os.environ.items() if k not in COLOURS}
    done = subprocess.run(
        ["bash", "-c", cell],
        env=plain | {"TERM": "dumb"},
        capture_output=True,
        text=True,
    )
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    if "--no-raise-error" not in line:
        done.check_returncode()


shell: Any = get_ipython()  # type: ignore[name-defined]
shell.register_magic_function(bash, "cell")
