"""Caser: convolutional sequence embedding, with a vector for each user."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.sequence_model import SequenceModel, Terms, refuse_users
from graphseq.schema import InvalidOption, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.sequences.rows import multi_step_targets


@final
class Caser(SequenceModel):
    r"""Tang & Wang, "Personalized Top-N Sequential Recommendation …", WSDM 2018.

    arXiv:1809.07426.

    Convolutions over the newest items give z, Eqs. (3)-(10). Together with the user's
    vector p it should have the largest inner product with the following items.

    Departs from the paper:
        By default as in RecBole: a last layer :math:`x = \mathrm{relu}(W_2 [z ‖ p] +
        b_2)`, scored by the item vectors that are also read (``output="tied"``), and a
        softmax over all items for the one next item. RecBole's own window is the whole
        history (50 heights of filters); it recommends about 10. In the authors' code,
        :math:`[z ‖ p]` is scored by a table of its own with biases
        (``output="separate"``), and binary cross-entropy is taken over three following
        items (``steps=3``). Here one negative is drawn per position, which the three
        windows that predict it share: the authors draw three per window. Windows at a
        sequence's end, which fewer items follow, are trained on too, and so are its
        first items. The authors' L2 of 1e-6 is ``weight_decay`` of
        :func:`graphseq.fit`. Without ``user_vector`` the model reads the history only,
        and also ranks users without training events.

    Args:
        num_users: U.
        backbone: With a ``Convolution``, whose ``window`` is the paper's L; or V, the
            number of items.
        user_vector: Whether each user has a vector.
        output: The vectors that score items: those that are read (``tied``), or a table
            of their own with a bias per item (``separate``).
        steps: How many of the following items each state predicts, the paper's T.
        norm_weight: Weight of the sum of the Frobenius norms (not squared) of all
            weights.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "features": {"Embedding": {"std": "1/dim"}},
            "encoder": {"Convolution": {}},
        }
    }

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        user_vector: bool = True,
        output: Literal["tied", "separate"] = "tied",
        steps: Size = 1,
        norm_weight: Weight = 0.0,
    ) -> None:
        super().__init__(num_users, backbone)
        dim, self.steps, self.norm_weight = self.backbone.dim, steps, norm_weight
        self.has_user_embeddings = user_vector
        self.users = _table(num_users, dim) if user_vector else None
        width = 2 * dim if user_vector else dim
        self.blend = nn.Linear(width, dim) if output == "tied" else None
        if self.blend is not None:
            nn.init.xavier_normal_(self.blend.weight)
            nn.init.zeros_(self.blend.bias)
        rows = self.num_items
        self.outputs = _table(rows, width) if output == "separate" else None
        self.bias = nn.Parameter(torch.zeros(rows)) if output == "separate" else None

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """A row of the sampler ``prefix`` has one target."""
        yield from super().conflicts(options)
        yield from refuse_users(options, "Caser has user vectors of its own")
        sampler = getattr(options.get("backbone"), "sampler", None)
        if options["steps"] > 1 and sampler == "prefix":
            message = "steps above 1 need a target at every position; use the sampler"
            yield InvalidOption("steps", f"{message} targets or user, or steps=1")

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B n"]:
        """The convolved newest items, with the user."""
        last = self.backbone.last(self.backbone.items(graph), batch)
        return self.personalise(last, batch.user)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V n"]:
        """The features; or the items' own vectors with their biases."""
        if self.outputs is None or self.bias is None:
            return self.backbone.items(graph)
        return torch.cat([self.outputs, self.bias[:, None]], dim=1)

    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        """The following items, at every position; and the norms."""
        items = self.backbone.items(graph, batch)
        scored = items if self.outputs is None else self.item_vectors(graph)
        if self.sampler == "prefix":
            states, users = self.backbone.last(items, batch), batch.user
        else:
            states = self.backbone.states(items, batch).repeat(self.steps, 1, 1)
            batch = multi_step_targets(batch, self.steps)
            states, users = batch.at_targets(states), batch.target_users()
        states = self.personalise(states, users)
        terms = {"next_item": self.backbone.next_item(states, scored, batch)}
        if self.norm_weight:
            weights = [w for w in self.parameters() if w.dim() > 1]
            norms = torch.stack([torch.linalg.vector_norm(w) for w in weights])
            terms["norms"] = self.norm_weight * norms.sum()
        return terms

    def personalise(
        self, states: Float[Tensor, "N D"], users: Int[Tensor, "N"]
    ) -> Float[Tensor, "N n"]:
        """States joined with their users' vectors, in the width of the item vectors."""
        if self.users is not None:
            states = torch.cat([states, self.users[users]], dim=1)
        if self.blend is not None:
            return F.relu(self.blend(states))
        return F.pad(states, (0, 1), value=1.0)  # multiplies the bias


def _table(rows: int, dim: int) -> nn.Parameter:
    """N(0, 1 / D²) numbers, as in both codes."""
    return nn.Parameter(torch.randn(rows, dim) / dim)
