"""A section for every model: class, parts, requirements, experiments."""

from collections.abc import Iterable

import evidence
from composition import contrastive, example, parts
from reference import heading, link, table

from graphseq.models import MODELS

SHOWN = ("HR@10", "NDCG@10", "HR@20", "NDCG@20")
SAMPLERS = {
    "targets": "every position of a sequence in one pass, batches counted in targets",
    "user": "one row per user, batches counted in users",
    "prefix": "one row per target, batches counted in rows",
    "pairs": "pairs of a user and an item, without the order of events",
}


def page() -> str:
    """All models, in the order of ``MODELS``."""
    return "\n".join(line for name in MODELS for line in section(name)) + "\n"


def section(name: str) -> list[str]:
    """Everything about one model."""
    return [
        *heading(name, "-"),
        f".. autoclass:: graphseq.models.{name}",
        "   :no-index:",
        "",
        *rubric("Parts, with the default options"),
        *_parts(name),
        *rubric("Requirements, with the default options"),
        *_requirements(name),
        *rubric("Experiments and results"),
        *_experiments(name),
    ]


def rubric(title: str) -> list[str]:
    """A heading that is not in the table of contents."""
    return [f".. rubric:: {title}", ""]


def _parts(name: str) -> list[str]:
    lines = []
    for kind, values in parts(name).items():
        lines += [kind, f"   {', '.join(map(link, values))}"]
    return [*(lines or ["None."]), ""]


def _requirements(name: str) -> list[str]:
    """Sampler, negatives, relations and stages of training."""
    model = example(name)
    lines = [f"* Examples: ``{model.sampler}`` ({SAMPLERS[model.sampler]})."]
    if model.num_negatives:
        lines += [f"* Negatives per target: {model.num_negatives}."]
    relations = ", ".join(f"``{'–'.join(edge)}``" for edge in model.requires)
    lines += [f"* Relations of the graph: {relations or 'only user–interacts–item'}."]
    if model.has_user_embeddings:
        lines += ["* Users with training events: the model has a vector per user."]
    stages = model.stages()
    if len(stages) > 1 or len(stages[0].steps) > 1:
        texts = [_stage(stage.epochs, len(stage.steps)) for stage in stages]
        lines += [f"* Stages of training: {', then '.join(texts)}."]
    return [*lines, ""]


def _stage(epochs: int | None, steps: int) -> str:
    duration = "until the end" if epochs is None else f"{epochs} epochs"
    return f"{duration}, {steps} step{'s' * (steps > 1)} per batch"


def _experiments(name: str) -> list[str]:
    """Every experiment with its newest results under both protocols."""
    runs = [run for run in evidence.experiments() if run.model == name]
    rows = [row for run in runs for row in _rows(run)]
    metrics = [metric.replace("@", "\\@") for metric in SHOWN]  # not an address
    head = ("experiment", "data", "history", *metrics, "seeds")
    lines = table(rows, head, "results") if rows else ["No experiment yet.", ""]
    if contrastive(name):
        lines += [
            "The baseline for its contrast is SASRec with the same sampler and loss;",
            ":doc:`/explanations/published` lists both.",
            "",
        ]
    return lines + commands(run.command for run in runs)


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


def commands(lines: Iterable[str]) -> list[str]:
    """A block of commands, each once."""
    body = [f"   {line}" for line in dict.fromkeys(lines)]
    return [".. code-block:: bash", "", *body, ""] if body else []
