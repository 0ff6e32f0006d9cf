"""The command line: ``graphseq get | build | update | show | train | evaluate | …``."""

import os
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from graphseq.errors import REFUSED, GraphSeqError

__all__ = ["main"]

NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|size calculation overflowed"
    r"|integer multiplication overflow"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    User-facing errors are printed on standard error, without a traceback. Any other
    exception is a bug of graphseq and keeps its traceback.

    Args:
        arguments: The words after ``graphseq``; ``None`` takes them from the process.

    Returns:
        The exit code: 0, 2 after a user-facing error, 130 after Ctrl-C, 128 plus the
        number of the signal after SIGTERM or SIGHUP, or the command's own.
    """
    from graphseq.runtime import end_with_parent, interrupted_by_signals

    with interrupted_by_signals() as received:
        end_with_parent()
        return _run(arguments, received)


def _run(arguments: Sequence[str] | None, received: list[int]) -> int:
    from cyclopts import CycloptsError

    from graphseq.cli.app import Command, explain, join_hyphens, make_app
    from graphseq.cli.build import build
    from graphseq.cli.convert import convert
    from graphseq.cli.ensemble import ensemble
    from graphseq.cli.evaluate import claims, compare, demo, evaluate
    from graphseq.cli.exchange import diff, export, import_
    from graphseq.cli.export_model import export_model
    from graphseq.cli.get import get
    from graphseq.cli.installed import experiments
    from graphseq.cli.plot import plot
    from graphseq.cli.recommend import recommend
    from graphseq.cli.repeats import repeats
    from graphseq.cli.report import report
    from graphseq.cli.show import show
    from graphseq.cli.train import train
    from graphseq.cli.tune import tune
    from graphseq.cli.update import update
    from graphseq.cli.verbosity import flags_last

    graphs = (get, build, update, show, diff, export, import_)
    models: tuple[Command, ...] = (
        experiments,
        convert,
        train,
        tune,
        evaluate,
        ensemble,
        repeats,
        compare,
        report,
        plot,
        claims,
        recommend,
        export_model,
        demo,
    )
    app = make_app({"Data and graphs": graphs, "Models": models}.items())
    tokens = flags_last(join_hyphens(sys.argv[1:] if arguments is None else arguments))
    if tokens and tokens[0] in ("build", "update"):  # "-" would be an option
        tokens = ["/dev/stdin" if token == "-" else token for token in tokens]
    try:
        command, bound, _ = app.parse_args(
            tokens, exit_on_error=False, print_error=False
        )
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            code = command(*bound.args, **bound.kwargs) or 0
            sys.stdout.flush()
            return 128 + received[0] if received else code
    except CycloptsError as error:
        print(explain(error), file=sys.stderr)
        return 2
    except GraphSeqError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(*(error.args or ["interrupted"]), file=sys.stderr)
        return 128 + received[0] if received else 130
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or NO_MEMORY.search(str(error))):
            raise
        print(
            f"not enough memory: {error}\nChoose smaller sizes (batch_size, "
            "max_length, dim, k), or free memory",
            file=sys.stderr,
        )
        return 2
    except BrokenPipeError:  # the reader of the output, such as head, has closed it
        _drop_output()
        return 0
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        _drop_output()
        print(
            f"the system refused to read or write: {error}. Free disk space, fix the "
            "permissions, or choose another file",
            file=sys.stderr,
        )
        return 2


def _drop_output() -> None:
    """Write to nowhere, so that Python does not try again when it ends."""
    with suppress(OSError):  # without a file, for example in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning as one line, without its position in the source."""
    print(f"warning: {message}", file=sys.stderr)
