"""ICLRec: contrast of a sequence with the intent of its user, found by k-means."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.models.backbone import Backbone
from graphseq.models.base import Stage, Step
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import Auxiliary, SequenceModel, Terms
from graphseq.nn.kmeans import kmeans, nearest
from graphseq.nn.pooling import Pooling, pool
from graphseq.objectives import (
    intent_contrast,
    nt_xent,
    prototype_contrast,
    same_id_mask,
)
from graphseq.objectives.contrastive import Directions
from graphseq.schema import Count, InvalidOption, Positive, Size, Weight
from graphseq.sequences.augment import Augmentation, CropMaskReorder, draw_views
from graphseq.sequences.batch import Batch
from graphseq.sequences.rows import last_targets
from graphseq.sequences.samplers import examples, gather

FalseNegatives = Literal["none", "intents", "both"]
Form = Literal["symmetric", "paper", "prototypes"]


@final
class IntentContrast(Auxiliary):
    r"""Contrast of two views of a sequence with the intent of its user.

    Users fall into K intents: before every epoch, the mean states of all users'
    training sequences are clustered (E-step). Two random views of a sequence are drawn
    to the centroid of the intent nearest to the sequence, Eqs. (15)-(17), and with
    ``sequence_weight`` also to each other, Eqs. (6)-(8): λ L_ICL + β L_SeqCL.

    Source:
        Chen et al., ICLRec, WWW 2022, Eqs. (6)-(18).

    Departs from the source:
        By default as in the authors' code, which reached the published results: the
        sequence contrast compares concatenated states, not their mean; the intent
        contrast is symmetric; both are averaged over their two directions, not summed;
        false negatives are not masked out (``fnm``). Both contrasts read one encoding
        of the views; the code encodes them twice. The epoch's number seeds the
        clustering. Labels for ``fnm`` are training events (the code's are validation
        items). Means and concatenated states leave out padding. Views come from the
        ``max_length`` newest items. Of several K all count equally; in the code only
        the last counts.

    Args:
        clusters: K, the number of intents; the loss is the mean over several K.
        weight: λ.
        sequence_weight: β, of the contrast between the two views.
        fnm: False negatives that are masked out: ``intents`` masks rows of the same
            intent, ``both`` also sequences with the same last target.
        form: The contrasts of the code (``symmetric``) or as printed (``paper``), in
            which the negatives are the intents of the batch, Eqs. (15)-(17); or with
            all K intents as negatives (``prototypes``), Eq. (14), which ``fnm`` does
            not change.
        sequence_pooling: What the sequence contrast compares.
        temperature: τ of both contrasts.
        warm_up: Epochs that train by the sequence contrast alone.
        augmentation: Draws the views; ``None`` is CropMaskReorder in windows that never
            reach the last item, with operators drawn independently.
    """

    every_position = True

    part_defaults: ClassVar = {
        "augmentation": {"CropMaskReorder": {"distinct": False, "reach_last": False}}
    }

    def __init__(
        self,
        *,
        clusters: Sequence[Size] = (256,),
        weight: Weight = 0.1,
        sequence_weight: Weight = 0.0,
        fnm: FalseNegatives = "none",
        form: Form = "symmetric",
        sequence_pooling: Pooling = "flatten",
        temperature: Positive = 1.0,
        warm_up: Count = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.clusters, self.warm_up = tuple(clusters), warm_up
        self.warmup = warm_up
        self.weight, self.sequence_weight = weight, sequence_weight
        self.fnm, self.sequence_pooling = fnm, sequence_pooling
        self.form, self.temperature = form, temperature
        directions: Directions = "mean" if form == "symmetric" else "sum"
        self.sequence_contrast = partial(
            nt_xent, temperature=temperature, directions=directions
        )
        self.augmentation = augmentation or CropMaskReorder(
            distinct=False, reach_last=False
        )
        for i in range(len(self.clusters)):
            self.register_buffer(f"centroids_{i}", None, persistent=False)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """There is a number of clusters, and something to warm up with."""
        if not options["clusters"]:
            yield InvalidOption("clusters", "expected one number K or more, found none")
        if options["warm_up"] and not options["sequence_weight"]:
            yield InvalidOption(
                "warm_up",
                "warms up by the sequence contrast alone; set sequence_weight above 0, "
                "or warm_up to 0",
            )

    def refresh(self, backbone: Backbone, graph: HeteroData, epoch: int) -> None:
        """Cluster all users: the E-step. The epoch's number seeds it."""
        super().refresh(backbone, graph, epoch)
        if epoch < self.warm_up or not self.weight:
            return
        points = mean_states(backbone, graph)
        for i, number in enumerate(self.clusters):
            self.register_buffer(
                f"centroids_{i}", kmeans(points, number, seed=epoch), persistent=False
            )

    def stages(self, backbone: Backbone) -> tuple[Stage, ...]:
        """The sequence contrast alone, for ``warm_up`` epochs."""
        if not self.warm_up:
            return ()

        def losses(batch: Batch, graph: HeteroData) -> Terms:
            items = backbone.items(graph)
            views = draw_views(self.augmentation, batch, backbone.max_length)
            vectors = backbone.pooled(items, views, self.sequence_pooling)
            return self.sequence_term(vectors, batch)

        return (Stage((Step(losses),), epochs=self.warm_up),)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The sequence contrast and the intent contrast: the M-step, Eq. (18)."""
        backbone, items, batch = encoding.backbone, encoding.items, encoding.batch
        terms: Terms = {}
        if not (self.weight or self.sequence_weight):
            return terms
        views = draw_views(self.augmentation, batch, backbone.max_length)
        states = backbone.states(items, views)
        if self.sequence_weight:
            vectors = pool(states, views.mask, self.sequence_pooling)
            terms |= self.sequence_term(vectors, batch)
        if self.weight:
            first, second = pool(states, views.mask, "mean").chunk(2)
            own = pool(encoding.states, batch.mask, "mean").detach()
            losses = [self.intent_term(first, second, own, c) for c in self.centroids()]
            terms["intent"] = self.weight * torch.stack(losses).mean()
        return terms

    def sequence_term(self, vectors: Float[Tensor, "N n"], batch: Batch) -> Terms:
        """The contrast between two views of a sequence, Eqs. (6)-(8)."""
        mask = same_id_mask(last_targets(batch)) if self.fnm == "both" else None
        loss = self.sequence_contrast(*vectors.chunk(2), exclude=mask)
        return {"sequence": self.sequence_weight * loss}

    def intent_term(
        self,
        first: Float[Tensor, "B D"],
        second: Float[Tensor, "B D"],
        own: Float[Tensor, "B D"],
        centroids: Float[Tensor, "K D"],
    ) -> Float[Tensor, ""]:
        """Contrast with normalised centroids, which the raw ones are chosen by."""
        which, t = nearest(own, centroids), self.temperature
        intents = F.normalize(centroids, dim=1)
        if self.form == "prototypes":
            return prototype_contrast(first, second, intents, which, temperature=t)
        identity = None if self.fnm == "none" else which
        return intent_contrast(
            first,
            second,
            intents[which],
            identity=identity,
            form=self.form,
            temperature=t,
        )

    def centroids(self) -> list[Float[Tensor, "K D"]]:
        """The raw centroids of each K.

        Raises:
            RuntimeError: ``refresh`` was never called.
        """
        found = [getattr(self, f"centroids_{i}") for i in range(len(self.clusters))]
        if found[0] is None:
            raise RuntimeError("call refresh before the losses of an epoch")
        return found


def mean_states(backbone: Backbone, graph: HeteroData) -> Float[Tensor, "N D"]:
    """The mean state of each user's training sequence.

    Args:
        backbone: Encodes the sequences.
        graph: Users with fewer than two training events have no sequence.
    """
    items, flat = backbone.items(graph), graph[INTERACTS].edge_index[1]
    users = examples(graph, "user", backbone.max_length)
    order = users.length.argsort()
    means = []
    for rows in order.split(1024):
        batch = gather(flat, users, rows, backbone.num_items)
        means.append(pool(backbone.states(items, batch), batch.mask, "mean"))
    return torch.cat(means)[order.argsort()]


@final
class ICLRec(SequenceModel):
    r"""Chen et al., "Intent Contrastive Learning for Sequential …", WWW 2022.

    Users have latent intents, found by clustering their sequences. Views of a sequence
    are drawn to each other and to its user's intent, Eq. (18):

    .. math:: L = L_{next} + λ L_{ICL} + β L_{SeqCL} .

    Departs from the paper:
        As ``IntentContrast``. The next-item loss is by default the full softmax; the
        paper's (``Backbone(loss="bce")``) ranks worse.

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of items.
        objective: The contrasts; ``None`` is ``IntentContrast(sequence_weight=0.1)``.
    """

    part_defaults: ClassVar = {
        "backbone": {"sampler": "user"},
        "objective": {"sequence_weight": 0.1},
    }

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        *,
        objective: IntentContrast | None = None,
    ) -> None:
        objective = objective or IntentContrast(sequence_weight=0.1)
        super().__init__(num_users, backbone, [objective])
