"""What every model owes: a vector per row, a vector per item, and its loss terms."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.errors import ConfigError, GraphError, suggest
from graphseq.models.backbone import Backbone, with_transformer
from graphseq.models.stages import Stage, Step
from graphseq.schema import Configurable
from graphseq.sequences.batch import Batch
from graphseq.sequences.examples import Sampler

Choices = Mapping[str, Mapping[str, Any]]
M = TypeVar("M", bound="Model")


def check_given(where: str, model: Any, graph: Any) -> None:
    """Refuse what is no model, or no graph, before it fails without a word.

    Raises:
        ConfigError: Saying what was given.
    """
    if not isinstance(model, Model) or not isinstance(graph, HeteroData):
        found = f"{type(model).__name__} and {type(graph).__name__}"
        raise ConfigError(
            f"{where} takes a model and a graph, in this order; found {found}. A log "
            "becomes a graph by build_graph(leave_one_out(log))"
        )


class Model(Configurable, nn.Module, ABC):
    """A recommender that scores by inner product.

    A subclass is final: it implements :meth:`represent`, :meth:`item_vectors` and
    :meth:`losses`, and sets what the loader must know. One that reads sequences by a
    backbone (:meth:`hold`) has all but the losses from there.

    Attributes:
        requires: Relations the graph must hold.
        num_users: U.
        num_items: V.
        max_length: Longest history that is read.
        sampler: How training examples are cut from the sequences: ``targets`` (every
            position in one pass, batches counted in targets), ``user`` (one row a
            user, batches counted in users), ``prefix`` (one row a target), ``pairs``
            (user and item, no sequence).
        num_negatives: Negatives that the loader draws for each target.
        warmup: Epochs during which a run does not stop early, however it goes.
        has_user_embeddings: Whether the model has a vector for each user, so that
            users without training events cannot be ranked.
        presets: Named sets of options, which :meth:`preset` builds from; what stands
            under ``transformer`` is of the encoder, where none is given.
        for_data: Options that were published for a data set; they yield to a preset's.
        memory: What is kept between epochs and is no weight (centroids, importances):
            a resumed run has it again, a finished one does not need it.
    """

    presets: ClassVar[Choices] = {}
    for_data: ClassVar[Choices] = {}
    requires: tuple[EdgeType, ...] = ()
    num_users: int
    num_items: int
    max_length: int = 50
    sampler: Sampler = "targets"
    num_negatives: int = 0
    warmup: int = 0
    has_user_embeddings: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.epoch_state: dict[str, Tensor] = {}

    @final
    @classmethod
    def preset(
        cls: type[M],
        name: str,
        num_users: int,
        num_items: int,
        *,
        data: str | None = None,
        **options: Any,
    ) -> M:
        """The model with a named set of choices, some of them overridden.

        Args:
            name: One of ``presets``.
            num_users: U.
            num_items: V.
            data: One of ``for_data``; ``None`` is the first of them.
            options: What overrules both.

        Raises:
            ConfigError: There is no such preset, or none for such data.
        """
        for what, given, known in (
            ("preset", name, cls.presets),
            ("settings for the data", data, cls.for_data),
        ):
            if given is not None and given not in known:
                said = suggest(given, known) if known else "there are none"
                raise ConfigError(f"{cls.__name__} has no {what} {given!r}; {said}")
        by_data = cls.for_data.get(data or next(iter(cls.for_data), ""), {})
        chosen = {**by_data, **cls.presets[name], **options}
        encoder = {
            **by_data.get("transformer", {}),
            **chosen.pop("transformer", {}),
        }
        if encoder:
            chosen = with_transformer(chosen, **encoder)
        make: Callable[..., M] = cls
        return make(num_users, num_items, **chosen)

    def hold(self, num_users: int, backbone: Backbone) -> None:
        """Read sequences by a backbone, whose features and examples are the model's."""
        self.backbone = backbone
        self.num_users, self.num_items = num_users, backbone.num_items
        self.max_length, self.sampler = backbone.max_length, backbone.sampler
        self.requires = backbone.requires
        self.num_negatives = backbone.num_negatives

    def represent(
        self, batch: Batch, graph: HeteroData
    ) -> Float[Tensor, "B D"] | Float[Tensor, "B K D"]:
        """What a row's history says the user wants next: one vector, or K of them.

        By default, the backbone's state at the last item.
        """
        return self.backbone.last(self.item_vectors(graph), batch)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The vector of every real item; never of the padding.

        By default, the backbone's features, which are also what it reads.
        """
        return self.backbone.items(graph)

    @abstractmethod
    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The weighted terms of the objective, by name; their sum is minimised."""

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Renew what the coming epoch's losses rest on: clusters, importances.

        Called before every epoch in evaluation mode, without gradients.

        Args:
            graph: The graph, on the model's device.
            epoch: The coming epoch; the first is 0.
        """

    def stages(self) -> tuple[Stage, ...]:
        """How it is trained: here all parameters by all losses, in one stage."""
        return (Stage((Step(self.losses),)),)

    @final
    def catalogue(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The item vectors, once it is sure that there is one for every item.

        Raises:
            GraphError: There is not, as with features made for other items.
        """
        vectors = self.item_vectors(graph)
        if vectors.dim() != 2 or len(vectors) != self.num_items:
            raise GraphError(
                f"{type(self).__name__} ranks {self.num_items} items, and its item "
                f"vectors are of shape {tuple(vectors.shape)}: make its features with "
                f"num_items={self.num_items} (padding has no row)"
            )
        return vectors

    @final
    @torch.no_grad()
    def score(
        self,
        batch: Batch,
        graph: HeteroData,
        items: Float[Tensor, "V D"] | None = None,
    ) -> Float[Tensor, "B V"]:
        """Scores of all items for every row of the batch.

        Pass ``items = model.item_vectors(graph)`` once when scoring many batches.
        """
        items = self.catalogue(graph) if items is None else items
        scores = self.represent(batch, graph) @ items.T
        return scores.amax(dim=1) if scores.dim() == 3 else scores
