"""Blocks of scores: padding columns, interests, and calls that share a scorer."""

import pytest
import torch

from graphseq.models import scoring
from graphseq.models.scoring import Catalogue, InnerProduct, rows_of_block, width

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_items", [1, 63, 64, 12101])
def test_there_is_always_a_column_for_padding(num_items: int) -> None:
    assert width(num_items) > num_items
    assert width(num_items) % 64 == 0


def test_a_block_stays_in_the_cache_and_has_a_few_rows() -> None:
    assert rows_of_block(12160, CPU) * 12160 <= scoring.CPU_BLOCK
    assert 2 * rows_of_block(12160, CPU) * 12160 > scoring.CPU_BLOCK
    assert rows_of_block(10**8, CPU) == scoring.FEWEST_ROWS


@pytest.mark.parametrize("interests", [None, 1, 3])
def test_blocks_are_the_best_products(interests, monkeypatch) -> None:
    monkeypatch.setattr(scoring, "FEWEST_ROWS", 1)
    monkeypatch.setattr(scoring, "CPU_BLOCK", 4 * 128)
    generator = torch.Generator().manual_seed(0)
    shape = (11, 5) if interests is None else (11, interests, 5)
    users = torch.randn(shape, generator=generator)
    items = torch.randn(70, 5, generator=generator)
    scorer = InnerProduct(lambda queries: users[queries], items)
    assert (scorer.num_items, scorer.device) == (70, CPU)
    firsts, blocks = [], []
    for first, block in scorer.blocks(torch.arange(11)):
        firsts.append(first)
        blocks.append(block.clone())
    assert len(blocks) > 1
    assert firsts == [0, *torch.tensor([len(b) for b in blocks]).cumsum(0)[:-1]]
    found = torch.cat(blocks)
    assert found.shape == (11, 128) and found[:, 70:].eq(-torch.inf).all()
    for row in range(11):
        for item in range(70):
            each = users[row].double().view(-1, 5) @ items[item].double()
            assert found[row, item].item() == pytest.approx(each.max().item(), abs=1e-5)


def test_calls_share_nothing_that_they_write() -> None:
    catalogue = Catalogue(torch.eye(3))
    [(_, first)] = catalogue.blocks(torch.ones(2, 3))
    [(_, second)] = catalogue.blocks(torch.zeros(2, 3))
    assert first[:, :3].eq(1).all() and second[:, :3].eq(0).all()


def test_vectors_of_a_trained_model_have_no_gradient() -> None:
    table = torch.eye(3, requires_grad=True)
    assert not InnerProduct(lambda queries: queries, table).vectors.requires_grad
