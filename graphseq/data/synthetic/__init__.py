"""Logs whose structure is known, for tests, documentation and the demo."""

from graphseq.data.synthetic.chains import cycle, markov, transition_matrix
from graphseq.data.synthetic.communities import communities

__all__ = ["communities", "cycle", "markov", "transition_matrix"]
