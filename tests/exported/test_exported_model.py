"""Recommendations from an exported folder, without torch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphseq.errors import ConfigError, DataError
from graphseq.exported import ExportedModel


def test_users_are_found_by_number_and_by_text(folder: Path) -> None:
    model = ExportedModel(folder)
    found = model.recommend([8, "7"], k=3)
    assert found.items.tolist() == [[4, 0, 3], [2, 4, 1]]
    assert found.scores.tolist() == [[0.5, 0, 0], [1, 0.5, 0]]
    kept = model.recommend([7], k=9, history_items="keep")
    assert kept.items.tolist() == [[0, 2, 4, 1, 3, -1, -1, -1, -1]]


def test_allowed_and_denied_items_are_respected(folder: Path) -> None:
    model = ExportedModel(folder)
    only, exclude = model.find_items(["b", "c", "d"]), model.find_items(["c"])
    assert model.recommend([7], k=3, only=only).items.tolist() == [[2, 1, 3]]
    found = model.recommend([7], k=3, only=only, exclude=exclude)
    assert found.items.tolist() == [[1, 3, -1]]
    assert model.recommend([7], k=2, exclude=exclude).items.tolist() == [[4, 1]]


def test_histories_are_cut_to_the_window_but_excluded_whole(
    of_histories: ExportedModel,
) -> None:
    read: list[np.ndarray] = []
    encode = of_histories._session.run
    of_histories._session.run = lambda _, rows: (
        read.append(rows["items"])  # type: ignore[func-returns-value]
        or encode(None, rows)
    )
    long, short = np.array([3, 4, 2, 1, 0]), np.array([1])
    found = of_histories.recommend(histories=[long, short], k=2)
    assert [rows.tolist() for rows in read] == [[[1, 5, 5], [2, 1, 0]]]
    assert found.items.tolist() == [[-1, -1], [2, 4]]


def test_users_of_a_model_of_histories_are_read_by_their_history(
    of_histories: ExportedModel,
) -> None:
    found = of_histories.recommend([8], k=2)
    wanted = of_histories.recommend(histories=[np.array([1, 2])], k=2)
    assert found.items.tolist() == wanted.items.tolist() == [[0, 4]]


def test_empty_histories_get_popular_items_on_request(
    of_histories: ExportedModel,
) -> None:
    nothing, one = np.array([], dtype=np.int64), np.array([0])
    with pytest.raises(DataError, match="row 1 has no known item"):
        of_histories.recommend(histories=[one, nothing])
    found = of_histories.recommend(
        histories=[one, nothing],
        k=2,
        exclude=np.array([3]),
        empty_history="popularity",
    )
    assert found.items.tolist() == [[2, 4], [1, 2]]
    assert found.scores[1].tolist() == [5, 2]


def test_the_largest_score_of_several_interests_counts(
    of_histories: ExportedModel,
) -> None:
    of_histories.encode = lambda histories: np.eye(2, dtype=np.float32)[None]  # type: ignore[method-assign]
    found = of_histories.recommend(histories=[np.array([3])], k=4)
    assert found.items.tolist() == [[0, 1, 2, 4]]


def test_blocks_do_not_change_lists(
    of_histories: ExportedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 5, size=rng.integers(1, 9)) for _ in range(20)]
    wanted = of_histories.recommend(histories=rows, k=3)
    monkeypatch.setattr("graphseq.exported.model.SCORES", 15)
    found = of_histories.recommend(histories=rows, k=3)
    assert found.items.tolist() == wanted.items.tolist()


def test_neighbours_in_the_history_speak_for_an_item(folder: Path) -> None:
    model = ExportedModel(folder)
    assert model.neighbours(2, np.array([4, 0, 3])) == [0, 4]
    assert model.neighbours(2, np.array([4, 0, 3]), count=1) == [0]
    assert model.neighbours(3, np.array([0, 1])) == []


def test_unknown_ids_are_named(folder: Path) -> None:
    model = ExportedModel(folder)
    with pytest.raises(DataError, match="2 unknown items: 'x', 9"):
        model.find_items(["a", "x", 9])
    assert model.find_items(["a", "x", "e"], unknown="skip").tolist() == [0, 4]
    with pytest.raises(DataError, match="1 unknown user: 9"):
        model.recommend([7, 9])


def test_wrong_requests_are_refused(folder: Path) -> None:
    model = ExportedModel(folder)
    with pytest.raises(ConfigError, match="found neither"):
        model.recommend()
    with pytest.raises(ConfigError, match="1 or more; found 0"):
        model.recommend([7], k=0)
    with pytest.raises(ConfigError, match="a vector for each user"):
        model.recommend(histories=[np.array([0])])


def test_an_unknown_rule_for_the_history_is_refused(
    folder: Path, unchecked_shapes: None
) -> None:
    with pytest.raises(ConfigError, match="found 'drop'"):
        ExportedModel(folder).recommend([7], history_items="drop")  # type: ignore[arg-type]


def test_a_user_whose_vector_was_never_trained_has_no_list_of_it(folder: Path) -> None:
    model = ExportedModel(folder)
    trained = np.array([True, False])
    model._tables = replace(model._tables, trained=trained)
    with pytest.raises(DataError, match="row 1 has no training event"):
        model.recommend([7, 8], k=2)
    found = model.recommend([7, 8], k=2, empty_history="popularity")
    assert found.items.tolist() == [[2, 4], [3, 0]]  # user 8 knows 1 and 2
    assert found.scores[1].tolist() == [9, 1]
    kept = model.recommend([8], k=2, empty_history="popularity", history_items="keep")
    assert kept.items.tolist() == [[3, 1]]


def test_rows_of_no_item_are_refused(of_histories: ExportedModel) -> None:
    """Lists that are too short end with -1, which numpy reads as the last item."""
    one = [np.array([0])]
    for options in ({"only": [1, -1]}, {"exclude": [5]}, {"only": np.array([-1])}):
        with pytest.raises(DataError, match=r"has rows of no item.*Leave out -1"):
            of_histories.recommend(histories=one, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="histories has rows of no item"):
        of_histories.recommend(histories=[np.array([-1])])
    with pytest.raises(DataError, match="histories takes rows of items, whole numbers"):
        of_histories.recommend(histories=[["a"]])  # type: ignore[list-item]
    empty = of_histories.recommend(histories=[[]], k=2, empty_history="popularity")  # type: ignore[list-item]
    assert empty.items.shape == (1, 2)


def test_misspelled_options_are_refused(of_histories: ExportedModel) -> None:
    with pytest.raises(ConfigError, match=r"empty_history is .*; found 'eror'"):
        of_histories.recommend([8], empty_history="eror")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"unknown is .*; found 'Error'"):
        of_histories.find_items(["a"], unknown="Error")  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match=r"users is a list of ids, as in \['user-0'\]"
    ):
        of_histories.recommend("user-0")
    with pytest.raises(ConfigError, match=r"ids is a list of ids, as in \['a'\]"):
        of_histories.find_items("a")
    with pytest.raises(ConfigError, match=r"is 1 or more; found 2\.5"):
        of_histories.recommend([8], k=2.5)  # type: ignore[arg-type]
