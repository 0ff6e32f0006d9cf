"""How a model is trained, as data: which losses move which parameters, and when."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import Sampler

Losses = Callable[[Batch, HeteroData], dict[str, Float[Tensor, ""]]]


@dataclass(frozen=True)
class Step:
    """One step of an optimiser on a batch.

    Attributes:
        losses: The weighted terms whose sum it lowers.
        parameters: Beginnings of the names of the parameters that it moves; the others
            stand still and get no gradient. ``None``: all of them.
    """

    losses: Losses
    parameters: tuple[str, ...] | None = None

    def moves(self, name: str) -> bool:
        """Whether the step moves the parameter of this name."""
        return self.parameters is None or name.startswith(self.parameters)


@dataclass(frozen=True)
class Stage:
    """A part of the training: its steps are taken in turn on every batch.

    Steps that move the same parameters share an optimiser, which starts afresh with the
    stage.

    Attributes:
        steps: One or more.
        epochs: How long it lasts; ``None``: to the end, for the last stage only.
        sampler: How examples are cut; ``None``: as the model says.
        batch_size: As that sampler counts; ``None``: that of the run.
    """

    steps: tuple[Step, ...]
    epochs: int | None = None
    sampler: Sampler | None = None
    batch_size: int | None = None
