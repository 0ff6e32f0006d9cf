"""The checks of models."""

from collections.abc import Callable, Collection, Sequence

from torch_geometric.transforms import BaseTransform

from graphseq.models import Model
from graphseq.schema import Count, Positive
from graphseq.testing import model_scores, model_state, model_training
from graphseq.testing.model_case import MODEL, Learns
from graphseq.testing.samples import RELATIONS

PARTS = (model_scores, model_state, model_training)
"""The modules that add checks to the suite, in its order."""
SUITE = MODEL


def check_model(
    make: Callable[[int, int], Model],
    *,
    learns: Learns = "order",
    epochs: Count = 12,
    lr: Positive = 0.03,
    steps: Sequence[BaseTransform] = RELATIONS,
    skip: Collection[str] = (),
) -> None:
    """Check a model; :func:`checks` lists what must hold.

    Args:
        make: Returns a new model for a number of users and of items, such as a class
            ``MyModel(num_users, num_items)``. Make it small: a width of 16 is enough.
        learns: The structure that it must find: the next item of a ring (``order``),
            the items of a user's community (``communities``), or ``nothing``.
        epochs: Epochs in which it learns, all stages together.
        lr: Learning rate.
        steps: The steps of the graph; by default both co-occurrences and transitions.
        skip: Names of checks that do not apply to it.

    Raises:
        CheckError: With all checks that failed.
    """
    SUITE.run(make, skip=skip, learns=learns, epochs=epochs, lr=lr, steps=steps)
