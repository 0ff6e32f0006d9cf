"""XSimGCL: contrast between layers of one propagation with noise."""

from collections.abc import Iterator, Mapping
from typing import Any, final

from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.perturbed import PerturbedGraphModel
from graphseq.schema import InvalidOption, Positive, Size, Weight
from graphseq.sequences.batch import Batch


@final
class XSimGCL(PerturbedGraphModel):
    r"""Yu et al., "XSimGCL: Towards Extremely Simple Graph Contrastive …", TKDE 2023.

    :class:`SimGCL` with one propagation instead of three: BPR reads the mean of the
    layers with noise, and InfoNCE compares it with one of these layers. Splits that
    hold out users without training events are refused.

    Departs from the paper:
        As :class:`SimGCL`, in the form of the authors' code.

    Args:
        num_users: U.
        num_items: V.
        dim: D.
        layers: Steps of propagation, L.
        noise: ε, the length of the noise.
        weight: Weight of the contrast.
        temperature: τ of the contrast.
        contrast_layer: l*, the layer that is compared with the mean, from 1.
        decay: λ of the penalty.
    """

    def __init__(
        self,
        num_users: Size,
        num_items: Size,
        *,
        dim: Size = 64,
        layers: Size = 3,
        noise: Weight = 0.2,
        weight: Weight = 0.2,
        temperature: Positive = 0.15,
        contrast_layer: Size = 1,
        decay: Weight = 1e-4,
    ) -> None:
        super().__init__(
            num_users,
            num_items,
            dim=dim,
            layers=layers,
            noise=noise,
            weight=weight,
            temperature=temperature,
            decay=decay,
        )
        self.contrast_layer = contrast_layer

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """The layer of the contrast is one of the layers."""
        if options["contrast_layer"] > options["layers"]:
            found = f"found {options['contrast_layer']} of {options['layers']} layers"
            yield InvalidOption(
                "contrast_layer", f"expected one of the layers, {found}"
            )

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """BPR and contrast of one pass with noise."""
        layers = self.layer_vectors(graph, noisy=True)
        vectors = layers.mean(dim=0)
        terms = self.ranking(vectors, batch)
        if self.weight:
            other = layers[self.contrast_layer - 1]
            terms["contrast"] = self.contrast(vectors, other, batch)
        return terms
