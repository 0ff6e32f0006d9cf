"""The table of all checks, by the kind of part that they are about."""

from typing import Any, Literal, get_args

from graphseq.schema import checked
from graphseq.testing import auxiliary, encoder, model
from graphseq.testing.augmentation import AUGMENTATION
from graphseq.testing.graph_step import GRAPH_STEP
from graphseq.testing.suite import Check, Suite

Kind = Literal["model", "encoder", "auxiliary", "augmentation", "graph_step"]
KINDS: tuple[str, ...] = get_args(Kind)
SUITES: dict[str, Suite[Any]] = dict(
    zip(
        KINDS,
        (model.SUITE, encoder.SUITE, auxiliary.SUITE, AUGMENTATION, GRAPH_STEP),
        strict=True,
    )
)


@checked
def checks(kind: Kind) -> list[Check[Any]]:
    """The checks of one kind of part, for ``pytest.mark.parametrize``.

    Each is called with the function that makes a part, as the function that runs all of
    them; its ``name`` and ``claim`` say what must hold:

    >>> [check.name for check in checks("encoder")][0]
    'it_is_an_encoder_of_its_declared_size'

    Args:
        kind: The kind of part.
    """
    return list(SUITES[kind])
