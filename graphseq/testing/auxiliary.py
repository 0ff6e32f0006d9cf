"""The checks of auxiliary objectives."""

from collections.abc import Callable, Collection

from graphseq.models import Auxiliary
from graphseq.nn import Encoder
from graphseq.sequences.samplers import SequenceSampler
from graphseq.testing import auxiliary_state, auxiliary_terms
from graphseq.testing.auxiliary_case import AUXILIARY

PARTS = (auxiliary_terms, auxiliary_state)
"""The modules that add checks to the suite, in its order."""
SUITE = AUXILIARY


def check_auxiliary(
    make: Callable[[], Auxiliary],
    *,
    encoder: Callable[[], Encoder] | None = None,
    sampler: SequenceSampler = "targets",
    skip: Collection[str] = (),
) -> None:
    """Check an auxiliary objective; :func:`checks` lists what must hold.

    Args:
        make: Returns a new objective on each call, such as ``MyLoss``.
        encoder: Returns the encoder of width 8 that it needs; by default a ``GRU``.
        sampler: The sampler of the backbone.
        skip: Names of checks that do not apply to it.

    Raises:
        CheckError: With all checks that failed.
    """
    SUITE.run(make, skip=skip, encoder=encoder, sampler=sampler)
