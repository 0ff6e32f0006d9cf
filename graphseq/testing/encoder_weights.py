"""Checks of the weights, gradients and options of encoders."""

import copy

import torch

from graphseq.schema import describe
from graphseq.testing.encoder_case import (
    ENCODER,
    EncoderCase,
    close,
    difference,
)
from graphseq.testing.suite import expect, expect_json


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
    expect_json(spec, "take numbers, texts, lists or parts of the package as options")
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
