"""SRMA: views that come of changing the model, beside those of the data."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.models.stages import Stage, Step
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.nn.heads import ResidualLayers
from graphseq.nn.pooling import Pooling, pool
from graphseq.nn.transformer import Transformer
from graphseq.objectives import nt_xent
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.views import crop_mask_reorder, join, random_views

Drops = Literal["distinct", "same"]


@final
class SRMA(Model):
    r"""Liu et al., "Improving Contrastive Learning with Model Augmentation", 2022.

    arXiv:2203.15508.

    As ``CL4SRec``, with three changes of the model that tell the views further apart:
    neurons are masked (dropout), M of N layers appended to the encoder are left out,
    and a second encoder, trained before and then frozen, complements the views by the
    sequence as it sees it. With its vectors :math:`f_0(S)`,

    .. math:: L = L_{next} + λ \left( ℓ(v^1, v^2)
              + μ \left( ℓ(v^1, f_0(S)) + ℓ(v^2, f_0(S)) \right) \right) .

    Departs from the paper:
        The complement is trained by a first stage, not taken from a file, and reads
        without dropout; the released recipe, ``preset("code")``, never uses it. The
        appended layers serve the next item too, or (``appended_serve=False``) neither
        train nor rank it; the code, without a flag of that recipe, would rank with
        layers that the next item never trained. Views are cut from the ``max_length``
        newest items (the code has them all), in windows that never reach the last one,
        as in the code, and compared without their padding; contrasts are means over the
        views, not sums; a masked item is a zero vector in its place, which the code
        hides from attention. The next-item loss is by default the full softmax; the
        paper's (``bce``), in the presets ``s3`` and ``code``, ranks worse.

    Args:
        num_users: U.
        num_items: V.
        encoder: Reads the sequence; ``None`` is a ``Transformer`` that drops 0.1 of its
            attention.
        features: What is read of an item; ``None`` is an ``Embedding``.
        dim: D, where neither encoder nor features are given.
        max_length: Longest history that is read.
        sampler: How examples are cut from the sequences.
        loss: ``ce``, ``bce`` or ``gbce``.
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.
        mask_token: Whether masked items read a vector of their own.
        contrast_weight: λ.
        temperature: τ.
        pooling: The vector of a view.
        neuron_masking: Whether views are read with dropout.
        appended: N, the layers appended; 0 is none.
        dropped: M, the appended layers left out.
        drops: Whether the two views lose ``distinct`` layers or the ``same``.
        appended_dropout: Of the appended layers; the code has that of the encoder.
        appended_serve: Whether the next item is looked for behind the appended layers.
        complement_weight: μ; 0 has no second encoder.
        pretrain_epochs: Epochs of training the second encoder, before the others.
        crop_keep: Share of a sequence that a crop keeps.
        mask_rate: Share of its items that are masked.
        reorder_rate: Share of its items that change places.

    Raises:
        ConfigError: The second encoder would not be trained.
    """

    presets: ClassVar[Choices] = {
        "s3": {
            "sampler": "user",
            "loss": "bce",
            "pooling": "flatten",
            "transformer": {"attention_dropout": 0.1, "positions": "end"},
        },
        "code": {
            "sampler": "user",
            "loss": "bce",
            "pooling": "flatten",
            "drops": "same",
            "complement_weight": 0.0,
            "transformer": {"attention_dropout": 0.1, "positions": "end"},
        },
        "recbole": {"sampler": "prefix", "loss": "ce", "pooling": "last"},
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        encoder: Encoder | None = None,
        features: Features | None = None,
        dim: int = 64,
        max_length: int = 50,
        sampler: SequenceSampler = "user",
        loss: Loss = "ce",
        num_negatives: int = 1,
        mask_token: bool = False,
        contrast_weight: float = 0.1,
        temperature: float = 1.0,
        pooling: Pooling = "flatten",
        neuron_masking: bool = True,
        appended: int = 2,
        dropped: int = 1,
        drops: Drops = "distinct",
        appended_dropout: float = 0.5,
        appended_serve: bool = True,
        complement_weight: float = 0.5,
        pretrain_epochs: int = 30,
        crop_keep: float = 0.2,
        mask_rate: float = 0.7,
        reorder_rate: float = 0.2,
    ) -> None:
        super().__init__()
        check_ranges(
            dropouts={"appended_dropout": appended_dropout},
            positive={"temperature": temperature},
            counts={"appended": appended, "dropped": dropped},
            amounts={
                "contrast_weight": contrast_weight,
                "complement_weight": complement_weight,
            },
        )
        if complement_weight and pretrain_epochs < 1:
            raise ConfigError(
                "SRMA's second encoder is trained before the first; got "
                f"pretrain_epochs={pretrain_epochs}; give 1 or more, or "
                "complement_weight=0, which has no second encoder"
            )
        if encoder is None:
            dim = dim if features is None else features.dim
            encoder = Transformer(dim, max_length, attention_dropout=0.1)
        self.hold(
            num_users,
            Backbone(
                num_items,
                encoder=encoder,
                features=features,
                dim=dim,
                max_length=max_length,
                sampler=sampler,
                loss=loss,
                num_negatives=num_negatives,
                mask_token=mask_token,
            ),
        )
        self.complement: Backbone | None = None
        if complement_weight:
            self.complement = copy.deepcopy(self.backbone)
            if self.complement.token is not None:  # it reads no masked items
                self.complement.token = None
        self.appended = ResidualLayers(
            self.backbone.dim,
            layers=appended,
            skipped=dropped,
            dropout=appended_dropout,
        )
        self.contrast_weight = contrast_weight
        self.complement_weight = complement_weight
        self.pretrain_epochs = pretrain_epochs
        self.contrast = partial(nt_xent, temperature=temperature)
        self.pooling: Pooling = pooling
        self.neuron_masking, self.drops = neuron_masking, drops
        self.appended_serve = appended_serve
        self.operators = crop_mask_reorder(
            crop_keep, mask_rate, reorder_rate, reach_last=False
        )

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The state at the last item of the history, behind the appended layers."""
        state = self.serve(self.backbone.last(self.item_vectors(graph), batch))
        return state * (batch.lengths > 0)[:, None]

    def serve(self, states: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """The states as the next item is looked for."""
        return self.appended(states) if self.appended_serve else states

    def stages(self) -> tuple[Stage, ...]:
        """The complement alone, if there is one; then all else."""
        if self.complement is None:
            return super().stages()
        before = Step(self.complement_losses, ("complement.",))
        after = Step(self.losses, ("backbone.", "appended."))
        return Stage((before,), epochs=self.pretrain_epochs), Stage((after,))

    def complement_losses(
        self, batch: Batch, graph: HeteroData
    ) -> dict[str, Float[Tensor, ""]]:
        """The next item, by the second encoder."""
        if self.complement is None:
            return {}
        backbone = self.complement.train(self.training)
        table = backbone.items(graph)
        states = backbone.states_at_targets(table, batch)
        return {"complement_next_item": backbone.next_item(states, table, batch)}

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, and the contrasts."""
        table = self.item_vectors(graph)
        states = self.serve(self.backbone.states_at_targets(table, batch))
        terms = {"next_item": self.backbone.next_item(states, table, batch)}
        both = join(*random_views(batch, self.operators, distinct=False))
        places = batch.items.shape[1]
        first, second = self.encode(table, both, places)
        contrast = self.contrast(first, second)
        terms["contrast"] = self.contrast_weight * contrast
        if self.complement is not None:
            whole = self.complemented(batch, graph, places)
            pulled = self.contrast(first, whole) + self.contrast(second, whole)
            weight = self.contrast_weight * self.complement_weight
            terms["complement"] = weight * pulled
        return terms

    def encode(
        self, table: Float[Tensor, "V D"], views: Batch, places: int
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n"]]:
        """The vectors of both views, with the model's changes."""
        with _resting(self.backbone, not self.neuron_masking):
            states = self.backbone.states(table, views)
        parts = (states,) if self.drops == "same" else states.chunk(2)
        applied = [self.appended(p, masking=self.neuron_masking) for p in parts]
        vectors = pool(torch.cat(applied), views.mask, self.pooling, length=places)
        first, second = vectors.chunk(2)
        return first, second

    @torch.no_grad()
    def complemented(
        self, batch: Batch, graph: HeteroData, places: int
    ) -> Float[Tensor, "B n"]:
        """The sequences' vectors by the frozen encoder."""
        if self.complement is None:
            raise ValueError("complement_weight is 0, so there is no second encoder")
        backbone = self.complement.eval()
        states = backbone.states(backbone.items(graph), batch)
        return pool(states, batch.mask, self.pooling, length=places)


@contextmanager
def _resting(module: nn.Module, resting: bool) -> Iterator[None]:
    """Without dropout, if so, and then as before."""
    training = module.training
    module.train(training and not resting)
    try:
        yield
    finally:
        module.train(training)
