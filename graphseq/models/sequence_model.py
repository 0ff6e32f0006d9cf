"""Sequence models: a backbone and any auxiliary objectives, combined freely."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import EdgeType
from graphseq.errors import ConfigError
from graphseq.models.backbone import Backbone
from graphseq.models.base import Model, Stage, Step
from graphseq.models.encoding import Encoding
from graphseq.models.user_context import UserContext
from graphseq.nn.convolution import Convolution
from graphseq.nn.dropout import LearnableDropout
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Embedding
from graphseq.nn.fourier_filter import FourierFilter
from graphseq.nn.frequency_attention import FrequencyAttention
from graphseq.nn.fused import Fused
from graphseq.nn.normalized import Normalized
from graphseq.nn.pretrained import Pretrained
from graphseq.nn.propagated import Propagated
from graphseq.nn.recurrent import GRU
from graphseq.nn.time_variant_filter import TimeVariantFilter
from graphseq.nn.transformer import Transformer
from graphseq.nn.wavelet_filter import WaveletFilter
from graphseq.schema import Configurable, InvalidOption, Size, refuse
from graphseq.sequences.augment import Augmentation
from graphseq.sequences.batch import Batch
from graphseq.spec_reader import Reader
from graphseq.specs import Spec, class_of, merge

Terms = dict[str, Float[Tensor, ""]]
PARTS: dict[str, type] = {
    part.__name__: part
    for part in (
        Backbone,
        Embedding,
        Pretrained,
        Propagated,
        Fused,
        Normalized,
        UserContext,
        Transformer,
        GRU,
        Convolution,
        FourierFilter,
        FrequencyAttention,
        WaveletFilter,
        TimeVariantFilter,
        LearnableDropout,
    )
}
"""The parts that models take, by name; :mod:`graphseq.models.registry` adds more."""


class Auxiliary(Configurable, nn.Module):
    """An objective besides the next item: contrast, clustering, self-supervision.

    A subclass defines :meth:`terms`; parameters whose sizes depend on the backbone are
    created in :meth:`attach`. What is kept between epochs is a buffer that
    ``register_buffer(…, persistent=False)`` creates, and :meth:`refresh` renews.

    Attributes:
        requires: Relations of the graph that it reads.
        every_position: Whether it reads the batch's state at every position.
        warmup: Epochs before which the run never stops early.
        learns_dropout: Whether it learns the rates of a ``LearnableDropout``.
        attached: Whether a model has it.
    """

    attached: bool = False
    requires: tuple[EdgeType, ...] = ()
    every_position: bool = False
    warmup: int = 0
    learns_dropout: ClassVar[bool] = False

    @classmethod
    def check_encoder(cls, options: Mapping[str, Any], encoder: Any) -> Iterator[str]:
        """Why the objective cannot use an encoder; nothing if it can.

        Args:
            options: Options of the objective.
            encoder: The encoder, or its specification in a file.
        """
        yield from ()

    def attach(self, num_users: int, backbone: Backbone) -> None:
        """Create the parameters; called once, by the model that takes the objective.

        Args:
            num_users: U.
            backbone: The model's backbone.
        """

    def refresh(self, backbone: Backbone, graph: HeteroData, epoch: int) -> None:
        """Renew what the terms of the coming epoch depend on.

        Called before every epoch in evaluation mode, without gradients. By default, the
        augmentations of this objective are renewed.
        """
        for part in self.modules():
            if isinstance(part, Augmentation):
                part.refresh(backbone.items(graph), graph, epoch)

    def stages(self, backbone: Backbone) -> tuple[Stage, ...]:
        """Stages that precede the joint training, such as pre-training.

        Args:
            backbone: The model's backbone.
        """
        return ()

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """The weighted terms of the objective, by name.

        Args:
            encoding: The batch, read once by the backbone.
            graph: The graph.
        """
        raise NotImplementedError(f"{type(self).__name__} must define terms")


def refuse_users(options: Mapping[str, Any], scored: str) -> Iterator[InvalidOption]:
    """Why the ``users`` of a backbone cannot be used, if it has any.

    Args:
        options: Options of a model.
        scored: What scores items instead of the backbone's states.
    """
    if getattr(options.get("backbone"), "users", None) is not None:
        message = f"would join no state: {scored}; leave them out"
        yield InvalidOption("backbone.users", message)


class SequenceModel(Model):
    r"""The next item by a backbone, and the terms of auxiliary objectives.

    .. math:: L = L_{next} + \sum_k L_k

    Each paper's contribution is one auxiliary objective; a paper's model is a choice of
    them. They combine freely, with any encoder and any item features.

    Args:
        num_users: U.
        backbone: Encodes sequences and scores the next item; or V, the number of
            items, for the default backbone of the class.
        auxiliaries: Objectives whose terms are added.

    Raises:
        ConfigError: An objective does not fit the backbone.
    """

    part_defaults: ClassVar[Mapping[str, Any]] = {"backbone": {}}
    """The paper's options of its parts, as in an experiment file."""
    every_position: bool = False
    """Whether the next-item loss reads the state at every position."""

    def __init__(
        self,
        num_users: Size,
        backbone: Backbone | Size,
        auxiliaries: Sequence[Auxiliary] = (),
    ) -> None:
        super().__init__()
        if not isinstance(backbone, Backbone):
            backbone = self.default_backbone(backbone)
        self.options["backbone"] = backbone
        self.backbone = backbone
        self.num_users, self.num_items = num_users, backbone.num_items
        self.max_length, self.sampler = backbone.max_length, backbone.sampler
        self.num_negatives = backbone.num_negatives
        self.empty_history = backbone.empty_history
        self.leaky_negatives = backbone.leaky_negatives
        self.auxiliaries = nn.ModuleList()
        for auxiliary in auxiliaries:
            self._attach(auxiliary)

    @classmethod
    def default_backbone(cls, num_items: int, **options: Any) -> Backbone:
        """The backbone of the paper, with some of its options changed.

        Args:
            num_items: V.
            options: Options of :class:`Backbone` that replace the paper's.
        """
        given = merge(cls.part_defaults.get("backbone", {}), options)
        reader = Reader(PARTS, frozenset({"num_items"}))
        spec = reader.read(Backbone, given, "backbone")
        refuse(f"{cls.__name__}.default_backbone", reader.problems)
        assert spec is not None
        backbone: Backbone = spec.build(num_items=num_items)
        return backbone

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """The encoder learns from the rows of the sampler; objectives can use it."""
        encoder = getattr(options["backbone"], "encoder", None) or Spec(Transformer)
        sampler = getattr(options["backbone"], "sampler", "")
        yield from cls._other_encoder(options["backbone"])
        for message in Encoder.check_sampler(encoder, sampler):
            yield InvalidOption("backbone.sampler", message)
        empty = getattr(options["backbone"], "empty_history", False)
        for name, value in options.items():
            for part in value if isinstance(value, list | tuple) else [value]:
                if issubclass(class_of(part), Auxiliary):
                    if empty:
                        what = "has no term for a row without items; set the backbone's"
                        yield InvalidOption(name, f"{what} empty_history=False")
                    for message in class_of(part).check_encoder(part.options, encoder):
                        yield InvalidOption(name, message)

    @classmethod
    def _other_encoder(cls, backbone: Any) -> Iterator[InvalidOption]:
        """A backbone without a named encoder, where the paper's is no Transformer."""
        own = cls.part_defaults.get("backbone", {}).get("encoder", {})
        if not isinstance(backbone, Backbone) or backbone.names_encoder:
            return
        name = next(iter(own), "Transformer")
        if not isinstance(backbone.encoder, PARTS[name]):
            yield InvalidOption(
                "backbone",
                f"its encoder is not named and so is a Transformer; that of "
                f"{cls.__name__} is a {name}. Write {cls.__name__}.default_backbone("
                f"num_items, …), or Backbone(num_items, encoder={name}(…), …)",
            )

    def add(self, auxiliary: Auxiliary) -> None:
        """Add an auxiliary objective; it becomes one of the model's options.

        Raises:
            ConfigError: The objective cannot use the encoder, or the model is one of a
                paper, whose objectives are not a list.
        """
        if "auxiliaries" not in self.options:
            own = ", ".join(type(o).__name__ for o in self.objectives) or "none"
            raise ConfigError(
                f"{type(self).__name__} has the objectives of its paper ({own}), and "
                f"{type(auxiliary).__name__} cannot be added to it. Combine objectives "
                "in a SequenceModel(num_users, backbone, [objective, …])"
            )
        self._attach(auxiliary)
        self.options["auxiliaries"] = [*self.options["auxiliaries"], auxiliary]

    def _attach(self, auxiliary: Auxiliary) -> None:
        for message in auxiliary.check_encoder(
            auxiliary.options, self.backbone.encoder
        ):
            raise ConfigError(f"{type(auxiliary).__name__}: {message}")
        if auxiliary.attached:
            raise ConfigError(
                f"{type(auxiliary).__name__} is an objective of another model already, "
                "and has its sizes and weights. Make one for each model"
            )
        auxiliary.attach(self.num_users, self.backbone)
        auxiliary.attached = True
        self.auxiliaries.append(auxiliary)

    @property
    def objectives(self) -> list[Auxiliary]:
        """The auxiliary objectives, in the order of their terms."""
        return [a for a in self.auxiliaries if isinstance(a, Auxiliary)]

    @property
    def requires(self) -> tuple[EdgeType, ...]:  # type: ignore[override]
        """Relations that the backbone, the objectives and their augmentations read."""
        read = [*self.backbone.requires]
        for part in self.auxiliaries.modules():
            if isinstance(part, Auxiliary | Augmentation):
                read += part.requires
        return tuple(dict.fromkeys(read))

    @property
    def ranks_with(self) -> tuple[EdgeType, ...]:
        """Relations that the backbone reads; the objectives only train."""
        return self.backbone.requires

    @property
    def warmup(self) -> int:  # type: ignore[override]
        """Epochs before which a run never stops early."""
        return max([0, *(objective.warmup for objective in self.objectives)])

    def represent(
        self, batch: Batch, graph: HeteroData
    ) -> Float[Tensor, "B D"] | Float[Tensor, "B K D"]:
        """The backbone's state at the last item."""
        return self.backbone.represent(self.backbone.items(graph), batch, graph)

    def item_vectors(self, graph: HeteroData) -> Float[Tensor, "V D"]:
        """The item vectors that the encoder reads."""
        return self.backbone.items(graph)

    def refresh(self, graph: HeteroData, epoch: int) -> None:
        """Renew what the objectives keep between epochs."""
        for objective in self.objectives:
            objective.refresh(self.backbone, graph, epoch)

    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        """The next-item loss, and the terms of the auxiliary objectives.

        Of terms with the same name, later ones get a number: ``contrast_2``.
        """
        items = self.backbone.items(graph, batch)
        every = self.every_position or any(o.every_position for o in self.objectives)
        encoding = self.backbone.encode(items, batch, graph, every_position=every)
        terms = {"next_item": self.next_item(encoding)}
        for objective in self.objectives:
            found = objective.terms(encoding, graph)
            if not isinstance(found, Mapping):
                raise ConfigError(
                    f"{type(objective).__name__}.terms must return its terms by name, "
                    f"such as {{'contrast': …}}; found {type(found).__name__}"
                )
            for name, term in found.items():
                unique, number = name, 1
                while unique in terms:
                    number += 1
                    unique = f"{name}_{number}"
                terms[unique] = term
        return terms

    def stages(self) -> tuple[Stage, ...]:
        """The stages of the objectives, then all terms together."""
        before = [s for o in self.objectives for s in o.stages(self.backbone)]
        return (*before, Stage((Step(self.losses),)))

    def check_stages(self) -> None:
        """As :meth:`.Model.check_stages`; an objective learns the dropout's rates.

        Raises:
            ConfigError: As there; or no objective would learn the rates of a
                ``LearnableDropout`` whose gradient is ARM's.
        """
        super().check_stages()
        learnable = self.backbone.encoder.options.get("learnable")
        if learnable is None or learnable.estimator != "arm":
            return
        if not any(objective.learns_dropout for objective in self.objectives):
            raise ConfigError(
                f"{type(self).__name__} has no objective that learns the rates of its "
                "encoder's LearnableDropout. Add a LearnableDropoutContrast, or set "
                "estimator='concrete', whose rates the next item learns"
            )

    def next_item(self, encoding: Encoding) -> Float[Tensor, ""]:
        """The next-item loss of a batch."""
        states, items = encoding.with_users, encoding.items
        return self.backbone.next_item(states, items, encoding.batch)
