"""The reference, made from the package's own lists of public names.

Nothing is listed by hand: a name that enters a package's ``__all__`` has its entry, and
so have the options of experiment files, the command line and the data sets.
"""

import importlib
import inspect
import io
import pkgutil
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import graphseq

FOLDER = Path(__file__).resolve().parents[1] / "reference" / "generated"
ORDER = ["data", "graphs", "sequences", "nn", "objectives", "models", "training"]
ORDER += ["evaluation", "config", "cli"]
INTERNAL = {"graphseq.demo"}  # what one command does, not to build on
DEPARTS = re.compile(r"^(Departs from [^:\n]+):\n((?:    .*\n|\n)+)", re.MULTILINE)
SOURCE = re.compile(r"^Source:\n((?:    .*\n|\n)+)", re.MULTILINE)


@cache
def modules() -> list[str]:
    """Every module that has public names of its own, packages in reading order."""
    rank = {f"graphseq.{name}": place for place, name in enumerate(ORDER)}
    found = [
        info.name for info in pkgutil.walk_packages(graphseq.__path__, "graphseq.")
    ]
    top = [name for name in found if name.count(".") == 1 and name not in INTERNAL]
    top.sort(key=lambda name: (rank.get(name, len(rank)), name))
    listed, seen = [], set()
    for name in top:
        inner = [other for other in found if other.startswith(f"{name}.")]
        for module in (name, *(n for n in inner if _is_package(n))):
            fresh = [n for n in names(module) if id(_get(module, n)) not in seen]
            if fresh and not name.rpartition(".")[2].startswith("_"):
                listed.append(module)
                seen |= {id(_get(module, n)) for n in fresh}
    return listed


def names(module: str) -> list[str]:
    """The public names of a module: its ``__all__``, else what it defines itself."""
    loaded = importlib.import_module(module)
    if hasattr(loaded, "__all__"):
        return [*loaded.__all__]
    if _is_package(module):
        return []
    return [
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_") and _is_own(module, name, value)
    ]


def _is_own(module: str, name: str, value: Any) -> bool:
    if inspect.isclass(value) or inspect.isfunction(value):
        return bool(value.__module__ == module)
    return module == "graphseq.constants" and name.isupper()


def _is_package(module: str) -> bool:
    return hasattr(importlib.import_module(module), "__path__")


def _get(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def brief(value: Any) -> str:
    """The first sentence of a docstring, on one line."""
    paragraph = (inspect.getdoc(value) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


def pages() -> dict[str, str]:
    """File name below ``reference/generated`` -> text."""
    import models_page
    import published_page
    import result_plots

    written = {f"{module}.rst": module_page(module) for module in modules()}
    return written | {
        "graphseq.rst": top_page(),
        "command-line.rst": command_line_page(),
        "experiment-files.rst": experiment_page(),
        "data-sets.rst": data_sets_page(),
        "departures.inc": departures(),
        "models.inc": models_page.page(),
        "published.inc": published_page.page(),
        **result_plots.pictures(),
    }


def top_page() -> str:
    """The names at the top of the package, each linked to its home."""
    rows = [(f":py:obj:`~graphseq.{n}`", brief(_get("graphseq", n))) for n in _top()]
    rows += [
        (f":py:mod:`graphseq.{n}`", brief(_get("graphseq", n)))
        for n in graphseq.__all__
        if n not in _top()
    ]
    text = (graphseq.__doc__ or "").replace("``import graphseq``", "its import")
    return "\n".join(
        [
            *_heading("graphseq", "="),
            ".. py:module:: graphseq",
            "",
            "The names at the top of the package; ``import graphseq as gs``.",
            "",
            " ".join(text.partition("\n\n")[2].split()),
            "",
            *_table(rows),
        ]
    )


def _top() -> list[str]:
    """The names at the top that are no packages."""
    every = {name: _get("graphseq", name) for name in graphseq.__all__}
    return [name for name, value in every.items() if not isinstance(value, ModuleType)]


def module_page(module: str) -> str:
    """All public names of a module, each under a heading of its own."""
    loaded = importlib.import_module(module)
    shown = names(module)
    rows = [(_link(module, n), _about(_get(module, n))) for n in shown]
    lines = [
        *_heading(module, "="),
        f".. py:module:: {module}",
        "",
        (inspect.getdoc(loaded) or "").strip(),
        "",
        *_table(rows),
    ]
    for name in shown:
        value = _get(module, name)
        if not isinstance(value, ModuleType):
            lines += ["", *_heading(name, "-"), *_entry(module, name, value)]
    return "\n".join(lines) + "\n"


def _link(module: str, name: str) -> str:
    if isinstance(_get(module, name), ModuleType):
        return f":py:mod:`~{module}.{name}`"
    return f":py:obj:`~{module}.{name}`"


def _about(value: Any) -> str:
    known = inspect.isclass(value) or inspect.isroutine(value)
    return brief(value) if known or isinstance(value, ModuleType) else _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "A table: " + ", ".join(f"``{key}``" for key in value) + "."
    return f"``{value!r}``"


def _entry(module: str, name: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        return [f".. autoclass:: {module}.{name}", "   :members:", ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {module}.{name}", ""]
    lines = [f".. py:data:: {name}", ""]
    if not isinstance(value, dict):
        return [*lines, f"   ``{value!r}``", ""]
    rows = [(f"``{key}``", _meaning(member)) for key, member in value.items()]
    return [*lines, *(f"   {line}" for line in _table(rows))]


def _meaning(member: Any) -> str:
    """What a member of a table of formats or of models is."""
    if inspect.isclass(member):
        return f":py:obj:`~{_home(member)}`"
    return str(getattr(member, "says", member))


def command_line_page() -> str:
    """What ``graphseq --help`` and the help of every command print."""
    overall = help_of()
    lines = [
        *_heading("The command line", "="),
        "What ``graphseq --help`` and ``graphseq COMMAND --help`` print.",
        "",
        *_console(overall),
    ]
    for command in commands():
        lines += [*_heading(f"graphseq {command}", "-"), *_console(help_of(command))]
    return "\n".join(lines)


def commands() -> list[str]:
    """The commands, as the help of the program lists them."""
    return re.findall(r"^  (\w+) {2,}\S", help_of(), re.M)


@cache
def help_of(*arguments: str) -> str:
    """What a command prints when it is asked for help."""
    from graphseq.cli import main

    printed = io.StringIO()
    with redirect_stdout(printed):
        main([*arguments, "--help"])
    return printed.getvalue()


def experiment_page() -> str:
    """Every name that an experiment file may use, with its options."""
    from graphseq.config import tables
    from graphseq.config.load import NEEDED, SECTIONS
    from graphseq.evaluation import evaluate
    from graphseq.training import fit

    own = {"train": {"": fit}, "evaluate": {"": evaluate}}
    named = {"data": tables.DATA, "filters": tables.FILTERS, "split": tables.SPLITS}
    named |= {"graph": tables.GRAPH, "model": tables.MODELS}
    lines = [
        *_heading("Experiment files", "="),
        "The sections of an experiment file, and every option that each may hold. The",
        "options are those of the signatures: there is no other place for defaults.",
        "A complete file is shown in :doc:`/how-to/experiment-file`.",
        "",
    ]
    for section in SECTIONS:
        lines += _heading(section, "-")
        lines += ["Needed in every file." if section in NEEDED else "Optional.", ""]
        lines += NOTES.get(section, [])
        for name, target in {**named, **own}[section].items():
            lines += _options_of(name, target, section)
    lines += _heading("Parts of a model", "-")
    for name, target in tables.PARTS.items():
        lines += _options_of(name, target, "features")
    return "\n".join(lines)


NOTES = {
    "data": [
        "One of these. ``dataset: NAME`` and ``path: FILE`` stand beside their",
        "options; a synthetic log has its options below its name.",
        "",
    ],
    "filters": ["A list, applied in its order.", ""],
    "split": ["One of these.", ""],
    "graph": ["A list, applied in its order.", ""],
    "model": [
        "One of these; an option that takes a part names it. Most also take",
        "``preset``, a named set of options that the others overrule, and some with it",
        "``data``, the data set that it is for: see their sections in :doc:`/models`.",
        "",
    ],
}
SIZES = {"num_users", "num_items"}  # a model has them of the graph
SUPPLIED = SIZES | {"log", "model", "graph", "folder", "resume", "experiment"}
SUPPLIED |= {"part", "progress"}


def _options_of(name: str, target: Any, section: str) -> list[str]:
    from graphseq.config.checks import parameters

    home = _home(target)
    keep = {"train": {"progress"}, "data": SIZES}.get(section, set())
    rows = [
        (f"``{p.name}``", f"``{_type(p.annotation)}``", _default(p))
        for p in parameters(target, SUPPLIED - keep).values()
        if (name, p.name) not in (("dataset", "name"), ("path", "path"))
    ]
    says = f":py:obj:`~{home}`: {_plain(brief(target))}"
    table = _table(rows, ("option", "type", "default")) if rows else []
    if not name:
        return [says, "", *table]
    return [f"``{name}``", f"   {says}", "", *(f"   {line}".rstrip() for line in table)]


def _plain(text: str) -> str:
    """Text without links, which would be looked for beside the wrong neighbours."""
    return re.sub(r":\w+:`[~.]?([^`]+)`", r"``\1``", text)


def _type(hint: Any) -> str:
    text = hint.__name__ if inspect.isclass(hint) else str(hint)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(\w+)", r"\1", text)
    return text.replace("NoneType", "None")


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "*needed*"
    return f"``{parameter.default!r}``"


def _home(value: Any) -> str:
    """The public name of an object."""
    return _homes()[id(value)]


@cache
def _homes() -> dict[int, str]:
    """The public name of every object that has one, by its identity."""
    every = [(module, name) for module in modules() for name in names(module)]
    return {id(_get(m, n)): f"{m}.{n}" for m, n in reversed(every)}


def data_sets_page() -> str:
    """The facts about known data sets."""
    from graphseq.data import catalog

    every = catalog().values()
    rows = [
        (f"``{d.name}``", *(f"{size:,}" for size in d.sizes), _counted(d), _filters(d))
        for d in every
    ]
    lines = [
        *_heading("Known data sets", "="),
        "What ``datasets/`` says of published data. ``graphseq get NAME`` fetches and",
        "checks them (:doc:`/how-to/get-data`), and",
        ":py:func:`~graphseq.data.load_dataset` reads them and makes sure of the",
        "counts. The data themselves are not ours to pass on.",
        "",
        *_table(rows, ("name", "users", "items", "events", "counts", "filter")),
    ]
    for each in every:
        lines += ["", *_heading(each.name, "-"), *_facts(each)]
    return "\n".join(lines) + "\n"


def _counted(data_set: Any) -> str:
    return "counted" if data_set.counted else "as published"


def _filters(data_set: Any) -> str:
    steps = [(n, o) for step in data_set.filters for n, o in step.items()]
    return ", ".join(
        f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})"
        for name, options in steps
    )


def _facts(data_set: Any) -> list[str]:
    """What there is to say of one data set."""
    lines = [data_set.note, ""] if data_set.note else []
    lines += [f":Source: {data_set.source}", f":Terms: {data_set.licence}"]
    lines += [f":File: ``{data_set.file}``, format ``{data_set.format}``"]
    if data_set.sha256:
        lines.append(f":SHA-256 of the file, unpacked: ``{data_set.sha256}``")
    for each in data_set.downloads:
        what = f"``{each.file}``" if each.member is None else f"``{each.member}`` in it"
        size = "" if each.bytes is None else f", {each.bytes:,} bytes"
        known = f"``{each.checksum}``" if each.checksum else "no checksum is known"
        places = each.urls or [f"by hand, from {each.page}"]
        lines += [f":Download: {' or '.join(places)}: {what}{size}; {known}"]
    if not data_set.downloads:
        lines.append(":Download: none")
    return lines


def departing() -> Iterator[tuple[str, str, Any]]:
    """Every public model, and all else public that departs from its source."""
    order = sorted(modules(), key=lambda name: name != "graphseq.models")
    for module in order:
        for name in names(module):
            value = _get(module, name)
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue
            is_model = module == "graphseq.models" and name in _get(module, "MODELS")
            if is_model or DEPARTS.search(_doc(value)):
                yield module, name, value


def _doc(value: Any) -> str:
    return (inspect.getdoc(value) or "") + "\n\n"


def departures() -> str:
    """What docstrings say of their sources and of the departures from them."""
    lines: list[str] = []
    previous = ""
    for module, name, value in departing():
        if module != previous:
            previous = module
            lines += [*_heading(module, "-"), f".. py:currentmodule:: {module}", ""]
        found, source = DEPARTS.search(_doc(value)), SOURCE.search(_doc(value))
        origin = f"*Source.* {_flow(source[1])}" if source else brief(value)
        said = f"*{found[1]}.* {_flow(found[2])}" if found else "*As printed.*"
        lines += [f":py:obj:`~{module}.{name}`", f"   {origin}", "", f"   {said}", ""]
    return "\n".join(lines)


def _flow(text: str) -> str:
    return " ".join(text.split())


def _heading(text: str, sign: str) -> list[str]:
    return [text, sign * len(text), ""]


def _console(text: str) -> list[str]:
    body = [f"   {line}".rstrip() for line in text.strip().splitlines()]
    return [".. code-block:: text", "", *body, ""]


def _table(rows: list[tuple[str, ...]], header: tuple[str, ...] = ()) -> list[str]:
    lines = [".. list-table::", "   :class: names"]
    lines += ["   :header-rows: 1"] * bool(header) + [""]
    for row in ([header] if header else []) + rows:
        for place, cell in enumerate(row):
            lines.append(f"   {'*' if place == 0 else ' '} - {cell}".rstrip())
    return [*lines, ""]


def write(folder: Path = FOLDER) -> None:
    """Write the pages; those that say what they said before are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for path in folder.iterdir():
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        path = folder / name
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def signature_of(app: Any, what: str, name: str, value: Any, *rest: Any) -> Any:
    """The signature of ``__init__`` for classes that also note their options."""
    from sphinx.util.inspect import signature, stringify_signature

    from graphseq.schema import Configurable

    if what == "class" and issubclass(value, Configurable):
        found = signature(value.__init__, bound_method=True)
        return stringify_signature(found, show_return_annotation=False), None
    return None


def letters(app: Any, what: str, name: str, value: Any, _: Any, lines: Any) -> None:
    """Keep ``num_items: V.`` from being read as item V of a list."""
    lines[:] = [re.sub(r"^(:\w+ \w+: )([A-Z]\.)", r"\1\\\2", line) for line in lines]


def skip(app: Any, what: str, name: str, value: Any, skipped: bool, _: Any) -> Any:
    """Leave out what the fields of a named tuple say of themselves."""
    return True if type(value).__name__ == "_tuplegetter" else None


def alias(app: Any, env: Any) -> None:
    """Let an entry be found by the name at the top, and by where it is defined."""
    objects = env.domains.python_domain.objects
    others = {id(_get("graphseq", name)): f"graphseq.{name}" for name in _top()}
    for module in modules():
        for name in names(module):
            entry, value = objects.get(f"{module}.{name}"), _get(module, name)
            if entry is None:
                continue
            defined = f"{getattr(value, '__module__', module)}.{name}"
            for other in (defined, others.get(id(value))):
                if other is not None and other not in objects:
                    objects[other] = entry._replace(aliased=True)


def setup(app: Any) -> dict[str, Any]:
    """Take part in a build with Sphinx."""
    app.connect("builder-inited", lambda _: write())
    app.connect("autodoc-process-signature", signature_of)
    app.connect("autodoc-process-docstring", letters, priority=900)  # after napoleon
    app.connect("autodoc-skip-member", skip)
    app.connect("env-updated", alias)
    return {"version": "1", "parallel_read_safe": True}
