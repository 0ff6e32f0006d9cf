"""A section for every model: what it is, of what it is made, what it reaches."""

import inspect
import json
import re
from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Any

import evidence
import public_names
from composition import KINDS, contrastive, parts
from docstring_parser import parse
from sphinx.ext.napoleon import Config, GoogleDocstring

from graphseq.config.checks import parameters
from graphseq.models import MODELS, PARTS, Model
from graphseq.schema import describe

SECTIONS = ["Source", "Departs from the paper", "Departs from the published figures"]
NAPOLEON = Config(napoleon_use_ivar=True, napoleon_custom_sections=SECTIONS)
SIZES = {"num_users", "num_items"}
SHOWN = ("HR@10", "NDCG@10", "HR@20", "NDCG@20")
SAMPLERS = {
    "targets": "every position of a sequence in one pass, batches counted in targets",
    "user": "one row a user, batches counted in users",
    "prefix": "one row a target, batches counted in rows",
    "pairs": "a user and an item, without the order of events",
}


def page() -> str:
    """All models, in the order of ``MODELS``."""
    return "\n".join(line for name in MODELS for line in section(name)) + "\n"


def section(name: str) -> list[str]:
    """What is known of one model."""
    return [
        *public_names._heading(name, "-"),
        *_words(MODELS[name]),
        ".. rubric:: Composed of",
        "",
        *_parts(name),
        ".. rubric:: Needs, with its default options",
        "",
        *_needs(name),
        ".. rubric:: Options",
        "",
        *_options(MODELS[name]),
        ".. rubric:: Presets",
        "",
        *_presets(name),
        ".. rubric:: Experiments and results",
        "",
        *_experiments(name),
    ]


def _words(model: type[Model]) -> list[str]:
    """The docstring, equations included, without what it says of the options."""
    text = re.sub(
        r"^(Args|Raises|Attributes):\n(?:    .*\n|\n)*",
        "",
        (inspect.getdoc(model) or "") + "\n",
        flags=re.MULTILINE,
    )
    label = f"The class: :py:obj:`~graphseq.models.{model.__name__}`."
    return [*GoogleDocstring(text, NAPOLEON).lines(), "", label, ""]


def _parts(name: str) -> list[str]:
    """What the model's file imports, and what the files that it builds on import."""
    lines = []
    for kind, values in parts(name).items():
        named = ", ".join(_link(value) for value in values)
        lines += [KINDS[kind], f"   {named}"]
    return [*(lines or ["Nothing but itself."]), ""]


def _link(value: Any) -> str:
    home = public_names._homes().get(id(value))
    return f":py:obj:`~{home}`" if home else f"``{value.__name__}``"


@cache
def example(name: str) -> Model:
    """The model with its default options, for a few users and items."""
    return MODELS[name](num_users=4, num_items=6)


def _needs(name: str) -> list[str]:
    """Sampler, negatives, relations, and how it is trained."""
    model = example(name)
    lines = [f"* Examples: ``{model.sampler}`` ({SAMPLERS[model.sampler]})."]
    if model.num_negatives:
        lines += [f"* Negatives a target: {model.num_negatives}."]
    relations = ", ".join(f"``{'–'.join(edge)}``" for edge in model.requires)
    lines += [f"* Relations of the graph: {relations or 'those of the log'}."]
    if model.has_user_embeddings:
        lines += ["* Users with training events: it has a vector for each of them."]
    stages = model.stages()
    steps = [len(stage.steps) for stage in stages]
    if len(stages) > 1 or steps[0] > 1:
        said = ", then ".join(_stage(s.epochs, len(s.steps)) for s in stages)
        lines += [f"* Trained in stages: {said}."]
    return [*lines, ""]


def _stage(epochs: int | None, steps: int) -> str:
    long = "to the end" if epochs is None else f"{epochs} epochs"
    return f"{long} of {steps} step{'s' * (steps > 1)} a batch"


def _options(model: type[Model]) -> list[str]:
    """Name, type and default from the signature, the meaning from the docstring."""
    meaning = {
        p.arg_name: p.description or "" for p in parse(model.__doc__ or "").params
    }
    rows = [
        (
            f"``{p.name}``",
            f"``{public_names._type(p.annotation)}``",
            public_names._default(p),
            _meaning(meaning.get(p.name, "")),
        )
        for p in parameters(model, SIZES).values()
    ]
    if not rows:
        return ["None.", ""]
    return public_names._table(rows, ("option", "type", "default", "meaning"))


def _meaning(text: str) -> str:
    """On one line; a letter with a full stop is not the first point of a list."""
    return re.sub(r"^([A-Z]\.)", r"\\\1", public_names._flow(text))


def _presets(name: str) -> list[str]:
    """Each preset, by the data that it is for, with what it sets."""
    model = MODELS[name]
    if not model.presets:
        return ["None.", ""]
    found: dict[tuple[str, str], list[str]] = {}
    for preset, of in product(model.presets, model.for_data or (None,)):
        made = model.preset(preset, 4, 6, data=of)
        alike = found.setdefault((preset, _changes(example(name), made)), [])
        alike += [f"``{of}``"] if of else []
    rows = [
        (f"``{preset}``", ", ".join(of) or "–", changes or "the defaults")
        for (preset, changes), of in found.items()
    ]
    return public_names._table(rows, ("preset", "data", "sets"))


def _changes(usual: Model, made: Model) -> str:
    """The options in which a model differs from the usual one, as a file has them."""
    [options] = describe(made).values()
    [before] = describe(usual).values()
    changed = {k: v for k, v in options.items() if v != before[k]}
    return ", ".join(f"``{k}: {_spelt(v, options)}``" for k, v in changed.items())


def _spelt(value: Any, options: dict[str, Any]) -> str:
    """A value as in a file; of a part, what is neither its default nor the model's."""
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if not isinstance(value, dict):
        return value if isinstance(value, str) else json.dumps(value)
    [(part, own)] = value.items()
    usual = parameters(PARTS[part])
    told = {k: v for k, v in own.items() if v not in (usual[k].default, options.get(k))}
    return f"{part}({', '.join(f'{k}={v}' for k, v in told.items())})"


def _experiments(name: str) -> list[str]:
    """Each experiment with its newest figures, under both protocols."""
    runs = [run for run in evidence.experiments() if run.model == name]
    rows = [row for run in runs for row in _rows(run)]
    metrics = [name.replace("@", "\\@") for name in SHOWN]  # or it were an address
    head = ("experiment", "data", "history", *metrics, "seeds")
    lines = public_names._table(rows, head) if rows else ["No experiment yet.", ""]
    lines = [line.replace(":class: names", ":class: figures") for line in lines]
    if contrastive(name):
        lines += [
            "Its gain is to be counted from SASRec with the same sampler and loss,",
            "which stands beside it in :doc:`/explanations/published`.",
            "",
        ]
    commands = dict.fromkeys(run.command for run in runs)
    return [*lines, *_code(commands)]


def _rows(run: evidence.Experiment) -> Iterable[tuple[str, ...]]:
    result = evidence.result(run)
    if result is None:
        yield (f"``{run.name}``", run.data, "", "*not run yet*", *[""] * 4)
        return
    for protocol in evidence.PROTOCOLS:
        means = result.means(protocol)
        cells = [f"{means[m]:.4f}" if m in means else "–" for m in SHOWN]
        seeds = ", ".join(map(str, result.seeds))
        yield (f"``{run.name}``", run.data, protocol, *cells, seeds)


def _code(commands: Iterable[str]) -> list[str]:
    lines = [f"   {command}" for command in commands]
    return [".. code-block:: bash", "", *lines, ""] if lines else []
