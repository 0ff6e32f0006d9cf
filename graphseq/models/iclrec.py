"""ICLRec: contrast of a sequence with the intent of its user, found by k-means."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS
from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone, Loss
from graphseq.models.base import Choices, Model
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Features
from graphseq.nn.kmeans import kmeans, nearest
from graphseq.nn.pooling import Pooling, pool
from graphseq.objectives import intent_contrast, nt_xent, same_id_mask
from graphseq.objectives.contrastive import Form
from graphseq.schema import check_ranges
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import SequenceSampler, examples, gather
from graphseq.sequences.views import crop_mask_reorder, join, random_views

FNM = Literal["none", "intents", "both"]


@final
class ICLRec(Model):
    r"""Chen et al., "Intent Contrastive Learning for Sequential …", WWW 2022.

    Users fall into K intents: before every epoch, the mean states of all users'
    training sequences are clustered. Then two random views of a sequence are drawn to
    each other (Eqs. 6-8), and to the centroid of the intent that the sequence is
    nearest to (Eqs. 15-17); the whole is Eq. (18),

    .. math:: L = L_{next} + λ L_{ICL} + β L_{SeqCL} .

    Departs from the paper:
        By default, the sequence contrast compares states side by side, not their mean;
        the intent contrast is symmetric and averaged over the views; no false negatives
        are spared (``fnm``). That is the authors' code, and what reached the published
        figures; ``preset("paper")`` has it as printed (its β is doubled, for a mean
        over both directions). Clusters start from the epoch's number. Labels for
        ``fnm`` are taken from training events (the code's are validation items); means,
        and states side by side, leave out padding; views are cut from the
        ``max_length`` newest items, in windows that never reach the last one, as in the
        code; a masked item is a zero vector in its place, which the code hides from
        attention. Of several K all count alike, in the code only the last. The
        next-item loss is by default the full softmax; the paper's (``bce``), in both
        presets, ranks worse.

    Args:
        num_users: U.
        num_items: V.
        encoder: Reads the sequence; ``None`` is a ``Transformer``.
        features: What is read of an item; ``None`` is an ``Embedding``.
        dim: D, where neither encoder nor features are given.
        max_length: Longest history that is read.
        sampler: How examples are cut from the sequences.
        loss: ``ce``, ``bce`` or ``gbce``.
        num_negatives: Negatives a target, for ``bce`` and ``gbce``.
        clusters: K, the number of intents; of several K the mean loss is taken.
        intent_weight: λ.
        sequence_weight: β.
        fnm: Whose false negatives are spared: of the ``intents`` those of the same
            intent, of ``both`` also sequences with the same last target.
        form: The intent contrast as in the code or as printed.
        sequence_pooling: What the sequence contrast compares.
        temperature: τ of both contrasts.
        warm_up: Epochs that train by the sequence contrast alone.
        crop_keep: Share of a sequence that a crop keeps.
        mask_rate: Share of its items that are masked.
        reorder_rate: Share of its items that change places.

    Raises:
        ConfigError: There is no number of clusters, or nothing to warm up with.
    """

    presets: ClassVar[Choices] = {
        "code": {"loss": "bce", "transformer": {"positions": "end"}},
        "paper": {
            "loss": "bce",
            "fnm": "intents",
            "form": "paper",
            "sequence_pooling": "mean",
            "sequence_weight": 0.2,  # of a mean over both directions; printed is a sum
            "transformer": {"positions": "end"},
        },
    }
    for_data: ClassVar[Choices] = {
        "beauty": {"transformer": {"layers": 1}},
        "sports": {},
        "toys": {"transformer": {"layers": 3}},
        "yelp": {},
        "ml-1m": {"max_length": 200, "sequence_weight": 0.0},  # as its author ran it
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
        clusters: Sequence[int] = (256,),
        intent_weight: float = 0.1,
        sequence_weight: float = 0.1,
        fnm: FNM = "none",
        form: Form = "symmetric",
        sequence_pooling: Pooling = "flatten",
        temperature: float = 1.0,
        warm_up: int = 0,
        crop_keep: float = 0.2,
        mask_rate: float = 0.7,
        reorder_rate: float = 0.2,
    ) -> None:
        super().__init__()
        check_ranges(
            positive={"temperature": temperature},
            counts={"warm_up": warm_up},
            amounts={
                "intent_weight": intent_weight,
                "sequence_weight": sequence_weight,
            },
        )
        if not clusters or min(clusters) < 1:
            raise ConfigError(
                f"ICLRec finds K intents; got clusters={clusters}; give one K or more"
            )
        if warm_up and not sequence_weight:
            raise ConfigError(
                "ICLRec warms up with the sequence contrast alone; set sequence_weight "
                "above 0, or warm_up=0"
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
            ),
        )
        self.clusters = tuple(clusters)
        self.intent_weight, self.sequence_weight = intent_weight, sequence_weight
        self.fnm, self.sequence_pooling = fnm, sequence_pooling
        self.temperature = temperature
        self.contrast = partial(intent_contrast, form=form, temperature=temperature)
        self.warmup, self.warming = warm_up, False
        self.operators = crop_mask_reorder(
            crop_keep, mask_rate, reorder_rate, reach_last=False
        )

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Cluster all users: the E-step. The epoch's number seeds it."""
        self.warming = epoch < self.warmup
        if self.warming or not self.intent_weight:
            return
        points = self.intents(graph)
        for i, number in enumerate(self.clusters):
            self.epoch_state[f"centroids_{i}"] = kmeans(points, number, seed=epoch)

    def intents(self, graph: HeteroData) -> Float[Tensor, "N D"]:
        """The mean state of each user's training sequence."""
        table, flat = self.item_vectors(graph), graph[INTERACTS].edge_index[1]
        users = examples(graph, "user", self.max_length)
        order = users.length.argsort()
        means = []
        for rows in order.split(1024):
            batch = gather(flat, users, rows, self.num_items)
            states = self.backbone.states(table, batch)
            means.append(pool(states, batch.mask, "mean"))
        return torch.cat(means)[order.argsort()]

    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """Next item, sequence contrast and intent contrast: the M-step, Eq. (18)."""
        table = self.item_vectors(graph)
        views = self.views(batch)
        terms: dict[str, Tensor] = {}
        if not self.warming:
            states = self.backbone.states(table, batch)
            asked = states[batch.target_positions()[0]]
            terms["next_item"] = self.backbone.next_item(asked, table, batch)
        if self.sequence_weight:
            spared = same_id_mask(_newest(batch)) if self.fnm == "both" else None
            h = self.pooled(table, views, self.sequence_pooling)
            loss = nt_xent(*h, temperature=self.temperature, exclude=spared)
            terms["sequence"] = self.sequence_weight * loss
        if self.intent_weight and not self.warming:
            h = self.pooled(table, views, "mean")
            own = pool(states, batch.mask, "mean").detach()
            losses = [self.intent(h, own, c) for c in self.centroids(graph)]
            terms["intent"] = self.intent_weight * torch.stack(losses).mean()
        return terms

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def views(self, batch: Batch) -> Batch:
        """Two random views, one below the other."""
        return join(*random_views(batch, self.operators, distinct=False))

    def pooled(
        self, table: Float[Tensor, "V D"], views: Batch, pooling: Pooling
    ) -> tuple[Tensor, Tensor]:
        """Both views' vectors, from a pass of their own with a dropout of its own."""
        first, second = self.backbone.view(table, views, pooling).chunk(2)
        return first, second

    def intent(
        self,
        views: tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]],
        own: Float[Tensor, "B D"],
        centroids: Float[Tensor, "K D"],
    ) -> Float[Tensor, ""]:
        """Contrast with normalised centroids, which the raw ones are chosen by."""
        which = nearest(own, centroids)
        intents = F.normalize(centroids, dim=1)[which]
        identity = None if self.fnm == "none" else which
        loss: Tensor = self.contrast(*views, intents, identity=identity)
        return loss

    @torch.no_grad()
    def centroids(self, graph: HeteroData) -> list[Float[Tensor, "K D"]]:
        """The raw centroids of each K; found now, if no epoch's start has done so."""
        if not self.epoch_state:
            training = self.training
            self.eval().refresh(graph, self.warmup)
            self.train(training)
        device = self.backbone.features.weight.device
        return [
            self.epoch_state[f"centroids_{i}"].to(device)
            for i in range(len(self.clusters))
        ]


def _newest(batch: Batch) -> Tensor:
    """The last target of each row, the code's class of a sequence."""
    if batch.targets is None:
        raise ValueError("this batch holds no targets to tell sequences apart by")
    return batch.targets.gather(1, (batch.lengths - 1).clamp(min=0)[:, None])[:, 0]
