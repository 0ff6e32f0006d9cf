"""The most popular items, for users without any event."""

import torch

from graphseq.models.scoring import width
from graphseq.recommend.popularity import Popularity


def test_every_row_has_the_counts_and_padding_has_none() -> None:
    scorer = Popularity(torch.tensor([3, 0, 7]))
    [(first, scores)] = scorer.blocks(range(5))
    assert first == 0
    assert scores.shape == (5, width(3))
    assert scores[:, :3].tolist() == [[3, 0, 7]] * 5
    assert (scores[:, 3:] == -torch.inf).all()


def test_many_rows_come_in_blocks_that_do_not_share_memory() -> None:
    scorer = Popularity(torch.arange(2**17))
    blocks = [(first, len(scores)) for first, scores in scorer.blocks(range(40))]
    assert [n for _, n in blocks] == [16, 16, 8]
    assert [first for first, _ in blocks] == [0, 16, 32]
