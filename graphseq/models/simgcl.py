"""SimGCL: contrast of two propagations with noise."""

from typing import final

from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.models.perturbed import PerturbedGraphModel
from graphseq.sequences.batch import Batch


@final
class SimGCL(PerturbedGraphModel):
    r"""Yu et al., "Are Graph Augmentations Necessary? …", SIGIR 2022.

    User and item vectors are propagated over their graph. Noise on the vectors, instead
    of changes of the graph, gives two views of each node:

    .. math:: E^{(l)} = \hat A E^{(l-1)} +
        ε\, \mathrm{sign}(\hat A E^{(l-1)}) ⊙ \frac{Δ}{‖Δ‖}, \qquad
        E = \frac{1}{L} \sum_{l=1}^{L} E^{(l)}, \quad Δ \sim U(0, 1)^D

    The loss is BPR of the vectors without noise, and InfoNCE, with cosines, of the two
    views of the batch's distinct users and of its distinct items. Splits that hold out
    users without training events are refused.

    Departs from the paper:
        As in the authors' code, the penalty is :math:`λ (‖E_u‖_F + ‖E_i‖_F) / B` over
        the propagated vectors of the batch's pairs, not squared; the layer 0 is not
        read; BPR is :math:`-\log σ`, without their 1e-5 inside the logarithm.

    Args:
        num_users: U.
        num_items: V.
        dim: D.
        layers: Steps of propagation, L.
        noise: ε, the length of the noise.
        weight: Weight of the contrast.
        temperature: τ of the contrast.
        decay: λ of the penalty.
    """

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """BPR without noise, and the contrast of two passes with noise."""
        terms = self.ranking(self.layer_vectors(graph).mean(dim=0), batch)
        if self.weight:
            first = self.layer_vectors(graph, noisy=True).mean(dim=0)
            second = self.layer_vectors(graph, noisy=True).mean(dim=0)
            terms["contrast"] = self.contrast(first, second, batch)
        return terms
