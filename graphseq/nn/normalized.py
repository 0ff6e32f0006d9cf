"""Item features of one length, whose scores are cosines."""

from collections.abc import Iterator, Mapping
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.nn.features import Features
from graphseq.schema import InvalidOption, Positive, Size


@final
class Normalized(Features):
    r"""Other item features, each vector scaled to the same length.

    With the features :math:`x_v` and the length :math:`c`, the vectors are

    .. math:: c \, x_v / \lVert x_v \rVert_2,

    and zero where :math:`x_v` is zero. The score of a state s is then
    :math:`c \lVert s \rVert \cos(s, x_v)`: popular items cannot score higher by longer
    vectors. After a layer normalisation, as in most encoders, a state has at first the
    length :math:`\sqrt D`, and the softmax the temperature :math:`1 / (c \sqrt D)`. The
    gain of that layer then learns it.

    A training step costs one more pass over (V, D), forward and backward.

    Source:
        Scores by cosines in the softmax: Hou et al., CORE, SIGIR 2022, with a fixed
        temperature.

    Departs from the source:
        Only items are normalised; the encoder reads the normalised vectors.

    Args:
        num_items: V.
        features: What is normalised.
        dim: D; ``None`` is that of the features.
        length: c.
    """

    weight: None

    def __init__(
        self,
        num_items: Size,
        *,
        features: Features,
        dim: Size | None = None,
        length: Positive = 1.2,
    ) -> None:
        super().__init__()
        self.features = features
        self.weight = None
        self.dim = features.dim if dim is None else dim
        self.length = length
        self.requires = features.requires
        self.target_edges = features.target_edges

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Features of another width, or of other items."""
        features, number = options["features"], options.get("num_items")
        width = getattr(features, "dim", None)
        if None not in (width, options["dim"]) and width != options["dim"]:
            message = f"expected width {width}, found dim={options['dim']}"
            yield InvalidOption("dim", message)
        rows = features.num_items if isinstance(features, Features) else None
        if number is not None and rows not in (None, number):
            message = f"expected num_items={number} rows, found {rows}"
            yield InvalidOption("features", message)

    @property
    def num_items(self) -> int | None:
        """V, if the features were created for a number of items."""
        return self.features.num_items

    def forward(
        self, graph: HeteroData, excluded: Int[Tensor, "2 m"] | None = None
    ) -> Float[Tensor, "V D"]:
        """The vectors; arguments as for the features."""
        given = () if excluded is None else (excluded,)
        return unit(self.features(graph, *given)) * self.length


def unit(x: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    """Rows divided by their length; a row of zeros stays, with a finite gradient."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / torch.where(length > 0, length, 1.0)
