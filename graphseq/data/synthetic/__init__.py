"""Logs whose structure is known, for tests, documentation and the demo."""

from graphseq.data.synthetic.chains import cycle, markov, transition_matrix
from graphseq.data.synthetic.communities import communities
from graphseq.data.synthetic.planted import planted

__all__ = ["communities", "cycle", "markov", "planted", "transition_matrix"]
