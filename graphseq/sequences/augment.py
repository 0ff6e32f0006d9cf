"""Augmentations: parts that draw two random views of every sequence of a batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.constants import ITEM_CO_OCCURS, EdgeType
from graphseq.schema import Configurable, Count, Fraction, InvalidOption
from graphseq.sequences.batch import Batch
from graphseq.sequences.guided_augment import GuidedAugmentation
from graphseq.sequences.operators import (
    Operator,
    crop,
    insert,
    join,
    mask,
    pick,
    random_views,
    reorder,
    substitute,
)
from graphseq.sequences.rows import newest
from graphseq.sequences.similarity import SimilaritySource, most_similar

__all__ = [
    "Augmentation",
    "CropMaskReorder",
    "GuidedAugmentation",
    "InformedAugmentation",
    "crop",
    "draw_views",
    "insert",
    "join",
    "mask",
    "pick",
    "random_views",
    "reorder",
    "substitute",
]

Basic = Literal["crop", "mask", "reorder"]
Informed = Literal["insert", "substitute", "mask", "reorder", "crop"]


class Augmentation(Configurable, nn.Module):
    """Draws two views of every row; called with a batch of B rows, it returns 2B rows.

    The first B rows are the first views, the others the second ones, as from
    :func:`join`. Any function that does the same can replace a subclass.

    Attributes:
        requires: Relations of the graph that :meth:`refresh` reads.
    """

    requires: tuple[EdgeType, ...] = ()

    def forward(self, batch: Batch) -> Batch:
        """Two views of every row, 2B rows."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(batch)")

    def refresh(
        self, items: Float[Tensor, "V D"], graph: HeteroData, epoch: int
    ) -> None:
        """Renew what the views of the coming epoch depend on.

        Args:
            items: The item vectors, as constants.
            graph: The graph, on their device.
            epoch: The coming epoch; the first is 0.
        """


Views = Augmentation | Callable[[Batch], Batch]
"""What draws views: an augmentation, or a function of a batch."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
def draw_views(augmentation: Views, batch: Batch, max_length: int) -> Batch:
    """Two views of every row, 2B rows, each of the newest ``max_length`` items.

    Raises:
        ValueError: The augmentation returned another number of rows.
    """
    views: Batch = augmentation(batch)
    if len(views) != 2 * len(batch):
        raise ValueError(
            f"an augmentation returns two views of every row; found {len(views)} rows "
            f"for {len(batch)}; return join(first, second)"
        )
    return newest(views, max_length)


@final
class CropMaskReorder(Augmentation):
    """Two of three operators (crop, mask, reorder) make the views of each row.

    Source:
        Xie et al., CL4SRec, ICDE 2022, section III-C.

    Departs from the source:
        A crop keeps at least one item: the published fraction of 0.2 would leave
        nothing of four. Rows of one item stay as they are if ``distinct``, as in the
        code that draws different operators.

    Args:
        crop_keep: Fraction of a sequence that a crop keeps.
        mask_rate: Fraction of its items that are masked.
        reorder_rate: Fraction of its items that are shuffled.
        distinct: Whether the two operators of a row differ.
        reach_last: Whether windows may end with the last item.
        operators: The operators to draw from.
    """

    def __init__(
        self,
        *,
        crop_keep: Fraction = 0.2,
        mask_rate: Fraction = 0.7,
        reorder_rate: Fraction = 0.2,
        distinct: bool = True,
        reach_last: bool = True,
        operators: Sequence[Basic] = ("crop", "mask", "reorder"),
    ) -> None:
        super().__init__()
        known: dict[str, Operator] = {
            "crop": partial(crop, keep=crop_keep, reach_last=reach_last),
            "mask": partial(mask, rate=mask_rate),
            "reorder": partial(reorder, rate=reorder_rate, reach_last=reach_last),
        }
        self.operators = [known[name] for name in operators]
        self.distinct = distinct

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Two different operators need at least two to draw from."""
        least = 2 if options["distinct"] else 1
        if len(set(options["operators"])) < least:
            found = f"found {list(options['operators'])}"
            yield InvalidOption("operators", f"expected {least} or more, {found}")

    def forward(self, batch: Batch) -> Batch:
        """Two views of every row, 2B rows."""
        return join(*random_views(batch, self.operators, distinct=self.distinct))


@final
class InformedAugmentation(Augmentation):
    """Views that also insert similar items, or substitute items by similar ones.

    Short rows and other rows each draw from a list of operators of their own. The two
    views of a row are drawn independently. Similarity is first read from the item graph
    (``CoOccurrence("item", weight="iuf")``, or ``"cosine"`` for ItemCF) and, after
    ``offline_epochs``, also from the item vectors.

    Source:
        Liu et al., CoSeRec, 2021, sections 3.2 and 3.3.3, as in its code.

    Departs from the source:
        As in the code, short sequences may be masked, and windows never reach the last
        item. The graph holds all training events (the code leaves out each user's last
        one); of equally similar items the one with the smallest id is taken; padding
        and masks are similar to nothing. The code reads the vectors one epoch later.

    Args:
        similarity: What defines similarity after ``offline_epochs``: the graph
            (``offline``), the vectors (``online``), or the larger of both scores
            (``hybrid``).
        offline_epochs: Epochs that use the graph alone.
        threshold: Longest sequence that counts as short.
        short: Operators for short sequences.
        operators: Operators for all other sequences.
        crop_keep: Fraction of a sequence that a crop keeps.
        mask_rate: Fraction of its items that are masked.
        reorder_rate: Fraction of its items that are shuffled.
        insert_rate: Fraction of its items before which a similar one is inserted.
        substitute_rate: Fraction of its items that a similar one replaces.
    """

    NAMES: tuple[Informed, ...] = ("insert", "substitute", "mask", "reorder", "crop")
    requires = (ITEM_CO_OCCURS,)
    similar: Tensor | None

    def __init__(
        self,
        *,
        similarity: SimilaritySource = "hybrid",
        offline_epochs: Count = 160,
        threshold: Count = 4,
        short: Sequence[Informed] = ("insert", "substitute", "mask"),
        operators: Sequence[Informed] = NAMES,
        crop_keep: Fraction = 0.2,
        mask_rate: Fraction = 0.7,
        reorder_rate: Fraction = 0.7,
        insert_rate: Fraction = 0.4,
        substitute_rate: Fraction = 0.1,
    ) -> None:
        super().__init__()
        self.similarity: SimilaritySource = similarity
        self.offline_epochs, self.threshold = offline_epochs, threshold
        self.short = [name in short for name in self.NAMES]
        self.others = [name in operators for name in self.NAMES]
        self.insert = partial(insert, rate=insert_rate)
        self.substitute = partial(substitute, rate=substitute_rate)
        self.basic: tuple[Operator, ...] = (
            partial(mask, rate=mask_rate),
            partial(reorder, rate=reorder_rate, reach_last=False),
            partial(crop, keep=crop_keep, reach_last=False),
        )
        self.register_buffer("similar", None, persistent=False)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Short sequences need an operator, and so do the others."""
        for name in ("short", "operators"):
            if not options[name]:
                yield InvalidOption(name, "expected one operator or more, found none")

    def refresh(
        self, items: Float[Tensor, "V D"], graph: HeteroData, epoch: int
    ) -> None:
        """Find the item most similar to each item."""
        after = epoch >= self.offline_epochs
        self.similar = most_similar(
            graph, items, self.similarity if after else "offline"
        )

    def forward(self, batch: Batch) -> Batch:
        """Two views of every row, 2B rows.

        Raises:
            RuntimeError: :meth:`refresh` was never called.
        """
        if self.similar is None:
            raise RuntimeError("call refresh before the first views are drawn")
        informed: tuple[Operator, ...] = (
            partial(self.insert, similar=self.similar),
            partial(self.substitute, similar=self.similar),
        )
        operators = (*informed, *self.basic)
        allowed = self.allowed(batch)
        return join(*random_views(batch, operators, distinct=False, allowed=allowed))

    def allowed(self, batch: Batch) -> Bool[Tensor, "B 5"]:
        """The operators that each row may draw, in the order of ``NAMES``."""
        long = batch.lengths > self.threshold
        pairs = zip(self.others, self.short, strict=True)
        return torch.stack([torch.where(long, o, s) for o, s in pairs], dim=1)
