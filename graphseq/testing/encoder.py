"""What every encoder must do: states, padding, later items, weights, options."""

import copy
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from graphseq.nn import Encoder
from graphseq.schema import describe
from graphseq.testing.suite import Suite, expect

LENGTHS = (6, 3, 1, 2)


@dataclass(frozen=True)
class EncoderCase:
    """An encoder, and random rows of several lengths.

    Attributes:
        make: Returns a new encoder on each call.
    """

    make: Callable[[], Encoder]

    def new(self, seed: int = 0) -> Encoder:
        """A new encoder in evaluation mode."""
        torch.manual_seed(seed)
        return self.make().eval()

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that most checks read."""
        return self.new()

    @cached_property
    def mask(self) -> Tensor:
        """True at real items, (4, L)."""
        longest = min(LENGTHS[0], self.encoder.max_length or LENGTHS[0])
        lengths = torch.tensor(LENGTHS).clamp(max=longest)
        return torch.arange(longest) < lengths[:, None]

    @cached_property
    def x(self) -> Tensor:
        """Item vectors, zero at padding, (4, L, D)."""
        draws = torch.Generator().manual_seed(1)
        x = torch.randn(*self.mask.shape, self.encoder.dim, generator=draws)
        return x * self.mask[..., None]

    @torch.no_grad()
    def states(self) -> Tensor:
        """The states of the rows."""
        states: Tensor = self.encoder(self.x, self.mask)
        return states


ENCODER = Suite(EncoderCase)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest absolute difference; infinite for other shapes or NaN."""
    if found.shape != expected.shape:
        return float("inf")
    largest = (found - expected).abs().max().item() if found.numel() else 0.0
    return largest if largest == largest else float("inf")


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal up to float32 rounding."""
    return found.shape == expected.shape and torch.allclose(
        found, expected, rtol=1e-4, atol=1e-5
    )


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
    """With prefix_states, a state is the one of the row cut there; else it is not."""
    cut = max(1, case.x.shape[1] // 2)
    every = case.states()[:1, :cut]
    alone = case.encoder(case.x[:1, :cut], case.mask[:1, :cut])
    gap = difference(every, alone)
    if case.encoder.prefix_states:
        expect(
            close(every, alone),
            f"the states before a cut differ by up to {gap:.2g}: training would see "
            "its targets",
            "mask later positions, or set prefix_states = False",
        )
    else:
        expect(
            not close(every, alone) or case.x.shape[1] == cut,
            "prefix_states is False, and no state depends on later items",
            "set prefix_states = True: a row then has a target at every position",
        )


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


@ENCODER.add
def every_parameter_has_a_gradient(case: EncoderCase) -> None:
    """Every parameter has a finite gradient that is not zero, in training mode."""
    encoder = case.new().train()
    total = torch.zeros(())
    for step in range(4):  # dropout may hide a weight once
        torch.manual_seed(step)
        weights = torch.randn(case.x.shape)
        total = total + (encoder(case.x, case.mask) * weights).sum()
        mask = case.mask.clone()
        mask[-1] = False
        x = case.x * mask[..., None]
        total = total + (encoder.last(x, mask) * weights[:, 0]).sum()
    total.backward()
    for name, weight in encoder.named_parameters():
        gradient = weight.grad
        expect(
            gradient is not None and gradient.any() and gradient.isfinite().all(),
            f"{name} has no finite gradient other than zero",
            "use the parameter in forward, or remove it",
        )


@ENCODER.add
def gradients_reach_items_and_no_padding(case: EncoderCase) -> None:
    """The last states have a gradient for each row's last item, none for padding."""
    x = case.x.clone().requires_grad_()
    weights = torch.randn(len(x), case.encoder.dim)
    (case.encoder.last(x, case.mask) * weights).sum().backward()
    gradient = torch.zeros_like(x) if x.grad is None else x.grad
    newest = gradient[torch.arange(len(x)), case.mask.sum(dim=1) - 1]
    unread = int((~newest.any(dim=-1)).sum())
    expect(not unread, f"{unread} last items have none", "do not detach the input")
    padded = int(gradient[~case.mask].any(dim=-1).sum())
    expect(not padded, f"{padded} padded positions have one", "mask padding")


@ENCODER.add
def evaluation_is_repeatable(case: EncoderCase) -> None:
    """In evaluation mode two calls are equal, and change neither weights nor input."""
    encoder, x, mask = case.new(), case.x.clone(), case.mask.clone()
    before = copy.deepcopy(encoder.state_dict())
    with torch.no_grad():
        first, second = encoder(x, mask), encoder(x, mask)
    gap = difference(first, second)
    advice = "drop values and draw noise only if self.training"
    expect(torch.equal(first, second), f"two calls differ by {gap:.2g}", advice)
    same = torch.equal(x, case.x) and torch.equal(mask, case.mask)
    expect(same, "the input was changed in place", "copy before an in-place operation")
    changed = [
        n for n, t in encoder.state_dict().items() if not torch.equal(t, before[n])
    ]
    expect(
        not changed, f"{', '.join(changed)} changed", "update state in training only"
    )


@ENCODER.add
def the_seed_decides_the_weights(case: EncoderCase) -> None:
    """The same seed gives the same initial weights, another seed other ones."""
    first, again, other = (case.new(seed).state_dict() for seed in (3, 3, 4))
    changed = [name for name in first if not torch.equal(first[name], again[name])]
    advice = "draw initial weights from torch's global generator"
    expect(not changed, f"{', '.join(changed)} differ for one seed", advice)
    fixed = all(torch.equal(first[name], other[name]) for name in first)
    expect(not first or not fixed, "all weights are equal for two seeds", advice)


@ENCODER.add
@torch.no_grad()
def weights_survive_a_state_dict(case: EncoderCase) -> None:
    """An encoder with the state dict of another one has its states."""
    other = case.new(seed=9)
    other.load_state_dict(case.encoder.state_dict())
    gap = difference(other(case.x, case.mask), case.states())
    advice = "register tensors as parameters or buffers"
    expect(gap == 0, f"states differ by up to {gap:.2g}", advice)


@ENCODER.add
@torch.no_grad()
def a_copy_is_independent(case: EncoderCase) -> None:
    """copy.deepcopy gives equal states, and shares no memory."""
    other = copy.deepcopy(case.encoder)
    gap = difference(other(case.x, case.mask), case.states())
    expect(gap == 0, f"states differ by up to {gap:.2g}", "keep no state outside")
    pairs = zip(other.parameters(), case.encoder.parameters(), strict=True)
    shared = sum(mine.data_ptr() == its.data_ptr() for mine, its in pairs)
    expect(not shared, f"{shared} parameters are shared", "define no __deepcopy__")


@ENCODER.add
@torch.no_grad()
def options_rebuild_it(case: EncoderCase) -> None:
    """Its options are JSON data or parts, and rebuild an encoder of the same states."""
    spec = describe(case.encoder)
    try:
        same = json.loads(json.dumps(spec)) == spec
    except TypeError:
        same = False
    advice = "take numbers, texts, lists or parts of the package as options"
    expect(same, f"{spec} is not JSON data", advice)
    options = copy.deepcopy(case.encoder.options)
    other = type(case.encoder)(**options).eval()
    other.load_state_dict(case.encoder.state_dict())
    gap = difference(other(case.x, case.mask), case.states())
    expect(
        gap == 0, f"states differ by up to {gap:.2g}", "read options in __init__ only"
    )


@ENCODER.add
@torch.no_grad()
def float64_is_computed_in_float64(case: EncoderCase) -> None:
    """Of a float64 input, the states of encoder.double() are float64, and equal."""
    found = case.new().double()(case.x.double(), case.mask)
    advice = "create tensors with the dtype of the input: x.new_zeros(…)"
    expect(found.dtype == torch.float64, f"states of {found.dtype}", advice)
    gap = difference(found.float(), case.states())
    expect(close(found.float(), case.states()), f"states differ by {gap:.2g}", advice)


@ENCODER.add
@torch.no_grad()
def tensors_are_created_on_the_device_of_the_input(case: EncoderCase) -> None:
    """On another device, the states are computed there (checked with meta tensors)."""
    advice = "create tensors with device=x.device, and register constants as buffers"
    try:
        states = case.new().to("meta")(case.x.to("meta"), case.mask.to("meta"))
    except (RuntimeError, NotImplementedError) as error:
        if "data-dependent" in str(error) or "Tensor.item()" in str(error):
            return  # values of the input are read, which meta tensors have not
        line = str(error).strip().splitlines()[0]
        expect(False, line, advice)
    else:
        expect(states.device.type == "meta", f"states on {states.device}", advice)


def check_encoder(make: Callable[[], Encoder], *, skip: Collection[str] = ()) -> None:
    """Check an encoder; :func:`checks` lists what must hold.

    Args:
        make: Returns a new encoder on each call, with weights from torch's global
            generator, such as ``lambda: MyEncoder(dim=16)``.
        skip: Names of checks that do not apply to it.

    Raises:
        CheckError: With all checks that failed: what was checked and found, and what to
            do.
    """
    ENCODER.run(make, skip=skip)
