"""The generated part of the reference, and hooks that adapt autodoc to this package.

Autosummary documents the modules that ``reference/index.rst`` lists. The pages written
here list what autosummary cannot: names in experiment files, commands, data sets,
departures from the papers, models with their results.
"""

import importlib
import inspect
import io
import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import astuple
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

import graphseq
from graphseq.schema import Configurable
from graphseq.signatures import parameters

DOCS = Path(__file__).resolve().parents[1]
GENERATED = DOCS / "reference" / "generated"
DEPARTS = re.compile(r"^(Departs from [^:\n]+):\n((?:    .*\n|\n)+)", re.MULTILINE)
SOURCE = re.compile(r"^Source:\n((?:    .*\n|\n)+)", re.MULTILINE)


def pages() -> dict[str, str]:
    """File name below ``reference/generated`` -> text."""
    import choose_page
    import experiment_page
    import models_page
    import published_page
    import result_plots
    import results_page
    import study_plots

    return {
        "command-line.rst": command_line_page(),
        "experiment-files.rst": experiment_page.page(),
        "data-sets.rst": data_sets_page(),
        "departures.inc": departures(),
        "checks.inc": checks_list(),
        "choose.inc": choose_page.page(),
        "models.inc": models_page.page(),
        "published.inc": published_page.page(),
        "results.inc": results_page.page(),
        **result_plots.plots(),
        **study_plots.plots(),
    }


@cache
def modules() -> list[str]:
    """The modules that the index of the reference lists, in its order."""
    index = (DOCS / "reference" / "index.rst").read_text("utf-8")
    return re.findall(r"^   (graphseq\.[\w.]+)$", index, re.MULTILINE)


def public(module: str) -> dict[str, Any]:
    """Public names of a module: its ``__all__``, else the definitions in its file."""
    loaded = importlib.import_module(module)
    if hasattr(loaded, "__all__"):
        return {name: getattr(loaded, name) for name in loaded.__all__}
    return {
        name: value
        for name, value in vars(loaded).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module
    }


@cache
def homes() -> dict[int, str]:
    """Identity of every public object -> its name in the reference."""
    found = [(m, name, value) for m in modules() for name, value in public(m).items()]
    return {id(value): f"{m}.{name}" for m, name, value in reversed(found)}


def link(value: Any) -> str:
    """A link to the entry of an object, or its name if it has none."""
    home = homes().get(id(value))
    return f":py:obj:`~{home}`" if home else f"``{value.__name__}``"


def summary(value: Any) -> str:
    """First sentence of a docstring, on one line and without links."""
    text = flow((inspect.getdoc(value) or "").partition("\n\n")[0])
    return re.sub(r":\w+:`[~.]?([^`]+)`", r"``\1``", text)


def flow(text: str) -> str:
    """A paragraph on one line."""
    return " ".join(text.split())


def heading(text: str, sign: str) -> list[str]:
    """A title with its underline."""
    return [text, sign * len(text), ""]


def table(
    rows: Sequence[Sequence[str]], header: Sequence[str] = (), style: str = "names"
) -> list[str]:
    """A table of reStructuredText."""
    lines = [".. list-table::", f"   :class: {style}"]
    lines += ["   :header-rows: 1"] * bool(header) + [""]
    for row in [header] * bool(header) + [*rows]:
        for column, cell in enumerate(row):
            lines.append(f"   {'-' if column else '* -'} {cell}".rstrip())
            if column:
                lines[-1] = f"  {lines[-1]}"
    return [*lines, ""]


def command_line_page() -> str:
    """The output of ``graphseq --help`` and of the help of every command."""
    lines = heading("Command line", "=")
    lines += ["The output of ``graphseq --help`` and ``graphseq COMMAND --help``.", ""]
    lines += _console(help_of())
    for command in commands():
        lines += [*heading(f"graphseq {command}", "-"), *_console(help_of(command))]
    return "\n".join(lines)


def commands() -> list[str]:
    """The commands, in the order of the program's help."""
    return re.findall(r"^  ([a-z][a-z-]+) {2,}\S", help_of(), re.MULTILINE)


@cache
def help_of(*arguments: str) -> str:
    """The help of a command."""
    from graphseq.cli import main

    printed = io.StringIO()
    with redirect_stdout(printed):
        main([*arguments, "--help"])
    return printed.getvalue()


def _console(text: str) -> list[str]:
    body = [f"   {line}".rstrip() for line in text.strip().splitlines()]
    return [".. code-block:: text", "", *body, ""]


def data_sets_page() -> str:
    """The known data sets, from their recipes."""
    from graphseq.data import catalog

    every = catalog().values()
    rows = [
        (
            f"``{d.name}``",
            *(f"{size:,}" for size in d.sizes),
            "counted" if d.counted else "as published",
            ", ".join(
                f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})"
                for step in d.filters
                for name, options in step.items()
            ),
        )
        for d in every
    ]
    lines = [
        *heading("Known data sets", "="),
        "The recipes in ``datasets/``. ``graphseq get NAME`` downloads and verifies a",
        "data set (:doc:`/how-to/get-data`); :py:func:`~graphseq.data.load_dataset`",
        "reads it and checks the counts. The data are not part of graphseq.",
        "",
        *table(rows, ("name", "users", "items", "events", "counts", "filter")),
    ]
    for each in every:
        lines += ["", *heading(each.name, "-"), *_facts(each)]
    return "\n".join(lines) + "\n"


def _facts(data_set: Any) -> list[str]:
    """The fields of one recipe."""
    lines = [data_set.note, ""] if data_set.note else []
    lines += [f":Source: {data_set.source}", f":Terms: {data_set.licence}"]
    lines += [f":File: ``{data_set.file}``, format ``{data_set.format}``"]
    if data_set.sha256:
        lines.append(f":SHA-256 of the unpacked file: ``{data_set.sha256}``")
    for each in data_set.downloads:
        file = f"``{each.file}``" if each.member is None else f"``{each.member}`` in it"
        size = "" if each.bytes is None else f", {each.bytes:,} bytes"
        checksum = f"``{each.checksum}``" if each.checksum else "checksum unknown"
        urls = each.urls or [f"by hand, from {each.page}"]
        lines += [f":Download: {' or '.join(urls)}: {file}{size}; {checksum}"]
    if not data_set.downloads:
        lines.append(":Download: none")
    return lines


def departing() -> Iterator[tuple[str, str, Any]]:
    """Every public model, and every other public object that departs from a source."""
    models = "graphseq.models"
    for module in sorted(modules(), key=lambda name: name != models):
        for name, value in public(module).items():
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue
            is_model = module == models and name in graphseq.models.MODELS
            if is_model or DEPARTS.search(_doc(value)):
                yield module, name, value


def _doc(value: Any) -> str:
    return (inspect.getdoc(value) or "") + "\n\n"


def departures() -> str:
    """Source and departures of every model and block, from the docstrings."""
    lines: list[str] = []
    previous = ""
    for module, name, value in departing():
        if module != previous:
            previous = module
            lines += [*heading(module, "-"), f".. py:currentmodule:: {module}", ""]
        found, source = DEPARTS.search(_doc(value)), SOURCE.search(_doc(value))
        origin = f"*Source.* {flow(source[1])}" if source else summary(value)
        text = f"*{found[1]}.* {flow(found[2])}" if found else "*As printed.*"
        lines += [f":py:obj:`~{module}.{name}`", f"   {origin}", "", f"   {text}", ""]
    return "\n".join(lines)


def checks_list() -> str:
    """The checks of ``graphseq.testing``, by kind of part."""
    from graphseq.testing import checks
    from graphseq.testing.checks import KINDS

    lines = []
    for kind in KINDS:
        lines += ["", f".. rubric:: {kind.replace('_', ' ').capitalize()}", ""]
        lines += [f"* ``{c.name}``: {' '.join(c.claim.split())}" for c in checks(kind)]
    return "\n".join(lines).strip() + "\n"


def write(folder: Path = GENERATED) -> None:
    """Write the generated pages into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


def plain_signature(app: Any, what: str, name: str, value: Any, *rest: Any) -> Any:
    """The signature without ranges; that of ``__init__`` for classes with options."""
    from sphinx.util.inspect import stringify_signature

    if what == "class" and not issubclass(value, Configurable):
        return None
    function = value.__init__ if what == "class" else value
    try:
        hints = get_type_hints(function)
        found = inspect.signature(function)
    except (NameError, TypeError, ValueError):
        return None
    if what != "class" and "Annotated" not in str(found):
        return None
    known = [
        parameter.replace(annotation=hints.get(parameter.name, parameter.annotation))
        for parameter in found.parameters.values()
        if (what, parameter.name) != ("class", "self")
    ]
    found = found.replace(
        parameters=known, return_annotation=hints.get("return", inspect.Signature.empty)
    )
    if what == "class":
        found = found.replace(return_annotation=found.empty)
    text = stringify_signature(found, unqualified_typehints=True)
    arguments, arrow, returned = text.rpartition(" -> ")
    return (arguments, returned) if arrow else (text, None)


def describe_ranges(
    app: Any, what: str, name: str, value: Any, _: Any, lines: Any
) -> None:
    """Begin the description of a parameter with its range.

    Also escapes ``num_items: V.``, which is otherwise parsed as item V of a list.
    """
    known: Mapping[str, inspect.Parameter] = {}
    if what in ("class", "function", "method"):
        with suppress(NameError, TypeError, ValueError):
            known = parameters(value)
    described: list[str] = []
    text = re.sub(r"^(:\w+ \w+:)\s+([A-Z]\.)", r"\1 \\\2", "\n".join(lines), flags=re.M)
    for line in text.split("\n"):
        if found := re.match(r":param (\w+): ", line):
            option = known.get(found[1])
            limits = range_of(option.annotation) if option else ""
            line = found[0] + f"({limits}) " * bool(limits) + line[found.end() :]
        described.append(line)
    lines[:] = described


def range_of(hint: Any) -> str:
    """The range of numbers that an annotation allows: ``≥ 1``, ``in [0, 1)``."""
    signs = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
    bounds: dict[str, float] = {}
    for limit in getattr(hint, "__metadata__", ()):
        if type(limit) in signs:
            [bounds[signs[type(limit)]]] = astuple(limit)
    bounds = {sign: bound for sign, bound in bounds.items() if bound != math.inf}
    if len(bounds) == 2:
        (low, first), (high, last) = bounds.items()
        left, right = "[" if low == "≥" else "(", "]" if high == "≤" else ")"
        return f"in {left}{first}, {last}{right}"
    inner = (range_of(argument) for argument in get_args(hint))
    return next((f"{s} {b}" for s, b in bounds.items()), next(filter(None, inner), ""))


def skip_tuple_fields(
    app: Any, what: str, name: str, value: Any, skipped: bool, _: Any
) -> Any:
    """Omit the generic docstrings of the fields of named tuples."""
    return True if type(value).__name__ == "_tuplegetter" else None


def add_aliases(app: Any, env: Any) -> None:
    """Resolve links that use the top of the package or the defining module."""
    objects = env.domains.python_domain.objects
    top = {id(v): name for name, v in public("graphseq").items()}
    for module in modules():
        for name, value in public(module).items():
            entry = objects.get(f"{module}.{name}")
            if entry is None or isinstance(value, ModuleType):
                continue
            aliases = [f"{getattr(value, '__module__', module)}.{name}"]
            aliases += [f"graphseq.{top[id(value)]}"] if id(value) in top else []
            for alias in aliases:
                objects.setdefault(alias, entry._replace(aliased=True))


def setup(app: Any) -> dict[str, Any]:
    """Connect to a Sphinx build, before autosummary writes its pages."""
    app.connect("builder-inited", lambda _: write(), priority=100)
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("autodoc-process-docstring", describe_ranges, priority=900)
    app.connect("autodoc-skip-member", skip_tuple_fields)
    app.connect("env-updated", add_aliases)
    return {"version": "1", "parallel_read_safe": True}
