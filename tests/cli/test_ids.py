"""Ids that are typed as words are found whether the log holds words or numbers."""

from graphseq.cli.ids import typed
from graphseq.data import Vocabulary


def test_words_stay_words_where_the_log_has_words() -> None:
    assert typed(Vocabulary(["7", "b"]), ["7", "b"]) == ["7", "b"]


def test_words_become_numbers_where_the_log_has_numbers() -> None:
    assert typed(Vocabulary([7, -8]), ["7", "-8"]) == [7, -8]


def test_a_word_that_is_no_number_stays_and_is_unknown() -> None:
    vocabulary = Vocabulary([7, 8])
    assert typed(vocabulary, ["seven"]) == ["seven"]
    assert "seven" not in vocabulary
