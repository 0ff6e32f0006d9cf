"""Caser: convolutional sequence embedding, with a vector for each user."""

from typing import ClassVar, Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.nn.convolution import Convolution
from graphseq.nn.features import Embedding, Features
from graphseq.schema import check_ranges
from graphseq.sequences.ahead import ahead
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler


@final
class Caser(Model):
    r"""Tang & Wang, "Personalized Top-N Sequential Recommendation …", WSDM 2018.

    arXiv:1809.07426.

    Convolutions over the image of the newest items give z, Eqs. (3)-(10). Together with
    the user's vector p it is to have the largest inner product with what follows.

    Departs from the paper:
        By default what RecBole made of it: a last layer :math:`x = \mathrm{relu}(W_2
        [z ‖ p] + b_2)` and the item table that is also read (``output="tied"``), and a
        softmax over the whole catalogue for the one next item. RecBole's own window is
        the whole history (50 heights of filters); it advises about 10, the preset's.
        With ``preset("original")``, as in the authors' code, :math:`[z ‖ p]` meets a
        table of its own with biases, and binary cross-entropy is taken over three steps
        ahead. There, a negative is drawn for each place, and the three windows that
        look at the place share it: the authors draw three for each window. Windows at a
        sequence's end, which fewer items follow, are learnt from too, and so are its
        first items. The authors' L2 of 1e-6 is ``weight_decay`` of
        :func:`graphseq.fit`. Without ``user_vector`` the model knows the history only,
        and also ranks users that it never saw.

    Args:
        num_users: U.
        num_items: V.
        dim: D; ignored in favour of the features' own if ``features`` is given.
        max_length: Longest sequence that is read at once; of it, a state reads
            ``window`` items.
        window: Newest items that a state reads, the paper's L.
        vertical: Filters over all of the window.
        horizontal: Filters of each height.
        dropout: Of the filters' answers.
        user_vector: Whether each user has a vector.
        output: The item vectors that are looked for: those that are read (``tied``), or
            a table of their own with a bias an item (``separate``).
        steps: How many of the following items a state is asked for, the paper's T.
        norm_weight: Of the sum of the Frobenius norms (not squared) of all weights.
        loss: ``ce`` (softmax over all items), ``bce`` or ``gbce`` (sampled negatives).
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.
        sampler: How examples are cut from the sequences.
        features: What is read of an item; ``None`` is a plain ``Embedding``.

    Raises:
        ConfigError: ``steps`` above 1 with a sampler that has one target a row.
    """

    presets: ClassVar[Choices] = {
        "recbole": {
            "window": 10,
            "vertical": 4,
            "horizontal": 8,
            "dropout": 0.4,
            "norm_weight": 1e-4,
            "sampler": "prefix",
        },
        "original": {
            "dim": 50,
            "window": 5,
            "vertical": 4,
            "horizontal": 16,
            "dropout": 0.5,
            "steps": 3,
            "output": "separate",
            "loss": "bce",
        },
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        max_length: int = 50,
        window: int = 5,
        vertical: int = 4,
        horizontal: int = 16,
        dropout: float = 0.5,
        user_vector: bool = True,
        output: Literal["tied", "separate"] = "tied",
        steps: int = 1,
        norm_weight: float = 0.0,
        loss: Loss = "ce",
        num_negatives: int = 1,
        sampler: SequenceSampler = "targets",
        features: Features | None = None,
    ) -> None:
        super().__init__()
        check_ranges(  # before a root is taken of dim
            sizes={"dim": dim}, amounts={"norm_weight": norm_weight}
        )
        if steps < 1 or (steps > 1 and sampler == "prefix"):
            raise ConfigError(
                f"Caser looks steps={steps} items ahead, 1 or more, and a row of the "
                f"sampler {sampler!r} has one target: use sampler='targets' or steps=1"
            )
        self.steps, self.norm_weight = steps, norm_weight
        features = features or Embedding(num_items, dim=dim, std=1 / dim)
        dim = features.dim
        self.hold(
            num_users,
            Backbone(
                num_items,
                encoder=Convolution(
                    dim,
                    window=window,
                    vertical=vertical,
                    horizontal=horizontal,
                    dropout=dropout,
                ),
                features=features,
                max_length=max_length,
                sampler=sampler,
                loss=loss,
                num_negatives=num_negatives,
            ),
        )
        self.has_user_embeddings = user_vector
        self.users = _table(num_users, dim) if user_vector else None
        width = 2 * dim if user_vector else dim
        self.blend = nn.Linear(width, dim) if output == "tied" else None
        if self.blend is not None:
            nn.init.xavier_normal_(self.blend.weight)
            nn.init.zeros_(self.blend.bias)
        self.outputs = _table(num_items, width) if output == "separate" else None
        self.bias = nn.Parameter(torch.zeros(num_items)) if output != "tied" else None

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B n"]:
        """The image of the newest items, with the user."""
        last = self.backbone.last(self.backbone.items(graph), batch)
        return self.personal(last, batch.user)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V n"]:
        """The features; or the items' own vectors, then their biases."""
        if self.outputs is None or self.bias is None:
            return self.backbone.items(graph)
        return torch.cat([self.outputs, self.bias[:, None]], dim=1)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The items that follow, at every place; and the norms."""
        table = self.backbone.items(graph)
        looked = table if self.outputs is None else self.item_vectors(graph)
        if self.sampler == "prefix":
            states, user = self.backbone.last(table, batch), batch.user
        else:
            states = self.backbone.states(table, batch).repeat(self.steps, 1, 1)
            batch = ahead(batch, self.steps)
            asked, _ = batch.target_positions()
            user = batch.user[:, None].expand_as(asked)[asked]
            states = states[asked]
        states = self.personal(states, user)
        terms = {"next_item": self.backbone.next_item(states, looked, batch)}
        if self.norm_weight:
            weights = [w for w in self.parameters() if w.dim() > 1]
            norms = torch.stack([torch.linalg.vector_norm(w) for w in weights])
            terms["norms"] = self.norm_weight * norms.sum()
        return terms

    def personal(
        self, states: Float[Tensor, "N D"], user: Int[Tensor, "N"]
    ) -> Float[Tensor, "N n"]:
        """States joined with their users' vectors, as the item vectors expect them."""
        if self.users is not None:
            states = torch.cat([states, self.users[user]], dim=1)
        if self.blend is not None:
            return F.relu(self.blend(states))
        return F.pad(states, (0, 1), value=1.0)  # what multiplies the bias


def _table(rows: int, dim: int) -> nn.Parameter:
    """N(0, 1 / D²) numbers, as both codes draw them."""
    return nn.Parameter(torch.randn(rows, dim) / dim)
