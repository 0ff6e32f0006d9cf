"""What every augmentation must do: two views of each row, valid ids, the seed."""

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch import Tensor

from graphseq.schema import describe
from graphseq.sequences import Batch
from graphseq.sequences.augment import Augmentation, Views
from graphseq.testing.samples import graph_of, ring, rows_of
from graphseq.testing.suite import Suite, expect

NUM_ITEMS, ROWS = 12, [[1, 2, 3, 4, 5, 6, 7, 8], [3, 4], [9, 10, 11, 0, 1], [5]]


@dataclass(frozen=True)
class AugmentationCase:
    """An augmentation, and sequences of several lengths.

    Attributes:
        make: Returns a new augmentation on each call.
    """

    make: Callable[[], Views]

    def new(self) -> Views:
        """A new augmentation, refreshed for an item graph."""
        views = self.make()
        if isinstance(views, Augmentation):
            draws = torch.Generator().manual_seed(0)
            vectors = torch.randn(NUM_ITEMS, 4, generator=draws)
            views.refresh(vectors, graph_of(ring()), 0)
        return views

    @cached_property
    def batch(self) -> Batch:
        """Four rows, repeated 16 times, with targets."""
        short = rows_of(ROWS * 16, NUM_ITEMS)
        targets = short.items.roll(-1, dims=1)
        return replace(short, targets=targets.where(short.mask, NUM_ITEMS))

    def draw(self, seed: int = 0) -> Batch:
        """The views of the batch."""
        views = self.new()
        torch.manual_seed(seed)
        return views(self.batch)


AUGMENTATION = Suite(AugmentationCase)


def sequences(batch: Batch) -> list[list[int]]:
    """The items of each row."""
    lengths = batch.lengths.tolist()
    return [row[:n] for row, n in zip(batch.items.tolist(), lengths, strict=True)]


@AUGMENTATION.add
def there_are_two_views_of_every_row(case: AugmentationCase) -> None:
    """A batch of B rows gives 2B rows: all first views, then all second ones."""
    found, advice = case.draw(), "return join(first, second)"
    expect(isinstance(found, Batch), f"a {type(found).__name__}", advice)
    rows = len(case.batch)
    expect(len(found) == 2 * rows, f"{len(found)} rows for {rows}", advice)
    same = torch.equal(found.user, case.batch.user.repeat(2))
    expect(same, "the users of the rows are others", advice)


@AUGMENTATION.add
def items_are_ids_or_masks(case: AugmentationCase) -> None:
    """Items are ids from 0 to V - 1, or V for a masked item."""
    items = case.draw().items
    outside = int(((items < 0) | (items > NUM_ITEMS)).sum())
    expect(not outside, f"{outside} ids are outside of 0 … V", "mask with num_items")
    expect(items.dtype == torch.int64, f"items are {items.dtype}", "keep int64")


@AUGMENTATION.add
def rows_are_padded_on_the_right(case: AugmentationCase) -> None:
    """Rows are as long as lengths says, with V behind their last item."""
    found = case.draw()
    longest, width = int(found.lengths.max()), found.items.shape[1]
    advice = "set lengths, and fill with num_items behind them"
    expect(longest <= width, f"lengths up to {longest} in {width} columns", advice)
    mask = torch.arange(width) < found.lengths[:, None]
    wrong = int((found.items[~mask] != NUM_ITEMS).sum())
    expect(not wrong, f"{wrong} padded positions hold an item", advice)


@AUGMENTATION.add
def no_view_is_empty(case: AugmentationCase) -> None:
    """Views keep at least one position, also of rows of one item."""
    empty = int((case.draw().lengths < 1).sum())
    expect(not empty, f"{empty} views are empty", "keep at least one item of a row")


@AUGMENTATION.add
def views_differ_from_their_sequences(case: AugmentationCase) -> None:
    """Long rows have views that differ from the sequence."""
    rows = sequences(case.batch) * 2
    pairs = zip(sequences(case.draw()), rows, strict=True)
    changed = sum(view != row for view, row in pairs if len(row) > 5)
    expect(changed, "all views of long rows are the sequence", "change some items")


@AUGMENTATION.add
def the_two_views_are_drawn_independently(case: AugmentationCase) -> None:
    """The first and the second view of long rows differ for some rows."""
    views, half = sequences(case.draw()), len(case.batch)
    pairs = zip(views[:half], views[half:], sequences(case.batch), strict=True)
    differ = sum(first != second for first, second, row in pairs if len(row) > 5)
    advice = "call the random operator once for each view"
    expect(differ, "both views of every row are the same", advice)


@AUGMENTATION.add
def the_seed_decides_the_views(case: AugmentationCase) -> None:
    """The same seed of torch's generator gives the same views, another one others."""
    first, again, other = (sequences(case.draw(seed)) for seed in (1, 1, 2))
    advice = "draw from torch's global generator, not from random or numpy"
    expect(first == again, "two draws with one seed differ", advice)
    expect(first != other, "two seeds give the same views", advice)


@AUGMENTATION.add
def the_batch_stays_as_it_is(case: AugmentationCase) -> None:
    """The batch that is passed in keeps its items, lengths and targets."""
    before = copy.deepcopy(case.batch)
    case.draw()
    for field in fields(Batch):
        value = getattr(case.batch, field.name)
        if isinstance(value, Tensor):
            same = torch.equal(value, getattr(before, field.name))
            found, advice = f"batch.{field.name} changed", "clone before writing"
            expect(same, found, advice)


@AUGMENTATION.add
def views_have_no_targets(case: AugmentationCase) -> None:
    """Views have no targets: those of the batch belong to other positions."""
    found = case.draw().targets
    advice = "return with_items(batch, items, lengths)"
    expect(found is None, "targets of the batch in the views", advice)


@AUGMENTATION.add
def one_row_is_enough(case: AugmentationCase) -> None:
    """A batch of one row of one item has two views."""
    views = case.new()
    found = len(views(rows_of([[2]], NUM_ITEMS)))
    expect(found == 2, f"{found} views", "compare rows with nothing else")


@AUGMENTATION.add
def options_rebuild_it(case: AugmentationCase) -> None:
    """An augmentation of a class has options that make an equal one."""
    views = case.make()
    if not isinstance(views, Augmentation):
        expect(callable(views), f"a {type(views).__name__}", "pass a function")
        return
    again = type(views)(**copy.deepcopy(views.options))
    other = AugmentationCase(lambda: again).draw()
    same = sequences(other) == sequences(case.draw())
    expect(same, f"other views for {describe(views)}", "read options in __init__ only")


def check_augmentation(
    make: Callable[[], Views], *, skip: Collection[str] = ()
) -> None:
    """Check an augmentation; :func:`checks` lists what must hold.

    Args:
        make: Returns a new augmentation, or a function of a batch, on each call:
            ``lambda: my_function``.
        skip: Names of checks that do not apply to it.

    Raises:
        CheckError: With all checks that failed.
    """
    AUGMENTATION.run(make, skip=skip)
