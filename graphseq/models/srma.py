"""SRMA: views from augmenting the model, besides those from augmenting the data."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.base import Stage, Step
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import Auxiliary, SequenceModel, Terms
from graphseq.nn.heads import ResidualLayers
from graphseq.nn.pooling import Pooling, pool
from graphseq.objectives import nt_xent
from graphseq.schema import Count, Dropout, InvalidOption, Positive, Size, Weight
from graphseq.sequences.augment import Augmentation, CropMaskReorder, draw_views
from graphseq.sequences.batch import Batch

Skips = Literal["distinct", "same"]


@final
class ModelAugmentation(Auxiliary):
    r"""Contrast between views that differ also in the model that encodes them.

    The model is augmented in three ways: neurons are masked (dropout), M of N layers
    appended to the encoder are left out, and a second encoder, pre-trained and frozen,
    complements the views with its vectors :math:`f_0(S)` of the sequence:

    .. math:: λ \left( ℓ(v^1, v^2) + μ \left( ℓ(v^1, f_0(S)) + ℓ(v^2, f_0(S)) \right)
              \right) .

    Source:
        Liu et al., SRMA, 2022, sections 3.2 and 3.3.

    Departs from the source:
        A first stage trains the complement, which is not read from a file, and encodes
        without dropout; the released recipe never uses it. Views come from the
        ``max_length`` newest items (the code uses all) and are compared without their
        padding. Contrasts are means over the views, not sums.

    Args:
        augmentation: Draws the views; ``None`` is CropMaskReorder in windows that never
            reach the last item, with operators drawn independently.
        weight: λ.
        temperature: τ.
        pooling: One vector per view.
        neuron_masking: Whether views are encoded with dropout.
        appended: N, the number of appended layers; 0 appends none.
        skipped: M, the number of appended layers left out.
        skips: Whether each view draws the layers that it leaves out (``distinct``; they
            can coincide), or both leave out the ``same``.
        appended_dropout: Dropout of the appended layers; the code uses the encoder's.
        complement_weight: μ; 0 has no second encoder.
        pretrain_epochs: Epochs that train the second encoder, before the others.
    """

    part_defaults: ClassVar = {
        "augmentation": {"CropMaskReorder": {"distinct": False, "reach_last": False}}
    }

    def __init__(
        self,
        augmentation: Augmentation | None = None,
        *,
        weight: Weight = 0.1,
        temperature: Positive = 1.0,
        pooling: Pooling = "flatten",
        neuron_masking: bool = True,
        appended: Count = 2,
        skipped: Count = 1,
        skips: Skips = "distinct",
        appended_dropout: Dropout = 0.5,
        complement_weight: Weight = 0.5,
        pretrain_epochs: Count = 30,
    ) -> None:
        super().__init__()
        self.augmentation = augmentation or CropMaskReorder(
            distinct=False, reach_last=False
        )
        self.weight, self.complement_weight = weight, complement_weight
        self.contrast = partial(nt_xent, temperature=temperature)
        self.pooling: Pooling = pooling
        self.neuron_masking, self.skips = neuron_masking, skips
        self.layers, self.skipped = appended, skipped
        self.appended_dropout = appended_dropout
        self.pretrain_epochs = pretrain_epochs
        self.complement: Backbone | None = None

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """There are layers to leave out; a second encoder is trained."""
        if options["skipped"] > options["appended"]:
            expected = f"expected at most appended={options['appended']}"
            yield InvalidOption("skipped", f"{expected}, found {options['skipped']}")
        if options["complement_weight"] and not options["pretrain_epochs"]:
            yield InvalidOption(
                "pretrain_epochs",
                "expected 1 or more to train the second encoder, found 0; or set "
                "complement_weight to 0, which has no second encoder",
            )

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the second encoder, equal to the first, and the appended layers."""
        if self.complement_weight:
            # It reads no masked items, so it needs no mask token.
            options = {**backbone.options, "mask_token": False}
            options["features"] = copy.deepcopy(backbone.features)
            options["encoder"] = copy.deepcopy(backbone.encoder)
            options["users"] = copy.deepcopy(backbone.users)
            self.complement = Backbone(**options)
        self.appended = ResidualLayers(
            backbone.dim,
            layers=self.layers,
            skipped=self.skipped,
            dropout=self.appended_dropout,
        )

    def stages(self, backbone: Backbone) -> tuple[Stage, ...]:
        """The second encoder alone, by the next item."""
        if self.complement is None:
            return ()
        step = Step(self.complement_losses, (self.complement,))
        return (Stage((step,), epochs=self.pretrain_epochs),)

    def complement_losses(self, batch: Batch, graph: HeteroData) -> Terms:
        """The next-item loss of the second encoder."""
        assert self.complement is not None
        second = self.complement.train(self.training)
        encoding = second.encode(second.items(graph, batch), batch, graph)
        loss = second.next_item(encoding.with_users, encoding.items, batch)
        return {"complement_next_item": loss}

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The contrast between two views, and with the complement."""
        backbone, items, batch = encoding.backbone, encoding.items, encoding.batch
        views = draw_views(self.augmentation, batch, backbone.max_length)
        length = batch.items.shape[1]
        first, second = self.encode(backbone, items, views, length)
        terms = {"contrast": self.weight * self.contrast(first, second)}
        if self.complement is not None:
            own = self.complement_vectors(batch, graph, length)
            contrast = self.contrast(first, own) + self.contrast(second, own)
            terms["complement"] = self.weight * self.complement_weight * contrast
        return terms

    def encode(
        self,
        backbone: Backbone,
        items: Float[Tensor, "V D"],
        views: Batch,
        length: int,
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n"]]:
        """The vectors of both views by the augmented model."""
        with _without_dropout(backbone, not self.neuron_masking):
            states = backbone.states(items, views)
        parts = (states,) if self.skips == "same" else states.chunk(2)
        applied = [self.appended(p, masking=self.neuron_masking) for p in parts]
        states = torch.cat(applied)
        vectors = pool(states, views.mask, self.pooling, length=length)
        first, second = vectors.chunk(2)
        return first, second

    @torch.no_grad()
    def complement_vectors(
        self, batch: Batch, graph: HeteroData, length: int
    ) -> Float[Tensor, "B n"]:
        """The sequences' vectors by the frozen second encoder."""
        assert self.complement is not None
        second = self.complement.eval()
        states = second.states(second.items(graph), batch)
        return pool(states, batch.mask, self.pooling, length=length)


@contextmanager
def _without_dropout(module: nn.Module, resting: bool) -> Iterator[None]:
    """In evaluation mode if ``resting``; afterwards as before."""
    training = module.training
    module.train(training and not resting)
    try:
        yield
    finally:
        module.train(training)


@final
class SRMA(SequenceModel):
    r"""Liu et al., "Improving Contrastive Learning with Model Augmentation", 2022.

    arXiv:2203.15508.

    As ``CL4SRec``, with three augmentations of the model that make views differ more:

    .. math:: L = L_{next} + λ \left( ℓ(v^1, v^2)
              + μ \left( ℓ(v^1, f_0(S)) + ℓ(v^2, f_0(S)) \right) \right) .

    Departs from the paper:
        As ``ModelAugmentation``. The appended layers also precede the next item, or
        (``appended_serve=False``) neither train nor rank it; the code, without a flag
        of its recipe, ranks with layers that the next item never trained. The next-item
        loss is by default the full softmax; the paper's (``Backbone(loss="bce")``)
        ranks worse.

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of items,
            for a Transformer with a dropout of 0.1 on attention weights.
        objective: The contrasts; ``None`` is ``ModelAugmentation()``.
        appended_serve: Whether the next item is scored after the appended layers.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "sampler": "user",
            "encoder": {"Transformer": {"attention_dropout": 0.1}},
        },
        "objective": {},
    }

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        objective: ModelAugmentation | None = None,
        appended_serve: bool = True,
    ) -> None:
        objective = objective or ModelAugmentation()
        super().__init__(num_users, backbone, [objective])
        self.appended_serve = appended_serve

    def represent(self, batch: Batch, graph: HeteroData) -> Float[Tensor, "B D"]:
        """The state at the last item, after the appended layers."""
        items = self.backbone.items(graph)
        last = self.backbone.represent(items, batch, graph)
        return self.serve(last) * (batch.lengths > 0)[:, None]

    def next_item(self, encoding: Encoding) -> Float[Tensor, ""]:
        """The next-item loss, after the appended layers."""
        states = self.serve(encoding.with_users)
        return self.backbone.next_item(states, encoding.items, encoding.batch)

    def serve(self, states: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """The states that score items."""
        [objective] = self.objectives
        assert isinstance(objective, ModelAugmentation)
        served: Tensor = objective.appended(states) if self.appended_serve else states
        return served
