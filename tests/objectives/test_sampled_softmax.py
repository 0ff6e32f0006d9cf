"""Softmax objectives against loops, torch, and the specification's numbers."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from graphseq.objectives import (
    cross_entropy,
    in_batch_softmax,
    log_expected_count,
    log_uniform_probability,
    log_uniform_sample,
    sampled_softmax,
    uniform_sample,
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(
    n: int, d: int, v: int, dtype: torch.dtype = torch.float64, scale: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """States (N, D), items (V, D), both requiring gradients, and targets."""
    states = torch.randn(n, d, dtype=dtype, generator=seeded(0)) * scale
    items = torch.randn(v, d, dtype=dtype, generator=seeded(1))
    targets = torch.randint(v, (n,), generator=seeded(2))
    return states.requires_grad_(), items.requires_grad_(), targets


def loop(
    states: Tensor,
    items: Tensor,
    targets: Sequence[int],
    candidates: Sequence[Sequence[int]],
    shift: Sequence[Sequence[float]] | None = None,
) -> float:
    """Mean of -log exp(s·t) / Σ_c exp(s·c) over each row's own candidates.

    ``shift`` is subtracted from the candidates' logits; the target is not a
    candidate, its shift is the last of the row.
    """
    total = 0.0
    for n, target in enumerate(targets):
        minus = [0.0] * (len(candidates[n]) + 1) if shift is None else shift[n]
        positive = float(states[n].dot(items[target])) - minus[-1]
        mass = math.exp(positive)
        for c, item in enumerate(candidates[n]):
            mass += math.exp(float(states[n].dot(items[item])) - minus[c])
        total -= math.log(math.exp(positive) / mass)
    return total / len(targets)


QUERIES = torch.tensor([[1.0, 0], [0.5, 0.5]], dtype=torch.float64)
ITEMS = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1], [-1, 2]], dtype=torch.float64)


def test_sampled_softmax_of_the_specification_masks_the_accidental_hit() -> None:
    """6.6: row 2 samples its own target, which must not count twice (.95802009)."""
    targets, negatives = torch.tensor([1, 3]), torch.tensor([[2, 4], [1, 3]])
    loss = sampled_softmax(QUERIES, ITEMS, targets, negatives)
    assert loss.item() == pytest.approx(0.44084147, abs=1e-8)
    first = sampled_softmax(QUERIES[:1], ITEMS, targets[:1], negatives[:1])
    assert first.item() == pytest.approx(0.40760596, abs=1e-8)


def test_sampled_softmax_keeps_the_target_in_its_denominator() -> None:
    """Eq. (14) of MCLSR as printed would give -.68673831."""
    found = [
        sampled_softmax(QUERIES[:1] * k, ITEMS, torch.tensor([1]), torch.tensor([2, 4]))
        for k in (1, 100)
    ]
    assert all(loss >= 0 for loss in found)


@pytest.mark.parametrize("n, k, v", [(1, 1, 2), (4, 3, 6), (7, 20, 5)])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("corrected", [True, False])
def test_sampled_softmax_equals_loops(
    n: int, k: int, v: int, shared: bool, corrected: bool
) -> None:
    states, items, targets = problem(n, 3, v)
    size = (k,) if shared else (n, k)
    negatives = torch.randint(v, size, generator=seeded(3))
    lists = [negatives.tolist()] * n if shared else negatives.tolist()
    corrections, shifts = {}, None
    kept = [
        [(c, i) for c, i in enumerate(row) if i != targets[r]]
        for r, row in enumerate(lists)
    ]
    if corrected and shared:
        of_target = -torch.rand(n, dtype=torch.float64, generator=seeded(4))
        of_negative = -torch.rand(k, dtype=torch.float64, generator=seeded(5))
        corrections = {
            "log_expected_target": of_target,
            "log_expected_negative": of_negative,
        }
        shifts = [
            [of_negative[c].item() for c, _ in row] + [of_target[r].item()]
            for r, row in enumerate(kept)
        ]
    loss = sampled_softmax(states, items, targets, negatives, **corrections)
    candidates = [[i for _, i in row] for row in kept]
    expected = loop(
        states.detach(), items.detach(), targets.tolist(), candidates, shifts
    )
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_sampled_softmax_has_exact_and_finite_gradients() -> None:
    states, items, targets = problem(3, 2, 5)
    negatives = torch.tensor([[0, 1, 2], [3, 3, 4], [0, 0, 0]])
    negatives[2] = targets[2]  # only accidental hits
    assert torch.autograd.gradcheck(
        lambda s, i: sampled_softmax(s, i, targets, negatives), (states, items)
    )


def test_sampling_every_other_item_is_the_full_softmax() -> None:
    states, items, targets = problem(6, 3, 5)
    everything = torch.arange(5)
    torch.testing.assert_close(
        sampled_softmax(states, items, targets, everything),
        cross_entropy(states, items, targets),
    )


def test_log_uniform_probabilities_are_those_of_the_specification() -> None:
    expected = [0.38685281, 0.22629439, 0.16055842, 0.12453879, 0.10175560]
    found = log_uniform_probability(5)
    assert found.tolist() == pytest.approx(expected, abs=1e-8)
    assert log_uniform_probability(1000).sum().item() == pytest.approx(1)


def test_expected_counts_are_those_of_the_specification() -> None:
    expected = [0.62405052, 0.40137962, 0.29533784, 0.23356766, 0.19315699]
    found = log_expected_count(torch.arange(5), 5, tries=2)
    assert found.exp().tolist() == pytest.approx(expected, abs=1e-6)


def test_corrected_loss_is_that_of_the_specification() -> None:
    """6.6: the label has rank 1 and logit 1; ranks 0 (.5) and 2 (-.5) are drawn."""
    items = torch.tensor([[0.5], [1.0], [-0.5], [9.0], [9.0]])
    state, label, drawn = torch.ones(1, 1), torch.tensor([1]), torch.tensor([0, 2])
    plain = sampled_softmax(state, items, label, drawn)
    assert plain.item() == pytest.approx(0.60413061, abs=1e-6)
    corrected = sampled_softmax(
        state,
        items,
        label,
        drawn,
        log_expected_target=log_expected_count(label, 5, tries=2),
        log_expected_negative=log_expected_count(drawn, 5, tries=2),
    )
    assert corrected.item() == pytest.approx(0.52671278, abs=1e-6)


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_log_uniform_sample_is_distinct_and_at_most_all_items(
    size: int,
) -> None:
    ranks, tries = log_uniform_sample(10, size, seeded(size))
    assert len(set(ranks.tolist())) == len(ranks) == min(size, 10)
    assert ranks.min() >= 0 and ranks.max() < 10
    assert tries >= len(ranks)


def test_log_uniform_sample_keeps_the_order_and_number_of_its_draws() -> None:
    """The same draws by a loop that stops at the third distinct rank."""
    for seed in range(20):
        ranks, tries = log_uniform_sample(6, 3, seeded(seed))
        uniform = torch.rand(12, generator=seeded(seed), dtype=torch.float64)
        seen: list[int] = []
        draws = 0
        for u in uniform.tolist():
            draws += 1
            rank = int(math.exp(u * math.log(7)) - 1)
            if rank not in seen:
                seen.append(rank)
            if len(seen) == 3:
                break
        if len(seen) == 3:  # else it drew again
            assert (ranks.tolist(), tries) == (seen, draws)


def test_log_uniform_sample_follows_its_probabilities() -> None:
    generator = seeded(0)
    drawn = torch.cat([log_uniform_sample(8, 1, generator)[0] for _ in range(4000)])
    frequency = torch.bincount(drawn, minlength=8) / 4000
    torch.testing.assert_close(
        frequency.double(), log_uniform_probability(8), atol=0.03, rtol=0
    )


def test_expected_counts_equal_observed_frequencies() -> None:
    generator, counts, expected = seeded(1), torch.zeros(8), torch.zeros(8)
    for _ in range(1500):
        ranks, tries = log_uniform_sample(8, 3, generator)
        counts[ranks] += 1
        expected += log_expected_count(torch.arange(8), 8, tries).exp()
    torch.testing.assert_close(counts / 1500, expected / 1500, atol=0.06, rtol=0)


def test_uniform_sample_draws_all_items_equally_often() -> None:
    drawn = uniform_sample(6, 6000, seeded(0))
    assert torch.equal(drawn, uniform_sample(6, 6000, seeded(0)))
    frequency = torch.bincount(drawn, minlength=6) / 6000
    torch.testing.assert_close(frequency, torch.full((6,), 1 / 6), atol=0.02, rtol=0)


BATCH = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=torch.float64)
TABLE = torch.zeros(6, 2, dtype=torch.float64)
TABLE[3], TABLE[5] = torch.tensor([1.0, 1]), torch.tensor([0.0, 2])
TARGETS = torch.tensor([3, 5, 3])
COUNTS = torch.tensor([0, 2, 0, 6, 0, 2], dtype=torch.float64)


@pytest.mark.parametrize(
    "strength, expected", [(0.0, 0.51928453), (1.0, 1.21189215), (None, 0.51928453)]
)
def test_in_batch_softmax_of_the_specification(
    strength: float | None, expected: float
) -> None:
    given = {} if strength is None else {"counts": COUNTS, "strength": strength}
    loss = in_batch_softmax(BATCH, TABLE, TARGETS, **given)
    assert loss.item() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("n, v", [(1, 3), (5, 4), (12, 6)])
@pytest.mark.parametrize("users", [None, 3])
@pytest.mark.parametrize("strength", [None, 0.5, 1.0])
def test_in_batch_softmax_equals_loops(
    n: int, v: int, users: int | None, strength: float | None
) -> None:
    states, items, targets = problem(n, 3, v)
    counts = torch.arange(1, v + 1, dtype=torch.float64)
    user = None if users is None else torch.arange(n) % users
    candidates: list[list[int]] = []
    shifts: list[list[float]] = []
    for i in range(n):
        rows = [
            j
            for j in range(n)
            if targets[j] != targets[i] and (user is None or user[j] != user[i])
        ]
        candidates.append([int(targets[j]) for j in rows])
        weight = strength or 0.0
        log_q = [math.log(counts[t] / counts.sum()) for t in candidates[-1]]
        shifts.append([weight * q for q in log_q] + [0.0])
    given = {} if strength is None else {"counts": counts, "strength": strength}
    loss = in_batch_softmax(states, items, targets, user=user, **given)
    expected = loop(
        states.detach(), items.detach(), targets.tolist(), candidates, shifts
    )
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_in_batch_softmax_has_exact_gradients() -> None:
    states, items, targets = problem(5, 2, 4)
    counts = torch.ones(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda s, i: in_batch_softmax(s, i, targets, counts=counts), (states, items)
    )


def test_order_of_the_rows_does_not_matter() -> None:
    states, items, targets = problem(9, 3, 5)
    order = torch.randperm(9, generator=seeded(7))
    for loss in (cross_entropy, in_batch_softmax):
        torch.testing.assert_close(
            loss(states[order], items, targets[order]), loss(states, items, targets)
        )


def test_the_correction_holds_for_the_rarest_items() -> None:
    """In a real catalogue most items have less than a thousandth of the events."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    items = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    counts = torch.tensor([1, 2, 7, 1_000_000, 300]).double()
    targets = torch.tensor([0, 1, 2, 3])
    total = 0.0
    for row in range(4):
        logits = [float(states[row] @ items[other]) for other in targets.tolist()]
        own = logits[row]
        for place, other in enumerate(targets.tolist()):
            if place != row:
                logits[place] -= math.log(float(counts[other] / counts.sum()))
        total += math.log(sum(math.exp(logit) for logit in logits)) - own
    found = in_batch_softmax(states, items, targets, counts=counts)
    assert found.item() == pytest.approx(total / 4)
