"""A table of all models: kind, what they read, accuracy, cost, paper."""

import re

import evidence
from composition import contrastive, example, parts
from reference import summary, table

from graphseq.constants import INTERACTS
from graphseq.models import MODELS

BEAUTY = ("amazon-beauty", "leave_one_out")
METRIC = "NDCG@10"
HEADER = (
    "model",
    "kind",
    "reads",
    "NDCG, kept",
    "NDCG, excluded",
    "CPU s, run",
    "CPU s, epoch",
    "paper",
)
MISSING = "–"
GRAPH_BLOCKS = {"GatedGraph", "GraphEncoder"}


def page() -> str:
    """One row a model, in the order of ``MODELS``."""
    return "\n".join(table([row(name) for name in MODELS], HEADER, "results sortable"))


def row(name: str) -> tuple[str, ...]:
    """The cells of one model."""
    link = f"`{name} <../models.html#{name.lower()}>`__"  # its section
    return (link, kind(name), reads(name), *measured(name), paper(name))


def kind(name: str) -> str:
    """How a model computes its scores, from the parts of the built model."""
    model = example(name)
    blocks = {block.__name__ for found in parts(name).values() for block in found}
    if not trained(name):
        first = "closed form"
    elif model.sampler == "pairs":
        first = "graph" if model.requires else "factors"
    else:
        first = "graph" if blocks & GRAPH_BLOCKS else "encoder"
    return f"{first}, contrast" if contrastive(name) else first


def trained(name: str) -> bool:
    """Whether a model has weights."""
    return any(True for _ in example(name).parameters())


def reads(name: str) -> str:
    """What a model reads of a log and of its graph, with the default options."""
    model = example(name)
    ordered = name == "Repeat" or (trained(name) and model.sampler != "pairs")
    relations = [edge for edge in model.requires if edge != INTERACTS]
    found = ["sequences" if ordered else "pairs"]
    found += [f"{source}–{target} edges" for source, _, target in relations]
    return ", ".join(found + ["user ids"] * model.has_user_embeddings)


def measured(name: str) -> list[str]:
    """NDCG@10 under both protocols, CPU seconds of the run and of one epoch."""
    found = [
        result
        for run in evidence.experiments()
        if run.model == name and (run.data, run.split) == BEAUTY and run.plain
        if (result := evidence.result(run)) is not None
    ]
    if not found:
        return [MISSING] * 4
    best = max(found, key=lambda result: result.means("excluded")[METRIC])
    metrics = [f"{best.means(each)[METRIC]:.4f}" for each in evidence.PROTOCOLS]
    seconds, epochs = (float(best.rows[0][key]) for key in ("cpu_seconds", "epochs"))
    epoch = f"{seconds / epochs:.1f}" if epochs else MISSING
    return [*metrics, f"{seconds:.0f}", epoch]


def paper(name: str) -> str:
    """Authors, venue and year, from the first line of the docstring."""
    text = summary(MODELS[name])
    cited = re.fullmatch(r'(?:(.+?), "|[^"]+, )(?:.*?", )?([^"]*\b\d{4}\b.*)\.', text)
    return ", ".join(filter(None, cited.groups())) if cited else MISSING
