"""LMA4Rec: views of the data, encoded with a dropout whose rates are learnt."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS
from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Model
from graphseq.models.similarity import DATA, PRESETS, InformedViews, Similarity
from graphseq.nn.dropout import Estimator, LearnableDropout, Phase
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.nn.pooling import Pooling
from graphseq.nn.transformer import Transformer
from graphseq.objectives import nt_xent
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler
from graphseq.sequences.views import join


@final
class LMA4Rec(Model):
    r"""Hao et al., "Learnable Model Augmentation Self-Supervised …", 2022.

    arXiv:2204.10128. A reconstruction: its authors have released no code.

    ``CoSeRec``, whose views are also augmented in the encoder: the dropout of every
    transformer block keeps a unit with a probability σ(α) that is learnt, block by
    block, from the contrast.

    Departs from the paper:
        Where the learnt dropout stands, and where α starts, is not settled by what can
        be read: here it is in the place of all dropout of the blocks' outputs, from
        one half. α is moved by the contrast alone. With ``estimator="concrete"`` it is
        a relaxation, cheaper by one pass, that moves it; then also by the next item.
        What departs in ``CoSeRec`` does here.

    Args:
        num_users: U.
        num_items: V.
        encoder: A ``Transformer``, whose blocks get the learnt dropout.
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
        estimator: Of α's gradient: ``arm``, or the ``concrete`` relaxation.
        logit: α at the start.
        per_unit: An α for each of the D units, not one for all of a block.
        similarity: As in ``CoSeRec``.
        offline_epochs: Epochs by the graph alone.
        threshold: Longest sequence that counts as short.
        short: Operators for short sequences.
        crop_keep: Share of a sequence that a crop keeps.
        mask_rate: Share of its items that are masked.
        reorder_rate: Share of its items that change places.
        insert_rate: Share of its items that get a similar one before them.
        substitute_rate: Share of its items that give way to a similar one.

    Raises:
        ConfigError: The encoder is no ``Transformer``.
    """

    presets, for_data = PRESETS, DATA

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
        estimator: Estimator = "arm",
        logit: float = 0.0,
        per_unit: bool = False,
        similarity: Similarity = "hybrid",
        offline_epochs: int = 160,
        threshold: int = 4,
        short: Sequence[str] = ("insert", "substitute", "mask"),
        crop_keep: float = 0.2,
        mask_rate: float = 0.7,
        reorder_rate: float = 0.7,
        insert_rate: float = 0.4,
        substitute_rate: float = 0.1,
    ) -> None:
        super().__init__()
        check_ranges(
            positive={"temperature": temperature},
            amounts={"contrast_weight": contrast_weight},
        )
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
        if not isinstance(self.backbone.encoder, Transformer):
            raise ConfigError(
                "LMA4Rec learns the dropout of a Transformer's blocks; got "
                f"{type(self.backbone.encoder).__name__}; give encoder: {{Transformer: "
                "{…}}, or use CoSeRec, which takes any encoder"
            )
        units = self.backbone.dim if per_unit else None
        self.sites = [
            LearnableDropout(units, logit=logit, estimator=estimator)
            for _ in self.backbone.encoder.blocks
        ]
        for block, site in zip(self.backbone.encoder.blocks, self.sites, strict=True):
            block.dropout = site
        self.estimator: Estimator = estimator
        self.requires = tuple(dict.fromkeys((*self.backbone.requires, ITEM_CO_OCCURS)))
        self.contrast_weight, self.temperature = contrast_weight, temperature
        self.pooling: Pooling = pooling
        self.views = InformedViews(
            similarity=similarity,
            offline_epochs=offline_epochs,
            threshold=threshold,
            short=short,
            crop_keep=crop_keep,
            mask_rate=mask_rate,
            reorder_rate=reorder_rate,
            insert_rate=insert_rate,
            substitute_rate=substitute_rate,
            max_length=max_length,
        )

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Find out what is similar, after ``offline_epochs`` by the vectors too."""
        table = self.item_vectors(graph)
        self.epoch_state["similar"] = self.views.similar(graph, table, epoch)

    def similar(self, graph: HeteroData) -> Int[Tensor, "V"]:
        """The item most similar to each, found now if no epoch's start has done so."""
        if "similar" not in self.epoch_state:
            with torch.no_grad():
                self.refresh(graph, 0)
        return self.epoch_state["similar"].to(self.backbone.features.weight.device)

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The next item, and the contrast, with a gradient for the dropout's rates."""
        table = self.item_vectors(graph)
        states = self.backbone.states_at_targets(table, batch)
        terms = {"next_item": self.backbone.next_item(states, table, batch)}
        views = join(*self.views.draw(batch, self.similar(graph)))
        contrast = self.contrast(table, views)
        terms["contrast"] = self.contrast_weight * contrast
        return terms

    def contrast(self, table: Float[Tensor, "V D"], views: Batch) -> Float[Tensor, ""]:
        """NT-Xent between the two halves; with ``arm``, from two passes."""
        if self.estimator == "concrete" or not self.training:
            return self.encoded(table, views)
        devices = [table.device] if table.is_cuda else []
        with torch.no_grad(), torch.random.fork_rng(devices):
            # The fork gives its random state back: both passes draw the same numbers.
            self.begin("mirrored")
            mirrored = self.encoded(table, views)
        self.begin("first")
        first = self.encoded(table, views)
        gradients = [site.arm(first - mirrored) for site in self.sites]
        self.begin("plain")
        return first + torch.stack(gradients).sum()

    def encoded(self, table: Float[Tensor, "V D"], views: Batch) -> Float[Tensor, ""]:
        """NT-Xent between the two halves, from one pass."""
        vectors = self.backbone.view(table, views, self.pooling)
        return nt_xent(*vectors.chunk(2), temperature=self.temperature)

    def begin(self, phase: Phase) -> None:
        """Tell every learnt dropout what the next pass is for."""
        for site in self.sites:
            site.set_phase(phase)
