"""The interface of the sequence encoders."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graphseq.schema import Configurable
from graphseq.specs import class_of


class Encoder(Configurable, nn.Module, ABC):
    """States (B, L, D) from item vectors (B, L, D).

    Model-agnostic methods take any encoder: a ``Transformer``, a ``GRU``, a
    ``Convolution``, a filter such as ``FrequencyAttention``, or your own.

    Attributes:
        dim: D, of the input and of the states.
        max_length: Longest sequence that it accepts; ``None``: any.
        prefix_states: Whether the state at a position is what :meth:`last` gives for
            the row cut there. Otherwise it also depends on what follows, so a backbone
            cannot learn from every position in one pass, and takes the sampler
            ``prefix`` only.
        counts_from_end: Whether a state also depends on how many items follow, as with
            positions that are counted from the last one.
        takes_hidden: Whether its calls take ``hidden``, a mask (B, L) of positions that
            have a state but are not read by others.
    """

    dim: int
    max_length: int | None = None
    prefix_states: bool = True
    counts_from_end: bool = False
    takes_hidden: bool = False

    @classmethod
    def has_prefix_states(cls, options: Mapping[str, Any]) -> bool:
        """The value of ``prefix_states`` for some options, before anything is built.

        Args:
            options: All options of the encoder.
        """
        return cls.prefix_states

    @staticmethod
    def check_sampler(encoder: Any, sampler: str) -> Iterator[str]:
        """Why an encoder cannot learn the next item from the rows of a sampler.

        Args:
            encoder: The encoder, its specification in a file, or ``None``.
            sampler: How training examples are cut; empty if it is not known.
        """
        if encoder is None or sampler in ("", "prefix"):
            return
        kind = class_of(encoder)
        if isinstance(encoder, Encoder):
            every = encoder.prefix_states
        else:
            every = kind.has_prefix_states(encoder.options)
        if not every:
            yield (
                f"{kind.__name__} reads later positions, so it cannot learn from every "
                "position in one pass; set sampler='prefix'"
            )

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L D"]:
        """The state at each position.

        Args:
            x: Item vectors.
            mask: True at real items, which come first.

        Returns:
            The states; zero at padding.
        """

    def last(
        self, x: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B D"]:
        """The state at each row's last item; zero for an empty row."""
        return last_state(self(x, mask), mask)


def last_state(
    states: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]
) -> Float[Tensor, "B D"]:
    """The state at each row's last real position; zero for an empty row."""
    rows = torch.arange(states.shape[0], device=states.device)
    found = states[rows, (mask.sum(dim=1) - 1).clamp(min=0)]
    return found * mask.any(dim=1, keepdim=True)
