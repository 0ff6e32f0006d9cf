"""The backbone of a sequence model: item features, an encoder, the next-item loss."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.models.by_length import by_length
from graphseq.models.encoding import Encoding
from graphseq.models.target_loss import Loss, target_loss
from graphseq.models.user_context import UserContext, UserNodes, has_token
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Embedding, Features, embed_items
from graphseq.nn.pooling import Pooling, pool
from graphseq.nn.transformer import Transformer
from graphseq.schema import Configurable, InvalidOption, Size
from graphseq.sequences.batch import Batch
from graphseq.sequences.rows import newest
from graphseq.sequences.samplers import SequenceSampler
from graphseq.specs import class_of


class Backbone(Configurable, nn.Module):
    """Item features, an encoder that reads them, and the loss of the next item.

    Alone it is SASRec, or GRU4Rec with a ``GRU``. Auxiliary objectives add their terms
    in a :class:`~graphseq.models.SequenceModel`. A position within a row that holds the
    padding id V is a masked item: a zero vector, or with ``mask_token`` a learned one,
    which attention sees unless ``hide_masked``.

    Args:
        num_items: V.
        features: The item vectors; ``None`` is an ``Embedding``.
        users: A vector of the row's user that joins the states that score items;
            ``None`` joins nothing.
        encoder: Reads the sequence; ``None`` is a ``Transformer``.
        dim: D; ``None`` is that of the encoder or of the features, else 64.
        max_length: Longest history that is read.
        sampler: How training examples are cut from the sequences: ``targets`` (a target
            at every position, batches counted in targets), ``user`` (one row per user)
            or ``prefix`` (one row per target; only its last state is computed, the one
            sampler for encoders whose states depend on later items).
        empty_history: Whether the sampler ``prefix`` also has a row without items for
            each user's first event. Such a row teaches the encoder's state of an empty
            window, if it has one (``padding="token"``), and no other weight.
        loss: ``ce`` (softmax over all items), ``sampled`` (softmax over the target and
            items that are sampled for the whole batch, for large catalogues), ``bce``
            or ``gbce`` (negatives sampled for each target).
        num_negatives: Items sampled for each target (``bce``, ``gbce``) or for each
            batch (``sampled``, where some hundreds are usual).
        leaky_negatives: Whether negatives exclude the user's held-out items too, as in
            the codes of SASRec and its descendants. This leaks the test set: only to
            repeat published numbers.
        mask_token: Whether masked items have a learned vector.
        hide_masked: Whether other positions do not attend to masked items, as in codes
            whose mask id is that of padding; for a ``Transformer``.

    Raises:
        OptionError: An option is out of its range, or sizes contradict each other.
    """

    # A file's parts are built in the order of the signature: the defaults come in the
    # same order, so that a file that names them draws the same initial weights.
    part_defaults: ClassVar[Mapping[str, Any]] = {"features": {"Embedding": {}}}

    def __init__(
        self,
        num_items: Size,
        *,
        features: Features | None = None,
        users: UserContext | None = None,
        encoder: Encoder | None = None,
        dim: Size | None = None,
        max_length: Size = 50,
        sampler: SequenceSampler = "targets",
        empty_history: bool = False,
        loss: Loss = "ce",
        num_negatives: Size = 1,
        leaky_negatives: bool = False,
        mask_token: bool = False,
        hide_masked: bool = False,
    ) -> None:
        super().__init__()
        parts = [part.dim for part in (encoder, features, users) if part is not None]
        width = dim or next(iter(parts), 64)
        self.features = features or Embedding(num_items, dim=width)
        self.names_encoder = encoder is not None
        self.encoder = encoder or Transformer(width, max_length + has_token(users))
        self.users = users
        self.options |= {"features": self.features, "encoder": self.encoder}
        self.dim = width
        of_users = () if users is None else users.requires
        self.requires = tuple(dict.fromkeys([*self.features.requires, *of_users]))
        self.num_items, self.max_length = num_items, max_length
        self.sampler: SequenceSampler = sampler
        self.empty_history = empty_history
        self.loss: Loss = loss
        self.num_negatives = num_negatives if loss in ("bce", "gbce") else 0
        self.num_sampled = num_negatives if loss == "sampled" else 0
        self.leaky_negatives = leaky_negatives
        self.hide_masked = hide_masked
        self.token = nn.Parameter(torch.empty(width)) if mask_token else None
        if self.token is not None:
            nn.init.normal_(self.token, std=0.02)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """All parts have one width; the encoder reads ``max_length``.

        With a ``mask_token``, a model may learn masked items from both directions.
        """
        features, encoder, users = (
            options[name] for name in ("features", "encoder", "users")
        )
        sizes = {
            "dim": options["dim"],
            "encoder": getattr(encoder, "dim", None),
            "features": getattr(features, "dim", None),
            "users": getattr(users, "dim", None),
        }
        widths = {name: size for name, size in sizes.items() if size is not None}
        if len(set(widths.values())) > 1:
            found = ", ".join(f"{name} has {size}" for name, size in widths.items())
            yield InvalidOption("dim", f"expected one width, found {found}")
        length, longest = options["max_length"], getattr(encoder, "max_length", None)
        if longest is not None and longest < length + has_token(users):
            found = f"the encoder reads up to {longest} items, max_length is {length}"
            if has_token(users):
                found += (
                    ", and the user's token is one more: set the encoder's "
                    f"max_length to {length + 1}"
                )
            yield InvalidOption("max_length", found)
        for message in Features.check_sampler(features, options["sampler"]):
            yield InvalidOption("features", message)
        for message in UserContext.check_sampler(users, options["sampler"]):
            yield InvalidOption("users", message)
        if options["empty_history"] and options["sampler"] != "prefix":
            found = f"found sampler={options['sampler']!r}"
            what = f"rows without items need sampler='prefix', {found}"
            yield InvalidOption("empty_history", what)
        kind = Transformer if encoder is None else class_of(encoder)
        if options["hide_masked"] and not kind.takes_hidden:
            what = f"needs a Transformer, whose attention hides; found {kind.__name__}"
            yield InvalidOption("hide_masked", what)
        if not options["mask_token"]:
            for message in Encoder.check_sampler(encoder, options["sampler"]):
                yield InvalidOption("sampler", message)
        rows = features.num_items if isinstance(features, Features) else None
        number = options.get("num_items")  # unknown where a file is read
        if number is not None and rows not in (None, number):
            found = f"found {rows} rows for num_items={number}"
            yield InvalidOption("features", f"expected a row for each item, {found}")

    def items(
        self,
        graph: HeteroData,
        batch: Batch | None = None,
        *,
        predicts: Literal["targets", "items"] = "targets",
    ) -> Float[Tensor, "V D"]:
        """The item vectors: the encoder's input and the candidates of its states.

        Args:
            graph: The graph.
            batch: The batch of a training step, whose edges the features may leave out.
            predicts: Which edges the step predicts: those of the batch's ``targets``,
                or of all ``items`` of its rows, any of which it may hide.
        """
        kept = not self.training or self.features.target_edges == "kept"
        if batch is None or kept:
            return self.features(graph)  # type: ignore[no-any-return]
        of_items = predicts == "items"
        edges = batch.item_edges() if of_items else batch.target_edges()
        return self.features.in_training(graph, edges)

    def embed(
        self, items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, "B L D"]:
        """The vectors of a batch's items."""
        x = embed_items(items, batch.items)
        if self.token is None:
            return x
        return x + batch.masked[..., None] * self.token

    def states(
        self,
        items: Float[Tensor, "V D"],
        batch: Batch,
        users: Float[Tensor, "B D"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "B L D"]:
        """The state of the sequence at every position.

        Args:
            items: The item vectors.
            batch: Sequences of any length.
            users: The vectors of the users' tokens, if rows have them; ``None``: zeros.
            options: Of the encoder's call, such as ``causal=False``.
        """
        return by_length(
            lambda part, rows: self.encoder(
                *self._read(items, users, part, rows), **self._hiding(part, options)
            )[:, has_token(self.users) :],
            batch,
        )

    def last(
        self,
        items: Float[Tensor, "V D"],
        batch: Batch,
        users: Float[Tensor, "B D"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "B D"]:
        """The state of the sequence at each row's last item; as :meth:`states`."""
        return by_length(
            lambda part, rows: self.encoder.last(
                *self._read(items, users, part, rows), **self._hiding(part, options)
            ),
            batch,
        )

    def _hiding(self, part: Batch, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options of the encoder's call, with the masked items if they are hidden."""
        if not self.hide_masked:
            return options
        masked = F.pad(part.masked, (int(has_token(self.users)), 0))
        return {**options, "hidden": masked}

    def represent(
        self, items: Float[Tensor, "V D"], batch: Batch, graph: HeteroData
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item, joined by its user: it scores items."""
        if self.users is None:
            return self.last(items, batch)
        users = self.users(items, batch, graph)
        return self.users.combine(self.last(items, batch, users), users)

    def represent_vectors(
        self,
        x: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
        nodes: UserNodes | None = None,
    ) -> Float[Tensor, "B D"]:
        """:meth:`represent` of item vectors, which explanations change.

        Args:
            x: The vectors of the rows' items.
            mask: True at real items.
            nodes: The users of the rows in the graph, if their vectors come from it.
        """
        if self.users is None:
            return self.encoder.last(x, mask)
        users = self.users.of_vectors(x, mask, nodes)
        states = self.encoder.last(*self.with_token(x, mask, users))
        return self.users.combine(states, users)

    def _read(
        self,
        items: Float[Tensor, "V D"],
        users: Float[Tensor, "B D"] | None,
        part: Batch,
        rows: Tensor | slice,
    ) -> tuple[Float[Tensor, "B1 L1 D"], Bool[Tensor, "B1 L1"]]:
        """What the encoder reads: the items, after the token of the user if any."""
        own = None if users is None else users[rows]
        return self.with_token(self.embed(items, part), part.mask, own)

    def with_token(
        self,
        x: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B L"],
        users: Float[Tensor, "B D"] | None,
    ) -> tuple[Float[Tensor, "B L1 D"], Bool[Tensor, "B L1"]]:
        """Vectors and mask of rows, after the token of the user if rows have one.

        Args:
            x: The vectors of the rows' items.
            mask: True at real items.
            users: The vectors of the users; ``None``: zeros.
        """
        if self.users is None or self.users.join != "token":
            return x, mask
        if users is None:
            token = x.new_zeros(len(x), self.dim)
        else:
            token = self.users.map(users)
        return torch.cat([token[:, None], x], dim=1), F.pad(mask, (1, 0), value=True)

    def encode(
        self,
        items: Float[Tensor, "V D"],
        batch: Batch,
        graph: HeteroData,
        *,
        every_position: bool = False,
    ) -> Encoding:
        """Encode a training batch once, for the next-item loss and the auxiliaries.

        Args:
            items: The item vectors.
            batch: Sequences with targets.
            graph: The graph.
            every_position: Compute all states, also where only last ones are needed.
        """
        one_target = self.sampler == "prefix"
        users = token = None
        if self.users is not None:
            users = self.users(items, batch, graph, every_position=not one_target)
            if has_token(self.users):
                token = users if one_target else users[:, 0]
        if one_target and not every_position:
            last = self.last(items, batch, token)
            return Encoding(self, items, batch, last_states=last, users=users)
        states = self.states(items, batch, token)
        return Encoding(self, items, batch, states, users=users)

    def next_item(
        self, states: Float[Tensor, "N D"], items: Float[Tensor, "V D"], batch: Batch
    ) -> Float[Tensor, ""]:
        """The loss of a batch's targets, given the states at their positions."""
        return target_loss(self.loss, states, items, batch, self.num_sampled)

    def pooled(
        self, items: Float[Tensor, "V D"], views: Batch, pooling: Pooling = "last"
    ) -> Float[Tensor, "B n"]:
        """One vector per sequence, for contrast.

        Args:
            items: The item vectors.
            views: Sequences; of more than ``max_length`` items the newest are read.
            pooling: How the states become one vector.

        Returns:
            Shape (B, D); (B, L D) for ``flatten``, where positions beyond every
            sequence of the batch are left out: they add zeros to inner products.
        """
        views = newest(views, self.max_length)
        if pooling == "last":
            return self.last(items, views)
        return pool(self.states(items, views), views.mask, pooling)
