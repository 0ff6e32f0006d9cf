"""Train a model on a graph, and record the run in a folder."""

from graphseq.training.checkpoint import load_state, save_state
from graphseq.training.fit import fit
from graphseq.training.fit_items import fit_items
from graphseq.training.run import Run, load_run
from graphseq.training.schedules import CosineDecay, LinearDecay, Schedule, StepDecay

__all__ = [
    "CosineDecay",
    "LinearDecay",
    "Run",
    "Schedule",
    "StepDecay",
    "fit",
    "fit_items",
    "load_run",
    "load_state",
    "save_state",
]
