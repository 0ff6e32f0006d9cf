import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data import Vocabulary
from graphseq.errors import DataError

texts = st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=30)
numbers = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=30)


@given(ids=texts | numbers)
def test_decoding_undoes_encoding(ids: list[str] | list[int]) -> None:
    vocabulary = Vocabulary(ids)
    dense = vocabulary.encode(ids)
    assert dense.tolist() == list(range(len(ids)))
    assert dense.dtype == np.int64
    assert vocabulary.decode(dense) == ids


@given(raw=st.lists(st.integers(0, 2**62) | st.integers(0, 9), max_size=40))
def test_numbering_is_by_first_appearance(raw: list[int]) -> None:
    expected = list(dict.fromkeys(raw))
    for column in (
        pl.Series(raw, dtype=pl.Int64),
        pl.Series(map(str, raw), dtype=pl.String),
    ):
        vocabulary, dense = Vocabulary.number(column)
        assert [int(i) for i in vocabulary.ids] == expected
        assert dense.tolist() == [expected.index(i) for i in raw]


def test_ids_of_2_to_the_24_and_more_survive() -> None:
    ids = [2**24 + 1, 2**24, 2**53 + 1, 2**53]
    assert Vocabulary(ids).decode(Vocabulary(ids).encode(ids)) == ids


def test_an_integer_is_found_under_its_decimal_spelling_and_back() -> None:
    assert Vocabulary([7, 42]).encode(["42", "7"]).tolist() == [1, 0]
    assert Vocabulary(["7", "42"]).encode([42, 7]).tolist() == [1, 0]
    assert Vocabulary(["7", "a"]).encode([7, "a"]).tolist() == [0, 1]
    assert Vocabulary([42]).encode(["042"], missing=-1).tolist() == [-1]


def test_membership_is_of_raw_ids() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert "a" in vocabulary
    assert "c" not in vocabulary
    assert None not in vocabulary
    assert True not in Vocabulary([1])
    assert np.int64(1) in Vocabulary([1])
    assert np.int64(2) not in Vocabulary([1])
    assert np.str_("a") in vocabulary


@pytest.mark.parametrize("ids", [list(range(500)), [f"i{n}" for n in range(500)]])
def test_few_ids_are_found_as_many_are(ids: list[int] | list[str]) -> None:
    vocabulary = Vocabulary(ids)
    raw = [ids[n] for n in (3, 499, 3, 0)]
    assert vocabulary.encode(raw).tolist() == [3, 499, 3, 0]
    assert vocabulary.encode(raw * 50).tolist() == [3, 499, 3, 0] * 50
    assert vocabulary.encode([]).tolist() == []


def test_unknown_ids_are_listed_with_close_matches() -> None:
    vocabulary = Vocabulary(["bread", "butter", "milk"])
    with pytest.raises(
        DataError, match=r"2 unknown ids: 'bred' \(did you mean 'bread'"
    ):
        vocabulary.encode(["milk", "bred", "bred", "xx"])
    with pytest.raises(DataError, match=r"15 unknown ids.* and 5 more"):
        vocabulary.encode([f"x{i}" for i in range(15)])


def test_missing_replaces_unknown_ids() -> None:
    assert Vocabulary(["a"]).encode(["b", "a"], missing=-1).tolist() == [-1, 0]


@pytest.mark.parametrize("dense", [[-1], [2], [0, 5]])
def test_dense_ids_out_of_range_have_no_raw_id(dense: list[int]) -> None:
    with pytest.raises(DataError, match="0 … 1"):
        Vocabulary(["a", "b"]).decode(dense)


def test_invalid_ids_are_refused() -> None:
    with pytest.raises(DataError, match="a missing id; found one at row 2"):
        Vocabulary.number(pl.Series([7, 7, None]))
    with pytest.raises(DataError, match="'a' occurs 2 times"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(DataError, match="missing id; found one at row 1"):
        Vocabulary(pl.Series(["a", None]))
    with pytest.raises(DataError, match="Float64"):
        Vocabulary(pl.Series([1.0, 2.0]))
    with pytest.raises(DataError, match="all strings or all signed 64-bit integers"):
        Vocabulary(["a", 1])


def test_equality_is_of_ids_order_and_type() -> None:
    assert Vocabulary(["a", "b"]) == Vocabulary(["a", "b"])
    assert Vocabulary(["a", "b"]) != Vocabulary(["b", "a"])
    assert Vocabulary([1]) != Vocabulary(["1"])
    assert Vocabulary([1]) != [1]


def test_repr_shows_size_type_and_first_ids() -> None:
    assert repr(Vocabulary([5, 6, 7, 8])) == "Vocabulary(4 integers: 5, 6, 7, …)"
    assert repr(Vocabulary(["a"])) == "Vocabulary(1 strings: 'a')"
