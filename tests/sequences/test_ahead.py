"""Targets further on: every place asks for each of the next ones, once."""

import torch
from torch import Tensor

from graphseq.data import leave_one_out, synthetic
from graphseq.graphs import build_graph
from graphseq.sequences import Batch, SequenceLoader
from graphseq.sequences.ahead import ahead


def test_every_place_is_asked_for_each_of_the_next_targets_once() -> None:
    """Also across the windows of sequences that are longer than one."""
    log = synthetic.cycle(5, 40, length=33, seed=0)
    graph = build_graph(leave_one_out(log))
    flat = graph["user", "interacts", "item"].edge_index[1].view(5, 31)
    (batch,) = SequenceLoader(graph, "targets", 10_000, 8, num_negatives=1)
    before = {k: v.clone() for k, v in vars(batch).items() if isinstance(v, Tensor)}
    wide = ahead(batch, 3)
    for name, tensor in before.items():
        assert torch.equal(getattr(batch, name), tensor), "the batch is left alone"
    asked, targets = wide.target_positions()
    row, place = asked.nonzero(as_tuple=True)
    # The items of these logs differ within 40 steps, so (user, item) is a place.
    found = sorted(
        zip(
            wide.user[row].tolist(),
            wide.items[row, place].tolist(),
            targets.tolist(),
            strict=True,
        )
    )
    expected = [
        (u, int(flat[u, t]), int(flat[u, t + 1 + j]))
        for u in range(5)
        for t in range(30)
        for j in range(3)
        if t + 1 + j < 31
    ]
    assert found == sorted(expected)


def test_a_look_ahead_takes_the_negatives_of_its_own_place() -> None:
    batch = Batch(
        torch.tensor([4]),
        torch.tensor([[0, 1]]),
        torch.tensor([2]),
        9,
        torch.tensor([[1, 2]]),
        torch.tensor([[[5], [6]]]),
    )
    wide = ahead(batch, 3)
    assert wide.targets.tolist() == [[1, 2], [2, 9], [9, 9]]
    assert wide.negatives[:, :, 0].tolist() == [[5, 6], [6, 9], [9, 9]]
    assert wide.target_negatives()[:, 0].tolist() == [5, 6, 6]
    assert wide.user.tolist() == [4, 4, 4] and wide.lengths.tolist() == [2, 2, 2]
    assert torch.equal(ahead(batch, 1).targets, batch.targets)
