"""The command line: ``graphseq get | build | update | show | train | queue | …``."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from graphseq.errors import GraphSeqError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    What the user can mend is told on standard error, without a traceback. Any other
    exception is a fault of graphseq and keeps its traceback.

    Args:
        arguments: What stands after ``graphseq``; ``None`` takes it from the process.

    Returns:
        The exit code: 0, 2 for an error that the user can mend, 130 after Ctrl-C, or
        the command's own.
    """
    from graphseq.cli.build import build
    from graphseq.cli.exchange import diff, export, import_
    from graphseq.cli.get import get
    from graphseq.cli.parser import make_parser
    from graphseq.cli.queue import queue
    from graphseq.cli.runs import compare, evaluate, train
    from graphseq.cli.show import show
    from graphseq.cli.update import update
    from graphseq.cli.use import demo, recommend

    graphs = (get, build, update, show, diff, export, import_)
    commands = (*graphs, train, queue, evaluate, compare, recommend, demo)
    parsed = make_parser(commands).parse_args(arguments)
    command = next(c for c in commands if c.__name__ == parsed.command)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _tell
            return command(**vars(parsed[parsed.command])) or 0
    except GraphSeqError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(*(error.args or ["interrupted"]), file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _tell(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning as a line for whoever runs a command, who knows no source file."""
    print(f"warning: {message}", file=sys.stderr)
