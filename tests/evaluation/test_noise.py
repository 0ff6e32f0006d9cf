"""Noise in held-out histories, against a loop, and its effect on reports."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from graphseq.data import HeldOut
from graphseq.data.ragged import Ragged
from graphseq.errors import GraphError, RunError
from graphseq.evaluation import Report, evaluate
from graphseq.evaluation.noise import add_noise, nth_unknown
from graphseq.sequences.batch import Batch


def ragged(lists: list[list[int]]) -> tuple[Tensor, Tensor]:
    flat = torch.tensor([item for row in lists for item in row], dtype=torch.int64)
    return flat, torch.tensor([0, *(len(row) for row in lists)]).cumsum(0)


def rows_of(items: Tensor, ptr: Tensor) -> list[list[int]]:
    return [items[a:b].tolist() for a, b in pairwise(ptr)]


def held(histories: list[list[int]], targets: list[list[int]]) -> HeldOut:
    users = torch.arange(len(targets))
    return HeldOut(users, *ragged(histories), *ragged(targets))


def test_the_nth_unknown_item_is_that_of_a_loop() -> None:
    lists = [[], [0], [3, 4], [0, 1, 2, 5], [1, 3, 5]]
    known = Ragged(*ragged(lists))
    expected = [[item for item in range(6) if item not in seen] for seen in lists]
    asked = [(n, row) for row, free in enumerate(expected) for n in range(len(free))]
    n, rows = torch.tensor(asked).T
    found = nth_unknown(n, rows, known, 6).tolist()
    assert found == [expected[row][place] for place, row in asked]


def test_noise_is_inserted_and_the_events_keep_their_order() -> None:
    histories = [[4, 1, 4, 2], [], [7], [0, 1, 2, 3, 4, 5, 6, 7, 8]]
    clean = held(histories, [[3], [1], [0], [9]])
    noisy = add_noise(clean, 1.0, 12, seed=1)
    found = rows_of(noisy.history, noisy.history_ptr)
    for history, target, row in zip(histories, [3, 1, 0, 9], found, strict=True):
        assert [item for item in row if item in history] == history
        inserted = [item for item in row if item not in history]
        assert len(inserted) == len(history)
        assert target not in inserted and all(0 <= item < 12 for item in inserted)
    for name in ("user", "target", "target_ptr"):
        assert torch.equal(getattr(noisy, name), getattr(clean, name))


def test_number_positions_and_items_are_uniform() -> None:
    users = 40_000
    clean = held([[0, 1, 2]] * users, [[3]] * users)
    noisy = add_noise(clean, 0.1, 8, seed=0)
    added = noisy.history_ptr.diff() - 3
    assert set(added.tolist()) == {0, 1}
    assert added.double().mean().item() == pytest.approx(0.3, abs=0.01)
    new = noisy.history > 3
    items = noisy.history[new].bincount(minlength=8)[4:] / new.sum()
    assert items.tolist() == pytest.approx([0.25] * 4, abs=0.02)
    start = noisy.history_ptr[:-1].repeat_interleave(3 + added)
    place = torch.arange(len(new)) - start
    places = place[new].bincount(minlength=4) / new.sum()
    assert places.tolist() == pytest.approx([0.25] * 4, abs=0.02)


def test_the_seed_decides() -> None:
    clean = held([[*range(50)]] * 3, [[51]] * 3)
    once, again, other = (add_noise(clean, 0.2, 200, seed) for seed in (5, 5, 6))
    assert torch.equal(once.history, again.history)
    assert not torch.equal(once.history, other.history)


def test_a_user_with_all_items_is_refused() -> None:
    with pytest.raises(GraphError, match="has all 3 items"):
        add_noise(held([[0], [0, 1]], [[1], [2]]), 1.0, 3, seed=0)


def test_noise_reaches_the_model_and_not_the_candidates(
    written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model scores the item after the newest one highest."""

    def represent(self: object, batch: Batch, graph: object) -> Tensor:
        newest = batch.items.gather(1, batch.lengths[:, None] - 1)[:, 0]
        return torch.eye(30)[(newest + 1) % 30]

    users = 200
    model, graph = written(torch.zeros(users, 30), [[1, 2, 3]] * users, [[4]] * users)
    monkeypatch.setattr(type(model), "represent", represent)
    clean = evaluate(model, graph, ks=(1,), folder=tmp_path)
    assert clean["kept"]["HR@1"] == 1
    noisy = evaluate(model, graph, ks=(1,), noise=1.0, noise_seed=3, folder=tmp_path)
    # None of three items is at the last of four positions with probability (3/4)³.
    assert noisy["excluded"]["HR@1"] == pytest.approx(27 / 64, abs=0.12)
    assert noisy.per_user["history_length"].unique().to_list() == [3]
    assert "noise: 1 random items" in noisy.protocol_text()
    assert "noise" not in clean.protocol_text()
    assert Report.load(tmp_path).means == clean.means
    assert Report.load(tmp_path, "test", 1.0, 3).means == noisy.means
    with pytest.raises(RunError, match="contains no report"):
        Report.load(tmp_path, "test", 1.0)


def test_without_noise_its_seed_changes_nothing(small) -> None:
    clean = evaluate(*small)
    assert clean.per_user.equals(evaluate(*small, noise_seed=7).per_user)
    assert "noise" not in clean.facts
