"""``-q`` and ``-v`` of every command: only its results, or also what it does."""

import functools
import inspect
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, get_type_hints

from cyclopts import Parameter

from graphseq.errors import ConfigError
from graphseq.runtime import QUIET, allowed_cores, format_bytes, peak_memory

FLAGS = ("-q", "--quiet", "-v", "--verbose")
HELP = {
    "quiet": "Print results and errors only, no progress; also GRAPHSEQ_QUIET=1.",
    "verbose": "Log versions, seeds, paths and times on standard error.",
}
PACKAGES = ("graphseq", "torch", "torch-geometric", "lightning", "polars", "numpy")
logger = logging.getLogger("graphseq.cli")


def with_verbosity(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """A command with the two flags, which holds while it runs."""

    @functools.wraps(command)
    def run(
        *arguments: Any, quiet: bool = False, verbose: bool = False, **options: Any
    ) -> int | None:
        if quiet and verbose:
            raise ConfigError("--quiet and --verbose exclude each other; choose one")
        with _quiet(quiet), _logging(verbose, command.__name__):
            return command(*arguments, **options)

    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    flags = []
    for name, words in HELP.items():
        hints[name] = Annotated[
            bool, Parameter(name=[f"--{name}", f"-{name[0]}"], help=words)
        ]
        kind = inspect.Parameter.KEYWORD_ONLY
        flags.append(
            inspect.Parameter(name, kind, default=False, annotation=hints[name])
        )
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in signature.parameters.items()
    ]
    # the parser reads the options from the wrapper
    vars(run)["__signature__"] = signature.replace(parameters=[*own, *flags])
    run.__annotations__ = hints
    del run.__wrapped__
    return run


@contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    """Silence progress in this process and its children."""
    before = os.environ.get(QUIET)
    if wanted:
        os.environ[QUIET] = "1"
    try:
        yield
    finally:
        if wanted and before is None:
            del os.environ[QUIET]


@contextmanager
def _logging(wanted: bool, name: str) -> Iterator[None]:
    """Log the messages of the package, with seconds since the start."""
    if not wanted:
        yield
        return
    from importlib.metadata import PackageNotFoundError, version

    package, handler = logging.getLogger("graphseq"), logging.StreamHandler()
    started, level = time.perf_counter(), package.level
    handler.setFormatter(_Seconds())
    package.addHandler(handler)
    package.setLevel(logging.DEBUG)
    versions = []
    for each in PACKAGES:
        try:
            versions.append(f"{each} {version(each)}")
        except PackageNotFoundError:  # a source tree that is not installed
            versions.append(f"{each} unknown")
    logger.debug("python %s on %s", platform.python_version(), platform.platform())
    logger.debug("%s", ", ".join(versions))
    logger.debug("folder %s, %d cores", os.getcwd(), allowed_cores())
    try:
        yield
    finally:
        seconds, cpu = time.perf_counter() - started, time.process_time()
        memory = format_bytes(peak_memory())
        text = "%s took %.1f s, the process %.1f CPU s and %s of memory"
        logger.debug(text, name, seconds, cpu, memory)
        package.removeHandler(handler)
        package.setLevel(level)


class _Seconds(logging.Formatter):
    """``1.23 s graphseq.data.readers.log: read ratings.csv``."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = record.relativeCreated / 1000
        return f"{seconds:8.2f} s  {record.name}: {record.getMessage()}"


def flags_last(tokens: list[str]) -> list[str]:
    """Flags before the command moved behind it, so that both orders are understood."""
    first = next((n for n, token in enumerate(tokens) if token not in FLAGS), 0)
    return [*tokens[first : first + 1], *tokens[:first], *tokens[first + 1 :]]
