"""Checks of the states of encoders: padding, batches, later items."""

import torch
from torch import Tensor

from graphseq.nn import Encoder
from graphseq.testing.encoder_case import (
    ENCODER,
    LENGTHS,
    EncoderCase,
    close,
    difference,
)
from graphseq.testing.suite import expect


@ENCODER.add
def it_is_an_encoder_of_its_declared_size(case: EncoderCase) -> None:
    """It is an Encoder whose dim is the width of the input that it reads."""
    expect(
        isinstance(case.encoder, Encoder),
        f"a {type(case.encoder).__name__}",
        "derive the class from graphseq.nn.Encoder",
    )
    dim = getattr(case.encoder, "dim", None)
    expect(isinstance(dim, int), f"dim = {dim!r}", "set self.dim in __init__")


@ENCODER.add
def states_have_the_shape_of_the_input(case: EncoderCase) -> None:
    """The states have the shape (B, L, D) of the input, and are finite."""
    found = case.states()
    expect(
        found.shape == case.x.shape,
        f"shape {tuple(found.shape)} for an input of {tuple(case.x.shape)}",
        "return one state of width D for each position",
    )
    number = int((~found.isfinite()).sum())
    expect(not number, f"{number} values are NaN or infinite", "avoid empty softmaxes")


@ENCODER.add
def states_at_padding_are_zero(case: EncoderCase) -> None:
    """The states at padding are zero."""
    rows = int(case.states()[~case.mask].any(dim=-1).sum())
    advice = "multiply the states by mask[..., None] at the end"
    expect(not rows, f"{rows} padded positions have a state", advice)


@ENCODER.add
def states_at_items_are_not_all_zero(case: EncoderCase) -> None:
    """The state at each item is not the zero vector."""
    rows = int((~case.states()[case.mask].any(dim=-1)).sum())
    advice = "check that the mask is True at items, and that weights are initialised"
    expect(not rows, f"{rows} items have a zero state", advice)


@ENCODER.add
@torch.no_grad()
def more_padding_changes_no_state(case: EncoderCase) -> None:
    """States do not depend on how many padded columns the batch has."""
    x, mask = case.x[1:], case.mask[1:]  # the longest row is left out
    width = int(mask.sum(dim=1).max())
    short = case.encoder(x[:, :width], mask[:, :width])
    found = case.encoder(x, mask)[:, :width]
    expect(
        close(found, short),
        f"states differ by up to {difference(found, short):.2g} with more columns",
        "count positions from the first item or from the length, and mask padding",
    )


@ENCODER.add
@torch.no_grad()
def rows_do_not_depend_on_their_batch(case: EncoderCase) -> None:
    """The states of a row are the same in any batch and at any place of it."""
    states, reverse = case.states(), torch.arange(len(LENGTHS)).flip(0)
    turned = case.encoder(case.x[reverse], case.mask[reverse])[reverse]
    alone = torch.cat(
        [
            case.encoder(case.x[row : row + 1], case.mask[row : row + 1])
            for row in range(len(case.x))
        ]
    )
    for found, name in ((turned, "in reverse order"), (alone, "alone")):
        expect(
            close(found, states),
            f"rows {name} differ by up to {difference(found, states):.2g}",
            "compute nothing over the batch, such as batch normalisation",
        )


@ENCODER.add
@torch.no_grad()
def later_items_are_read_only_if_declared(case: EncoderCase) -> None:
    """With prefix_states, a state is the one of the row cut there; else it is not.

    With counts_from_end, later items are changed and not cut off.
    """
    longest = torch.randn(1, case.encoder.max_length or 12, case.encoder.dim)
    for x in (case.x[:1], longest.to(case.x)):  # the second fills a window
        cut = max(1, x.shape[1] // 2)
        every, alone = _states_before(case.encoder, x, cut)
        if case.encoder.prefix_states:
            gap = difference(every, alone)
            expect(
                close(every, alone),
                f"the states before a cut differ by up to {gap:.2g}: training would "
                "see its targets",
                "mask later positions, or set prefix_states = False",
            )
            continue
        expect(
            not close(every, alone) or x.shape[1] == cut,
            "prefix_states is False, and no state depends on later items",
            "set prefix_states = True: a row then has a target at every position",
        )


def _states_before(encoder: Encoder, x: Tensor, cut: int) -> tuple[Tensor, Tensor]:
    """The states before a cut of a row (1, L, D), and of one with other later items.

    Both are (1, cut, D).
    """
    mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    every = encoder(x, mask)[:, :cut]
    if not encoder.counts_from_end:
        return every, encoder(x[:, :cut], mask[:, :cut])
    changed = x.clone()
    changed[:, cut:] += 1
    return every, encoder(changed, mask)[:, :cut]


@ENCODER.add
def prefix_states_is_known_from_the_options(case: EncoderCase) -> None:
    """has_prefix_states(options) is the encoder's prefix_states."""
    found = case.encoder.has_prefix_states(case.encoder.options)
    own = case.encoder.prefix_states
    advice = "override has_prefix_states where the value depends on an option"
    expect(found == own, f"{found} for the options, {own} of the encoder", advice)


@ENCODER.add
@torch.no_grad()
def the_last_state_reads_the_history(case: EncoderCase) -> None:
    """The state at the last item depends on the items before it."""
    other = case.x.clone()
    other[0, :-1] = other[0, :-1].flip(-1) + 1
    change = difference(case.encoder(other, case.mask)[0, -1], case.states()[0, -1])
    advice = "combine positions, with attention, a recurrence or a filter"
    expect(change > 1e-6, f"a change of {change:.1g} for another history", advice)


@ENCODER.add
@torch.no_grad()
def last_is_the_state_at_the_last_item(case: EncoderCase) -> None:
    """last(x, mask) is the state that forward has at each row's last item."""
    rows = torch.arange(len(case.x))
    expected = case.states()[rows, case.mask.sum(dim=1) - 1]
    found = case.encoder.last(case.x, case.mask)
    gap = difference(found, expected)
    advice = "let last compute what forward computes, or do not override it"
    expect(close(found, expected), f"a difference of up to {gap:.2g}", advice)


@ENCODER.add
@torch.no_grad()
def an_empty_row_has_a_finite_state(case: EncoderCase) -> None:
    """A row without items has a finite last state, and changes no other row."""
    mask = case.mask.clone()
    mask[1] = False
    found = case.encoder.last(case.x * mask[..., None], mask)
    number = int((~found.isfinite()).sum())
    advice = "guard the softmax, or the division by the length, of an empty row"
    expect(not number, f"{number} values are NaN or infinite", advice)
    others = [0, 2, 3]
    expected = case.encoder.last(case.x, case.mask)[others]
    gap = difference(found[others], expected)
    expect(close(found[others], expected), f"others differ by {gap:.2g}", advice)


@ENCODER.add
@torch.no_grad()
def rows_of_every_length_are_read(case: EncoderCase) -> None:
    """Rows of 1 item up to max_length items are read."""
    longest = case.encoder.max_length or 12
    for length in {1, 2, longest - 1, longest} - {0}:
        mask = torch.ones(1, length, dtype=torch.bool)
        states = case.encoder(torch.ones(1, length, case.encoder.dim), mask)
        expect(
            states.isfinite().all(),
            f"a row of {length} items has states that are not finite",
            "set max_length to the longest row that the encoder reads",
        )
