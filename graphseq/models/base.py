"""The base of every model: scores of all items, and loss terms."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, EdgeType
from graphseq.data.split import check_held_out
from graphseq.errors import ConfigError, DataError, GraphError
from graphseq.models.computed_features import with_computed_features
from graphseq.models.scoring import InnerProduct, Scorer
from graphseq.schema import Configurable
from graphseq.sequences.batch import Batch
from graphseq.sequences.samplers import Sampler

Losses = Callable[[Batch, HeteroData], dict[str, Float[Tensor, ""]]]


@dataclass(frozen=True)
class Step:
    """One optimiser step on a batch.

    Attributes:
        losses: Returns the weighted terms whose sum the step lowers.
        modules: The modules whose parameters it trains; the others are constant and get
            no gradient. Empty: all of the model.
    """

    losses: Losses
    modules: tuple[nn.Module, ...] = ()

    def trains(self, model: nn.Module) -> list[nn.Parameter]:
        """The parameters that the step trains, in the order of the model."""
        own = {id(p) for m in self.modules or (model,) for p in m.parameters()}
        return [p for p in model.parameters() if p.requires_grad and id(p) in own]


@dataclass(frozen=True)
class Stage:
    """A part of the training: its steps are taken in turn on every batch.

    Steps that train the same modules share an optimiser, which starts with the stage.
    With ``whole_passes``, an epoch has a pass over all batches for each step.

    Attributes:
        steps: One or more.
        epochs: Its length; ``None``: to the end, for the last stage only.
        sampler: How examples are cut; ``None``: as the model does.
        batch_size: As the sampler counts it; ``None``: that of the run.
        prepare: Called once with every batch; its result goes to all steps.
        on_host: Whether ``prepare`` is called before the batch is copied to a device:
            where it chooses targets, their number is then known without waiting.
        whole_passes: Whether a step is taken on all batches of the epoch before the
            next step begins; ``prepare`` is then called in each pass.
        refreshed: Whether :meth:`Model.refresh` is called before its epochs.
    """

    steps: tuple[Step, ...]
    epochs: int | None = None
    sampler: Sampler | None = None
    batch_size: int | None = None
    prepare: Callable[[Batch], Batch] | None = None
    on_host: bool = False
    whole_passes: bool = False
    refreshed: bool = True

    @property
    def passes(self) -> int:
        """How often an epoch goes through its batches."""
        return len(self.steps) if self.whole_passes else 1


class Model(Configurable, nn.Module, ABC):
    """A recommender: it scores every item for every user.

    A subclass implements :meth:`represent`, :meth:`item_vectors` and :meth:`losses`,
    sets the attributes that the loader reads, and scores by inner product. Models that
    read sequences by a backbone are :class:`~graphseq.models.SequenceModel`; models
    without vectors are :class:`~graphseq.models.DirectModel`.

    Attributes:
        requires: Relations that the graph must have for training.
        num_users: U.
        num_items: V.
        max_length: Longest history that is read.
        sampler: How training examples are cut from the sequences: ``targets`` (every
            position in one pass, batches counted in targets), ``user`` (one row per
            user, batches counted in users), ``prefix`` (one row per target), ``pairs``
            (user and item, no sequence).
        num_negatives: Negatives that the loader samples for each target.
        empty_history: Whether the sampler ``prefix`` also has a row without items for
            each user's first event.
        leaky_negatives: Whether the user's held-out items are excluded from the
            negatives, too.
        warmup: Epochs before which a run never stops early.
        has_user_embeddings: Whether the model has a vector for each user, so that
            users without training events cannot be ranked.
    """

    requires: tuple[EdgeType, ...] = ()
    num_users: int
    num_items: int
    max_length: int = 50
    sampler: Sampler = "targets"
    num_negatives: int = 0
    empty_history: bool = False
    leaky_negatives: bool = False
    warmup: int = 0
    has_user_embeddings: bool = False

    @abstractmethod
    def represent(
        self, batch: Batch, graph: HeteroData
    ) -> Float[Tensor, "B D"] | Float[Tensor, "B K D"]:
        """What each row's user wants next: one vector, or K of them."""

    @abstractmethod
    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The vector of every real item; never of the padding."""

    @abstractmethod
    def losses(self, batch: Batch, graph: HeteroData) -> dict[str, Float[Tensor, ""]]:
        """The weighted terms of the objective, by name; their sum is minimised."""

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Renew what the coming epoch's losses depend on: clusters, importances.

        The trainer calls it before every epoch of a stage that is ``refreshed``, in
        evaluation mode, without gradients.

        Args:
            graph: The graph, on the model's device.
            epoch: The coming epoch; the first is 0.
        """

    def stages(self) -> tuple[Stage, ...]:
        """How it is trained; by default all parameters by all losses, in one stage.

        A model without stages is not trained.
        """
        return (Stage((Step(self.losses),)),)

    @property
    def epoch_state(self) -> dict[str, Tensor]:
        """What is kept between epochs besides the weights, by name.

        These are the buffers that are not part of ``state_dict`` (centroids,
        importances). A resumed run restores them; a finished one does not need them.
        """
        saved = self.state_dict().keys()
        return {n: b for n, b in self.named_buffers() if n not in saved}

    @epoch_state.setter
    def epoch_state(self, state: dict[str, Tensor]) -> None:
        for name, tensor in state.items():
            owner, _, buffer = name.rpartition(".")
            self.get_submodule(owner).register_buffer(buffer, tensor, persistent=False)

    @property
    def ranks_with(self) -> tuple[EdgeType, ...]:
        """Relations that ranking reads; by default, all that training reads."""
        return self.requires

    def check(
        self, graph: HeteroData, relations: Sequence[EdgeType] | None = None
    ) -> None:
        """Refuse a graph on which the model cannot be trained or evaluated.

        Args:
            graph: The graph.
            relations: Relations that it must have; ``None``: those that training reads.

        Raises:
            GraphError: With everything that does not fit.
        """
        relations = self.requires if relations is None else relations
        if problems := [*self._missing(graph, relations), *self._misfits(graph)]:
            name, lines = type(self).__name__, "\n  ".join(problems)
            raise GraphError(f"{name} does not fit this graph:\n  {lines}")

    @staticmethod
    def _missing(graph: HeteroData, relations: Sequence[EdgeType]) -> Iterator[str]:
        for relation in relations:
            if relation not in graph.edge_types:
                yield (
                    f"it reads {relation}, and the graph has {graph.edge_types}: pass "
                    "the transform that adds this relation to build_graph"
                )

    def _misfits(self, graph: HeteroData) -> Iterator[str]:
        for kind in ("user", "item"):
            size, found = getattr(self, f"num_{kind}s", None), graph[kind].num_nodes
            if size is None:
                yield f"it has no number of {kind}s: set self.num_{kind}s"
            elif found != size:
                yield (
                    f"it was built for {size} {kind}s, and the graph has {found}: pass "
                    f"the graph that it was trained on, or use num_{kind}s={found}"
                )
        yield from _cut_off(graph)
        parts: list[Any] = [p for p in self.modules() if hasattr(p, "misfits")]
        yield from dict.fromkeys(line for p in parts for line in p.misfits(graph))
        if self.has_user_embeddings and INTERACTS in graph.edge_types:
            yield from _users_without_events(graph)

    def check_stages(self) -> None:
        """Refuse a training step that trains no parameter, or a stage without an end.

        Raises:
            ConfigError: There is such a step or stage.
        """
        names = [n for n, weight in self.named_parameters() if weight.requires_grad]
        stages = self.stages() if names else ()
        for number, stage in enumerate(stages[:-1], 1):
            if stage.epochs is None:
                raise ConfigError(
                    f"stage {number} of {len(stages)} in {type(self).__name__}.stages()"
                    " has no number of epochs, and only the last one lasts to the end. "
                    "Set Stage(epochs=…)"
                )
        for stage in stages:
            for number, step in enumerate(stage.steps, 1):
                if not step.trains(self):
                    raise ConfigError(
                        f"step {number} of a stage in {type(self).__name__}.stages() "
                        "trains no parameter. The trainable parameters are "
                        f"{', '.join(names)}"
                    )

    @final
    def catalogue(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The item vectors, checked to have one row for every item.

        Raises:
            GraphError: They have not, as with features of other items.
        """
        vectors = self.item_vectors(graph)
        if vectors.dim() != 2 or len(vectors) != self.num_items:
            raise GraphError(
                f"{type(self).__name__} ranks {self.num_items} items, and its item "
                f"vectors have the shape {tuple(vectors.shape)}: create its features "
                f"with num_items={self.num_items} (padding has no row)"
            )
        return vectors

    def scorer(self, graph: HeteroData) -> Scorer:
        """The scores of all items on a graph; everything that ranks goes through it.

        By default, inner products of :meth:`represent` and :meth:`item_vectors`, with
        the item features computed once.
        """
        model = with_computed_features(self, graph)
        return InnerProduct(
            lambda batch: model.represent(batch, graph), model.catalogue(graph)
        )

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


def _cut_off(graph: HeteroData) -> Iterator[str]:
    """Raw ids and held-out rows of nodes that the graph does not have."""
    again = "remove events from the log, and build the graph again"
    for kind in ("user", "item"):
        size = graph[kind].num_nodes
        if "vocabulary" in graph[kind] and len(graph[kind].vocabulary) != size:
            yield (
                f"the graph has {size} {kind} nodes and raw ids of "
                f"{len(graph[kind].vocabulary)}, as after graph.subgraph: {again}"
            )
            return
    for part in ("validation", "test"):
        if part not in graph:
            continue
        sizes = graph["user"].num_nodes, graph["item"].num_nodes
        try:
            check_held_out(graph[part], part, *sizes)
        except DataError as error:
            yield f"{error}: {again}"


def _users_without_events(graph: HeteroData) -> Iterator[str]:
    """Held-out users for whom a user embedding was never trained."""
    events = torch.bincount(
        graph[INTERACTS].edge_index[0], minlength=graph["user"].num_nodes
    )
    for part in ("validation", "test"):
        users = graph[part].user if part in graph else events[:0]
        unknown = int((events[users] == 0).sum())
        if unknown:
            yield (
                f"it has a vector for each user, and {unknown} of {len(users)} {part} "
                "users have no training events: use a split that keeps every user's "
                "past, such as leave_one_out, or a model that reads the history"
            )
