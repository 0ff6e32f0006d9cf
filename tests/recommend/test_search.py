import pytest
import torch

from graphseq.data.ragged import Ragged
from graphseq.evaluation.topk import NOTHING, decode
from graphseq.models.scoring import InnerProduct
from graphseq.recommend.search import ExactSearch, FaissSearch


def exact_search(vectors) -> ExactSearch:
    """Exact search with vectors as queries."""
    return ExactSearch(InnerProduct(lambda queries: queries, vectors))


def problem(interests, num_items=90, seed=0):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(num_items, 8, generator=generator)
    shape = (25, 8) if interests is None else (25, interests, 8)
    queries = torch.randn(shape, generator=generator)
    lists = [torch.randperm(num_items, generator=generator)[: i % 7] for i in range(25)]
    lengths = torch.tensor([0, *map(len, lists)])
    return vectors, queries, Ragged(torch.cat(lists), lengths.cumsum(0)).distinct()


@pytest.mark.parametrize("interests", [None, 1, 4])
@pytest.mark.parametrize("kind", ["flat", "hnsw"])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_the_index_finds_what_the_exact_search_finds(interests, kind, k) -> None:
    # Among 90 items HNSW sees all of them.
    vectors, queries, seen = problem(interests)
    exact = exact_search(vectors).search(queries, seen, k)
    found = FaissSearch(vectors, kind).search(queries, seen, k)
    for row in range(len(queries)):
        real, same = exact[row] != NOTHING, found[row] != NOTHING
        assert int(real.sum()) == min(k, 90 - int(seen.lengths[row]))
        wanted, scores = decode(exact[row][real][None])
        items, near = decode(found[row][same][None])
        assert items.tolist() == wanted.tolist()
        torch.testing.assert_close(near, scores)


@pytest.mark.parametrize("kind", ["exact", "flat", "hnsw"])
def test_lists_are_as_long_as_there_are_items_and_may_be_none(kind) -> None:
    vectors, queries, seen = problem(4, num_items=15)
    make = exact_search if kind == "exact" else lambda v: FaissSearch(v, kind)
    assert make(vectors).search(queries, seen, 40).shape == (25, 15)
    empty = Ragged(seen.items[:0], seen.ptr[:1])
    assert make(vectors).search(queries[:0], empty, 3).shape == (0, 3)


def test_hnsw_is_near_among_many() -> None:
    vectors, queries, seen = problem(None, num_items=5000)
    exact = decode(exact_search(vectors).search(queries, seen, 10))[0]
    found = decode(FaissSearch(vectors, "hnsw").search(queries, seen, 10))[0]
    same = (exact[:, :, None] == found[:, None, :]).any(dim=2)
    assert same.double().mean() > 0.9


@pytest.mark.parametrize("make", [exact_search, lambda v: FaissSearch(v, "flat")])
def test_nan_is_refused(make) -> None:
    vectors, queries, seen = problem(None)
    queries[3] = torch.nan
    with pytest.raises(FloatingPointError):
        make(vectors).search(queries, seen, 5)
