"""Training: a model, a graph, and the folder that says what came of them."""

from graphseq.training.checkpoint import load_state, save_state
from graphseq.training.fit import fit
from graphseq.training.run import Run, load_run

__all__ = ["Run", "fit", "load_run", "load_state", "save_state"]
