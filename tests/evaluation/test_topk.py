import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.evaluation.topk import decode, keys, top_keys
from graphseq.models.scoring import width


@given(
    num_items=st.integers(1, 700),
    k=st.integers(1, 60),
    values=st.sampled_from([1, 2, 5, 10**6]),
    seed=st.integers(0, 2**16),
)
def test_top_k_is_a_stable_sort(num_items, k, values, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.full((3, width(num_items)), -torch.inf)
    drawn = torch.randint(-values, values, (3, num_items), generator=generator)
    scores[:, :num_items] = drawn.float() / 3
    k = min(k, num_items)
    ids, found = decode(top_keys(scores, k))
    order = scores.sort(dim=1, descending=True, stable=True)
    assert torch.equal(ids, order.indices[:, :k])
    assert torch.equal(found, order.values[:, :k])


def test_keys_order_floats_of_every_kind() -> None:
    tiny = torch.finfo(torch.float32).tiny
    ordered = torch.tensor(
        [[-torch.inf, -1e30, -1, -tiny / 4, 0, tiny / 4, tiny, 1, 1e30, torch.inf]]
    )
    found = keys(ordered, torch.arange(10))
    assert (found.diff() > 0).all()
    assert torch.equal(decode(found)[1], ordered)


def test_minus_zero_equals_zero() -> None:
    found = keys(torch.tensor([[-0.0, 0.0]]), torch.arange(2))
    assert found[0, 0] > found[0, 1]  # equal scores: the smaller id is better


def test_the_last_id_of_31_bits_survives() -> None:
    ids = torch.tensor([[0, 2**24 + 1, 2**31 - 1]])
    assert torch.equal(decode(keys(torch.zeros(1, 3), ids))[0], ids)
