"""The checks of encoders."""

from collections.abc import Callable, Collection

from graphseq.nn import Encoder
from graphseq.testing import encoder_states, encoder_weights
from graphseq.testing.encoder_case import ENCODER

PARTS = (encoder_states, encoder_weights)
"""The modules that add checks to the suite, in its order."""
SUITE = ENCODER


def check_encoder(make: Callable[[], Encoder], *, skip: Collection[str] = ()) -> None:
    """Check an encoder; :func:`checks` lists what must hold.

    Args:
        make: Returns a new encoder on each call, with weights from torch's global
            generator, such as ``lambda: MyEncoder(dim=16)``.
        skip: Names of checks that do not apply to it.

    Raises:
        CheckError: With all checks that failed: what was checked and found, and what to
            do.
    """
    SUITE.run(make, skip=skip)
