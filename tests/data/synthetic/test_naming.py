import pytest

from graphseq.data.synthetic.naming import check_seed, check_shares, check_sizes, names
from graphseq.errors import DataError


def test_raw_ids_are_not_dense_ids() -> None:
    assert names("item", 2).ids.to_list() == ["item-0", "item-1"]


def test_sizes_seeds_and_probabilities_out_of_range_are_named() -> None:
    check_sizes(length=1)
    with pytest.raises(DataError, match=r"1 or more; found \{'length': 0\}"):
        check_sizes(num_users=3, length=0)
    with pytest.raises(DataError, match="found -1"):
        check_seed(-1)
    with pytest.raises(DataError, match=r"found \{'noise': 1.5\}"):
        check_shares(drift=1.0, noise=1.5)
