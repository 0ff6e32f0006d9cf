import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.data import Vocabulary
from graphseq.data.ids import (
    BlockNumbering,
    number_hashed,
    number_integers,
    to_integers,
)

ids = st.integers(-3, 9) | st.integers(-(2**63), 2**63 - 1)
texts = st.sampled_from(["a", "é", "7", "007", "-3", "x" * 40])
blocks = st.lists(st.lists(ids, max_size=9) | st.lists(ids.map(str), max_size=9))


@given(columns=blocks | st.lists(st.lists(ids.map(str) | texts, max_size=9)))
def test_blocks_are_numbered_as_one_column_is(columns: list[list[int | str]]) -> None:
    raw = [value for column in columns for value in column]
    plain = all(str(value).lstrip("-").isdecimal() and value != "007" for value in raw)
    expected, dense = Vocabulary.number(
        pl.Series([int(v) for v in raw] if plain else map(str, raw),
                  dtype=pl.Int64 if plain else pl.String)
    )  # fmt: skip
    numbering = BlockNumbering()
    for column in columns:
        kind = pl.Int64 if column and isinstance(column[0], int) else pl.String
        numbering.add(pl.Series(column, dtype=kind))
    assert numbering.take_column().tolist() == dense.tolist()
    found = Vocabulary(numbering.ids())
    assert found == expected or not raw


@given(column=st.lists(ids, max_size=30) | st.lists(texts, max_size=30))
@pytest.mark.parametrize("kept", [0, 3, 3 << 62, 2**64 - 1])
def test_ids_with_equal_hashes_are_numbered_as_different_ones(
    column: list[int] | list[str], kept: int
) -> None:
    series = pl.Series("id", column, dtype=pl.Int64 if is_int(column) else pl.String)
    hashes = series.hash().to_numpy() & np.uint64(kept)
    distinct = list(dict.fromkeys(column))
    found, dense = number_hashed(series, hashes)
    assert found.to_list() == distinct
    assert dense.tolist() == [distinct.index(raw) for raw in column]


def is_int(column: list[int] | list[str]) -> bool:
    return bool(column) and isinstance(column[0], int)


def test_text_remains_text_on_request() -> None:
    numbering = BlockNumbering(text=True)
    for column in (["7", "8"], ["8", "9"]):
        numbering.add(pl.Series(column))
    assert Vocabulary(numbering.ids()) == Vocabulary(["7", "8", "9"])


def test_each_id_is_merged_a_few_times_for_any_number_of_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from graphseq.data import ids as module

    looked, number = [0], module.number

    def counting(column: pl.Series) -> object:
        looked[0] += len(column)
        return number(column)

    monkeypatch.setattr(module, "number", counting)
    for step in (0, 50):  # the same ids in every block, or others
        looked[0] = 0
        numbering = BlockNumbering()
        for block in range(400):
            numbering.add(pl.Series(range(step * block, step * block + 50)))
        numbering.take_column()
        assert looked[0] <= 3 * 400 * 50


def test_only_plain_decimals_are_integers() -> None:
    text = pl.Series(["7", "-7", "007", "1.0", " 1", "+1", "", None, "9" * 30])
    assert to_integers(text).to_list() == [7, -7] + [None] * 7


def test_wide_integers_are_numbered_without_a_table() -> None:
    assert number_integers(np.array([2**40, 0])) is None
