"""Targets in their own history: counted once for each user."""

import pytest
import torch

import graphseq as gs
from graphseq.data import HeldOut
from graphseq.data.synthetic import markov
from graphseq.graphs.repeats import repeated, repeated_targets


def rows(lists: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    flat = torch.tensor([item for row in lists for item in row], dtype=torch.int64)
    return flat, torch.tensor([0, *map(len, lists)]).cumsum(0)


def test_each_target_counts_once_and_only_the_own_history() -> None:
    histories, targets = [[1, 2, 2], [], [0]], [[2, 2, 3], [0], [9]]
    held_out = HeldOut(torch.arange(3), *rows(histories), *rows(targets))
    assert repeated(held_out) == 1 / 4  # of 2, 3; 0; 9


def test_fractions_of_a_log_are_those_of_loops() -> None:
    graph = gs.build_graph(gs.leave_one_out(markov(60, 12, length=10, seed=0)))
    found = repeated_targets(graph)
    for name in ("validation", "test"):
        part = getattr(graph, name)
        hits = sum(
            target in part.history[start:end].tolist()
            for target, start, end in zip(
                part.target.tolist(),
                part.history_ptr,
                part.history_ptr[1:],
                strict=False,
            )
        )
        assert 0 < hits < 60
        assert found[name] == pytest.approx(hits / 60)
    assert (
        gs.evaluate(gs.models.POP(60, 12), graph).facts["known_targets"]
        == (found["test"])
    )


def test_parts_without_users_have_no_fraction() -> None:
    graph = gs.build_graph(gs.leave_one_out(markov(9, 5, length=4, seed=0)))
    del graph.validation
    assert [*repeated_targets(graph)] == ["test"]
